// Ranks every request of a file and prints orders and the bits of all scores: the lines of ../c/rank.c.
//
//   rank MODEL.pkr REQUESTS.req
//
// On any error the order stays the one that the server sent.
#include "requests.hpp"

#include "pocketrank/file.hpp"

#include <cstdio>

static void print_bits(const char* name, pocketrank::span<const float> values) {
  std::printf("%s", name);
  for (const float value : values) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    std::printf(" %08lx", static_cast<unsigned long>(bits));
  }
  std::printf("\n");
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: rank MODEL.pkr REQUESTS.req\n");
    return 2;
  }
  if (pocketrank::abi_version() < PKR_ABI_VERSION) {
    std::fprintf(stderr, "rank: the library is older than its header\n");
    return 2;
  }
  const auto file = pocketrank::mapped_file::open(argv[1]);
  const auto bytes = read_file(argv[2]);
  if (!file || !bytes) {
    std::fprintf(stderr, "rank: cannot read %s\n", file ? argv[2] : argv[1]);
    return 4;
  }

  const auto model = pocketrank::model::open(file->bytes, file->owner);
  if (!model) std::printf("model %s\n", model.error().what());
  auto ranker = model ? pocketrank::ranker::create(*model) : model.error();
  if (!ranker) return std::fprintf(stderr, "rank: %s\n", ranker.error().what()), 3;

  request_reader requests(*bytes);
  pocketrank::request request(*model);  // both used again for each request
  pocketrank::ranking ranking;
  for (std::uint32_t i = 0; i < requests.count(); i++) {
    const auto stored = requests.next();
    if (!stored) break;
    stored->put(request);
    const auto ranked = ranker->rank(request, ranking);
    if (ranked) {
      std::printf("request %lu PKR_OK scored %lu missing %lu not_finite %lu unknown_ids %lu cut_lists %lu\n",
                  static_cast<unsigned long>(i), static_cast<unsigned long>(ranking.scored()),
                  static_cast<unsigned long>(ranking.missing()), static_cast<unsigned long>(ranking.not_finite()),
                  static_cast<unsigned long>(ranking.unknown_ids()), static_cast<unsigned long>(ranking.cut_lists()));
    } else {
      std::printf("request %lu %s server's order\n", static_cast<unsigned long>(i), ranked.error().what());
    }
    std::printf("order");
    for (std::uint32_t k = 0; k < request.candidates(); k++) {
      // Whatever went wrong: the order that the server sent.
      std::printf(" %lu", static_cast<unsigned long>(ranked ? ranking.order()[k] : k));
    }
    std::printf("\n");
    print_bits("fused", ranking.fused());
    print_bits("scores", ranking.scores());
  }
  if (requests.bad()) return std::fprintf(stderr, "rank: the requests cannot be read\n"), 4;
  return 0;
}

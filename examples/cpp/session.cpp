// A feed that is ranked again after each item: the best one left is shown, the user likes it, what is left gets a new order.
//
//   session MODEL.pkr REQUESTS.req
//
// The first request of the file with at least ten candidates is the feed. Every new order is held against a fresh request with
// the state as it then is: the same order, the same bits. On any error the list stays as it is.
#include "requests.hpp"

#include <algorithm>
#include <cstdio>

namespace pkr = pocketrank;

/// The user did what the model's first label is about. An app passes the keys of what was shown: ids of item, author, topic.
static pkr::event like(std::int64_t time) { return {0, time, 1.0f, {}}; }

static bool same(pkr::span<const float> a, pkr::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Shows up to five items, or says where it went wrong.
static pkr::result<void> feed(const pkr::model& model, const stored_request& stored) {
  auto ranker = pkr::ranker::create(model, stored.candidates);
  if (!ranker) return ranker.error();
  pkr::request request(model);
  stored.put(request);
  auto session = pkr::session::begin(*ranker, request);
  if (!session) return session.error();

  request.state({});  // from here on the session knows it
  pkr::request fresh(model);
  stored.put(fresh);
  pkr::ranking now, again;
  std::vector<std::uint32_t> left(stored.candidates);
  for (std::uint32_t i = 0; i < stored.candidates; i++) left[i] = i;

  for (int step = 0; step < 5 && !left.empty(); step++) {
    if (auto done = session->rerank(*ranker, request, now); !done) return done;

    const auto state = session->state();
    if (!state) return state.error();
    if (auto done = ranker->rank(fresh.only(left).state(*state), again); !done) return done;
    if (!std::equal(now.order().begin(), now.order().end(), again.order().begin()) || !same(now.fused(), again.fused()) ||
        !same(now.scores(), again.scores()))
      return pkr::error{pkr::status::inconsistent};

    const std::uint32_t best = now.order()[0];
    std::printf("shown: candidate %lu, fused score %g, %zu left\n", static_cast<unsigned long>(best),
                static_cast<double>(now.fused()[best]), left.size() - 1);
    if (auto done = session->shown(best); !done) return done;
    left.erase(std::find(left.begin(), left.end(), best));
    if (!model.labels().empty()) {
      if (auto done = session->feedback(like(stored.time + step)); !done) return done;
    }
  }
  return {};
}

int main(int argc, char** argv) {
  const auto bytes = argc == 3 ? read_file(argv[1]) : std::nullopt;
  const auto file = argc == 3 ? read_file(argv[2]) : std::nullopt;
  if (!bytes || !file) {
    std::fprintf(stderr, "usage: session MODEL.pkr REQUESTS.req\n");
    return 2;
  }
  const auto model = pkr::model::open(*bytes);
  request_reader requests(*file);
  auto stored = requests.next();
  while (stored && stored->candidates < 10) stored = requests.next();
  if (!model || !stored) return std::fprintf(stderr, "session: %s\n", model ? "no request" : model.error().what()), 3;
  const auto shown = feed(*model, *stored);
  if (!shown) std::fprintf(stderr, "session: %s: the order stays as it is\n", shown.error().what());
  return shown ? 0 : 1;
}

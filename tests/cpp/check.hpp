// Checks that print and count, and what the tests have in common: two golden models and a request of each.
#ifndef PKR_TESTS_CHECK_HPP
#define PKR_TESTS_CHECK_HPP

#include "../../examples/cpp/requests.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace pkr = pocketrank;
using pkr::status;

inline int checks = 0, failures = 0;

#define CHECK(condition)                                                              \
  do {                                                                                \
    checks++;                                                                         \
    if (!(condition)) {                                                               \
      failures++;                                                                     \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
    }                                                                                 \
  } while (0)

/// A golden model's file, and a request to it with at least ten candidates.
struct golden {
  golden(const std::string& folder, const char* seed) {
    const auto file = read_file((folder + "/goldens/" + seed + ".pkr").c_str());
    const auto requests = read_file((folder + "/goldens/" + seed + ".req").c_str());
    if (!file || !requests) std::fprintf(stderr, "no golden %s in %s\n", seed, folder.c_str()), std::exit(2);
    bytes = *file;
    request_reader reader(*requests);
    for (auto next = reader.next(); next; next = reader.next()) {
      if (next->candidates < 10 || next->max_candidates != 0) continue;
      auto model = pkr::model::open(bytes);
      auto ranker = pkr::ranker::create(*model);
      pkr::request request(*model);
      next->put(request);
      if (!ranker->rank(request)) continue;  // there are refused ones among them
      stored = *next;
      return;
    }
    std::fprintf(stderr, "no request to golden %s\n", seed), std::exit(2);
  }
  std::vector<std::uint8_t> bytes;
  stored_request stored;
};

inline bool same(pkr::span<const float> a, pkr::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}
inline bool same(pkr::span<const std::uint32_t> a, pkr::span<const std::uint32_t> b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}
inline bool same(const pkr::ranking& a, const pkr::ranking& b) {
  return same(a.order(), b.order()) && same(a.fused(), b.fused()) && same(a.scores(), b.scores());
}

void models(const golden& plain, const golden& with_formula);
void results();
void requests(const golden& plain);
void rankers(const golden& plain);
void sessions(const golden& plain);
void formulas(const golden& plain, const golden& with_formula);
void lists(const golden& plain);
/// In a file that is built with other options: another dialect in the same program.
std::size_t other_dialect(const std::uint8_t* bytes, std::size_t len);
/// Calls of operator new so far.
std::size_t allocations();

#endif

// Tests of pocketrank.hpp: main FOLDER, with FOLDER/goldens/{4,102}.{pkr,req}. Exits with 1 if a check fails.
#include "check.hpp"

#include <cstdlib>
#include <new>

static std::size_t news = 0;
std::size_t allocations() { return news; }

// Not inlined: compilers would find malloc in one place and delete in the other.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  news++;
  if (void* const at = std::malloc(bytes + (bytes == 0))) return at;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* at) noexcept { std::free(at); }
[[gnu::noinline]] void operator delete(void* at, std::size_t) noexcept { std::free(at); }

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: main FOLDER\n"), 2;
  const golden plain(argv[1], "4"), with_formula(argv[1], "102");
  results();
  models(plain, with_formula);
  requests(plain);
  rankers(plain);
  sessions(plain);
  formulas(plain, with_formula);
  lists(plain);
  CHECK(other_dialect(plain.bytes.data(), plain.bytes.size()) == 32);
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}

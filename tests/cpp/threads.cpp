// A model that threads share while it is replaced: each request has the bits of the model that its thread held. A program by
// itself, for ThreadSanitizer: threads FOLDER
#include "check.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

namespace {

/// The model that ranks now, as docs/hot-swap.md has it for C++.
class current_model {
 public:
  std::shared_ptr<const pkr::model> get() const {
    const std::lock_guard lock(mutex_);
    return model_;
  }
  void swap(std::shared_ptr<const pkr::model> next) {
    {
      const std::lock_guard lock(mutex_);
      model_.swap(next);
    }
    // The one before is closed here, or by its last reader.
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const pkr::model> model_;
};

std::shared_ptr<const pkr::model> open(const golden& of) {
  return std::make_shared<const pkr::model>(*pkr::model::open(std::vector<std::uint8_t>(of.bytes)));
}

pkr::ranking rank(const pkr::model& model, const stored_request& stored) {
  auto ranker = pkr::ranker::create(model, stored.candidates);
  pkr::request request(model);
  stored.put(request);
  return std::move(ranker->rank(request.weights({}))).value_or({});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const golden plain(argv[1], "4"), other(argv[1], "104");  // of one layout
  const pkr::ranking expected[] = {rank(*open(plain), plain.stored), rank(*open(other), plain.stored)};
  CHECK(!expected[0].order().empty() && !same(expected[0], expected[1]));

  current_model current;
  current.swap(open(plain));
  const std::uint64_t digest = current.get()->information().digest;
  std::atomic<bool> stop{false};
  std::atomic<int> ranked{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      while (!stop) {
        const auto model = current.get();
        wrong += !same(rank(*model, plain.stored), expected[model->information().digest != digest]);
        ranked++;
      }
    });
  }
  for (int i = 0; i < 200; i++) {
    current.swap(open(i % 2 == 0 ? other : plain));
    for (const int seen = ranked; ranked < seen + 2;) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0 && ranked >= 400);
  std::printf("threads: 200 swaps, %d requests, %d wrong\n", ranked.load(), wrong.load());
  return failures != 0;
}

// Results, statuses and spans by themselves.
#include "check.hpp"

#include <array>
#include <memory>
#if PKR_CPP_EXCEPTIONS
#include <stdexcept>
#endif

static pkr::result<std::unique_ptr<int>> make(bool good) {
  if (!good) return pkr::error{status::stale_sums, 1, 2, 3};
  return std::make_unique<int>(7);
}

static std::size_t count(pkr::span<const float> values) { return values.size(); }

void results() {
  static_assert(static_cast<std::uint32_t>(status::stale_sums) == PKR_ERR_STALE_SUMS);
  CHECK(std::string(pkr::name(status::ok)) == "PKR_OK");
  CHECK(std::string(pkr::name(status::formula_scores)) == "PKR_ERR_FORMULA_SCORES");
  CHECK(std::string(pkr::name(static_cast<status>(999))) == "PKR_ERR_UNKNOWN");
  CHECK(pkr::abi_version() >= PKR_ABI_VERSION && pkr::version()[0] != 0);

  auto good = make(true);
  CHECK(good && good.has_value() && good.status() == status::ok && **good == 7);
  CHECK(*std::move(good).value() == 7);
  const auto bad = make(false);
  CHECK(!bad && bad.status() == status::stale_sums);
  CHECK(bad.error().feature == 1 && bad.error().candidate == 2 && bad.error().offset == 3);
  CHECK(std::string(bad.error().what()) == "PKR_ERR_STALE_SUMS");
  CHECK(make(false).value_or(nullptr) == nullptr);
  const pkr::result<void> done, refused = pkr::error{status::bad_rule};
  CHECK(done && done.status() == status::ok && !refused && refused.error().status == status::bad_rule);
  done.value();
#if PKR_CPP_EXCEPTIONS
  int thrown = 0;
  try {
    static_cast<void>(bad.value());
  } catch (const pkr::exception& caught) {
    thrown += caught.error().candidate == 2 && std::string(caught.what()) == "PKR_ERR_STALE_SUMS";
  }
  try {
    refused.value();
  } catch (const std::exception&) {
    thrown++;
  }
  CHECK(thrown == 2);
#endif

  const float raw[] = {1, 2, 3};
  const std::array<float, 2> array{1, 2};
  std::vector<float> vector(4);
  CHECK(count(raw) == 3 && count(array) == 2 && count(vector) == 4 && count({}) == 0);
  CHECK(count(std::vector<float>(5)) == 5);  // a temporary lives as long as the call
  pkr::span<float> writable(vector);
  writable[1] = 5;
  CHECK(vector[1] == 5 && writable.subspan(1, 2).size() == 2 && writable.data() == vector.data());
  CHECK(count(writable) == 4);  // less const
  static_assert(!std::is_constructible_v<pkr::span<float>, const std::vector<float>&>);
  static_assert(!std::is_constructible_v<pkr::span<const float>, std::vector<double>&>);
}

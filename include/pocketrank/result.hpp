// Errors. One design for both worlds: calls return a result, which is a value or an error with its place.
//
// Mobile apps are often built without exceptions, and an error here is not exceptional: whatever it is, the app shows the
// server's order. So nothing of this library throws by itself. Who prefers exceptions asks for them with `value()`, which throws
// `pocketrank::exception` where they are enabled and ends the process where they are not. The names are those of std::expected
// (C++23). Running out of memory is what it is for the containers inside: std::bad_alloc, or the end of the process.
#ifndef POCKETRANK_RESULT_HPP
#define POCKETRANK_RESULT_HPP

#include "status.hpp"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <variant>
#if PKR_CPP_EXCEPTIONS
#include <exception>
#endif

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// An index that does not apply.
inline constexpr std::uint32_t nowhere = PKR_NOWHERE;

/// What went wrong, and where.
struct error {
  pocketrank::status status = pocketrank::status::ok;
  std::uint32_t feature = nowhere;    ///< Index of the feature, or `nowhere`. For bad_rule: one of PKR_RULES_*.
  std::uint32_t candidate = nowhere;  ///< Index of the candidate (or of the rule's element), or `nowhere`.
  std::uint64_t offset = UINT64_MAX;  ///< Byte of the file, or what would have been enough; UINT64_MAX if neither.

  /// Name of the status, static.
  const char* what() const noexcept { return name(status); }
};

#if PKR_CPP_EXCEPTIONS
/// Thrown by `value()` alone.
class exception : public std::exception {
 public:
  explicit exception(const pocketrank::error& place) noexcept : place_(place) {}
  const char* what() const noexcept override { return place_.what(); }
  const pocketrank::error& error() const noexcept { return place_; }

 private:
  pocketrank::error place_;
};
#endif

namespace detail {
[[noreturn]] inline void raise(const error& place) {
#if PKR_CPP_EXCEPTIONS
  throw exception(place);
#else
  static_cast<void>(place);
  std::abort();
#endif
}
}  // namespace detail

/// A value or an error. The value is looked at by `*` and `->` after a check, or by `value()`, which is one.
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;
  using error_type = pocketrank::error;

  result(T value) : either_(std::in_place_index<0>, std::move(value)) {}
  result(const pocketrank::error& place) : either_(std::in_place_index<1>, place) {}

  bool has_value() const noexcept { return either_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  /// `ok` with a value.
  pocketrank::status status() const noexcept { return has_value() ? pocketrank::status::ok : error().status; }

  /// Only without a value.
  const pocketrank::error& error() const noexcept { return *std::get_if<1>(&either_); }
  /// Only with a value.
  T& operator*() & noexcept { return *std::get_if<0>(&either_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&either_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&either_)); }
  T* operator->() noexcept { return std::get_if<0>(&either_); }
  const T* operator->() const noexcept { return std::get_if<0>(&either_); }

  /// The value; without one it throws `exception`, or ends the process where there are no exceptions.
  T& value() & { return check(), **this; }
  const T& value() const& { return check(), **this; }
  T&& value() && { return check(), *std::move(*this); }
  T value_or(T other) && { return has_value() ? *std::move(*this) : std::move(other); }

 private:
  void check() const {
    if (!has_value()) detail::raise(error());
  }
  std::variant<T, pocketrank::error> either_;
};

/// Success or an error.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;
  using error_type = pocketrank::error;

  result() noexcept = default;
  result(const pocketrank::error& place) noexcept : error_(place) {}

  bool has_value() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return has_value(); }
  pocketrank::status status() const noexcept { return error_ ? error_->status : pocketrank::status::ok; }
  const pocketrank::error& error() const noexcept { return *error_; }
  void value() const {
    if (error_) detail::raise(*error_);
  }

 private:
  std::optional<pocketrank::error> error_;
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

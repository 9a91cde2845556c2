// What the classes have in common: memory for handles, structs with their size, errors of calls. Not for apps.
#ifndef POCKETRANK_DETAIL_HPP
#define POCKETRANK_DETAIL_HPP

#include "result.hpp"
#include "span.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {
namespace detail {

/// A zeroed struct of the C ABI that knows its size.
template <class T>
T sized() noexcept {
  T value{};
  value.struct_size = static_cast<std::uint32_t>(sizeof value);
  return value;
}

/// A place for errors that says nothing yet.
inline pkr_error_detail no_place() noexcept {
  pkr_error_detail place = sized<pkr_error_detail>();
  place.feature = place.candidate = PKR_NOWHERE;
  place.offset = UINT64_MAX;
  return place;
}

inline error failed(pkr_status code, const pkr_error_detail& place = no_place()) noexcept {
  return {static_cast<status>(code), place.feature, place.candidate, place.offset};
}

inline result<void> outcome(pkr_status code, const pkr_error_detail& place = no_place()) noexcept {
  if (code != PKR_OK) return failed(code, place);
  return {};
}

/// Memory of a handle: aligned, and at one address while its owner moves.
class memory {
 public:
  memory() = default;
  explicit memory(std::size_t bytes) : words_((bytes + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t)), bytes_(bytes) {}
  std::uint8_t* data() noexcept { return reinterpret_cast<std::uint8_t*>(words_.data()); }
  std::size_t size() const noexcept { return bytes_; }

 private:
  static_assert(PKR_MEMORY_ALIGNMENT <= __STDCPP_DEFAULT_NEW_ALIGNMENT__, "vectors are aligned as handles must be");
  std::vector<std::uint64_t> words_;
  std::size_t bytes_ = 0;
};

/// A handle in its memory. Lives behind a pointer; closes itself once. After `close` the memory stays, so that calls on the
/// handle answer `stale` instead of touching what is gone.
template <class Handle, pkr_status (*Close)(Handle*)>
struct opened {
  explicit opened(std::size_t bytes) : place(bytes) {}
  opened(const opened&) = delete;
  opened& operator=(const opened&) = delete;
  ~opened() { close(); }
  void close() noexcept {
    if (handle != nullptr && !closed) Close(handle);
    closed = true;
  }
  memory place;
  Handle* handle = nullptr;
  bool closed = false;
};

/// Where a span is; null if it is empty, wherever an empty container may be.
template <class T>
T* address(span<T> of) noexcept {
  return of.empty() ? nullptr : of.data();
}

inline const std::uint8_t* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

}  // namespace detail
}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

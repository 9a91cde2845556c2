// pocketrank::span: std::span where there is one, otherwise as much of it as this library needs. Borrows; never owns.
#ifndef POCKETRANK_SPAN_HPP
#define POCKETRANK_SPAN_HPP

#include "dialect.hpp"

#if PKR_CPP_STD_SPAN
#include <span>
#else
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>
#endif

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

#if PKR_CPP_STD_SPAN

template <class T>
using span = std::span<T>;

#else

template <class T>
class span {
  // Whether an array of U may be seen as one of T: the same type, or less const.
  template <class U>
  static constexpr bool fits = std::is_convertible_v<U (*)[], T (*)[]>;

 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using iterator = T*;

  constexpr span() noexcept = default;
  constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class U, std::size_t N, class = std::enable_if_t<fits<U>>>
  constexpr span(U (&array)[N]) noexcept : data_(array), size_(N) {}
  /// Of anything contiguous: vector, array, string, another span. A temporary only where it is not written through.
  template <class C, class P = decltype(std::data(std::declval<C&>())), class = decltype(std::size(std::declval<C&>())),
            class = std::enable_if_t<fits<std::remove_pointer_t<P>> && !std::is_array_v<std::remove_reference_t<C>> &&
                                     (std::is_lvalue_reference_v<C> || std::is_const_v<T>)>>
  constexpr span(C&& container) noexcept : data_(std::data(container)), size_(std::size(container)) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr span subspan(std::size_t first, std::size_t count) const noexcept { return {data_ + first, count}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

#endif

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

// A library of the same app that is built with other options: its functions are others, whatever they are called.
#include "pocketrank.hpp"

std::size_t other_dialect(const std::uint8_t* bytes, std::size_t len);
std::size_t other_dialect(const std::uint8_t* bytes, std::size_t len) {
  const auto model = pocketrank::model::open({bytes, len});
  return model ? model->features().size() : 0;
}

// What the examples have in common: files, and the file of requests (../README.md), read into vectors on any machine.
#ifndef PKR_EXAMPLES_REQUESTS_HPP
#define PKR_EXAMPLES_REQUESTS_HPP

#include "pocketrank.hpp"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

inline std::optional<std::vector<std::uint8_t>> read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::vector<std::uint8_t>(std::istreambuf_iterator<char>(file), {});
}

/// One column of a file: the values of its form, and how they are divided.
struct stored_column {
  std::uint32_t form = PKR_FORM_MISSING;
  std::vector<std::uint64_t> ids;
  std::vector<std::uint8_t> bytes;  // of text, of vectors
  std::vector<std::uint32_t> rows;
  std::vector<float> floats;
  std::vector<std::uint32_t> offsets, list_offsets;
  std::vector<float> list_weights;
};

/// One request of a file.
struct stored_request {
  std::int64_t time = 0;
  std::uint32_t candidates = 0, max_candidates = 0, flags = 0;
  std::vector<stored_column> columns;
  std::vector<std::uint8_t> state;
  std::vector<float> weights;

  /// Sets all of it; `to` borrows this one's memory.
  void put(pocketrank::request& to) const {
    to.clear().candidates(candidates).max_candidates(max_candidates).time(time).strict((flags & PKR_STRICT) != 0);
    to.state(state).weights(weights);
    for (std::size_t i = 0; i < columns.size(); i++) {
      const stored_column& c = columns[i];
      const pocketrank::lists lists{c.list_offsets, c.list_weights};
      switch (c.form) {
        case PKR_FORM_IDS: to.ids(i, c.ids, lists); break;
        case PKR_FORM_TEXT: to.text(i, {reinterpret_cast<const char*>(c.bytes.data()), c.bytes.size()}, c.offsets, lists); break;
        case PKR_FORM_ROWS: to.rows(i, c.rows, lists); break;
        case PKR_FORM_FLOATS: to.floats(i, c.floats); break;
        case PKR_FORM_BYTES: to.bytes(i, c.bytes); break;
        default: to.missing(i);
      }
    }
  }
};

/// Reads requests one by one: parts of little-endian numbers, each on a multiple of 8 bytes.
class request_reader {
 public:
  explicit request_reader(const std::vector<std::uint8_t>& file) : file_(file) {
    bad_ = file.size() < 16 || std::memcmp(file.data(), "PKRREQ1\n", 8) != 0;
    at_ = 8;
    count_ = bad_ ? 0 : numbers(2)[0];
  }
  std::uint32_t count() const { return count_; }
  bool bad() const { return bad_; }

  std::optional<stored_request> next() {
    const auto head = numbers(8);
    if (bad_) return std::nullopt;
    stored_request r;
    r.time = static_cast<std::int64_t>(head[0] | std::uint64_t{head[1]} << 32);
    r.candidates = head[2], r.max_candidates = head[3], r.flags = head[4];
    const auto forms = numbers(std::size_t{head[5]} * 6);
    if (bad_) return std::nullopt;
    r.columns.resize(head[5]);
    for (std::size_t i = 0; i < r.columns.size(); i++) {
      const std::uint32_t* const column = &forms[6 * i];
      stored_column& c = r.columns[i];
      c.form = column[0];
      switch (c.form) {
        case PKR_FORM_MISSING: break;
        case PKR_FORM_IDS: c.ids = part<std::uint64_t>(column[1]); break;
        case PKR_FORM_ROWS: c.rows = numbers(column[1]); break;
        case PKR_FORM_FLOATS: c.floats = floats(column[1]); break;
        default: c.bytes = part<std::uint8_t>(column[1]);
      }
      c.offsets = numbers(column[2]);
      c.list_offsets = numbers(column[3]);
      c.list_weights = floats(column[4]);
    }
    r.state = part<std::uint8_t>(head[6]);
    r.weights = floats(head[7]);
    if (bad_) return std::nullopt;
    return r;
  }

 private:
  template <class T>
  std::vector<T> part(std::size_t count) {
    std::vector<T> values;
    values.reserve(1);  // an empty list has somewhere to be: a column without any memory would be missing
    if (bad_ || count > (file_.size() - at_) / sizeof(T)) return bad_ = true, values;
    values.reserve(count);
    for (std::size_t i = 0; i < count; i++) {
      std::uint64_t value = 0;
      for (std::size_t j = 0; j < sizeof(T); j++) value |= std::uint64_t{file_[at_ + i * sizeof(T) + j]} << (8 * j);
      values.push_back(static_cast<T>(value));
    }
    at_ += (count * sizeof(T) + 7) / 8 * 8;
    if (at_ > file_.size()) bad_ = true;
    return values;
  }
  std::vector<std::uint32_t> numbers(std::size_t count) { return part<std::uint32_t>(count); }
  std::vector<float> floats(std::size_t count) {
    const auto bits = numbers(count);
    std::vector<float> values;
    values.reserve(1 + bits.size());
    for (const std::uint32_t word : bits) std::memcpy(&values.emplace_back(), &word, sizeof word);
    return values;
  }

  const std::vector<std::uint8_t>& file_;
  std::size_t at_ = 0;
  std::uint32_t count_ = 0;
  bool bad_ = false;
};

#endif

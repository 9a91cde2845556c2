// Requests: the columns of a list of candidates, and how to rank them.
#ifndef POCKETRANK_REQUEST_HPP
#define POCKETRANK_REQUEST_HPP

#include "formula.hpp"

#include <type_traits>

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// A feature, by index (from `model::feature_index`: no search) or by name (a search of all features each time).
class feature_ref {
 public:
  template <class I, class = std::enable_if_t<std::is_integral_v<I>>>
  feature_ref(I index) noexcept {
    if (static_cast<std::uint64_t>(index) < nowhere) index_ = static_cast<std::uint32_t>(index);
  }
  feature_ref(std::string_view text) noexcept : name_(text), by_name_(true) {}
  feature_ref(const char* text) noexcept : feature_ref(std::string_view(text)) {}
  feature_ref(const std::string& text) noexcept : feature_ref(std::string_view(text)) {}

 private:
  friend class request;
  friend class ranker;
  std::uint32_t resolve(const pkr_model* model) const noexcept {
    std::uint32_t found = nowhere;
    if (!by_name_) return index_;
    return pkr_feature_index(model, detail::bytes_of(name_), name_.size(), &found) == PKR_OK ? found : nowhere;
  }
  std::uint32_t index_ = nowhere;
  std::string_view name_;
  bool by_name_ = false;
};

/// How ids are divided into lists: the i-th is ids `offsets[i]` to `offsets[i + 1]`. One weight within [0, 1] per id, or none.
struct lists {
  span<const std::uint32_t> offsets{};
  span<const float> weights{};
};

/// One request, made for a model and used again for each screen: setting a column again takes the place of what it was, without
/// new memory. It borrows everything but `texts`: values must stay until the call that ranks has returned.
///
/// Columns have one value (or list) per candidate, those of features of the user's side one in all; a feature without a column
/// takes its default, and so does `missing`; one that was set to no values is of the wrong length. What the model does not have
/// (a misspelt feature) is remembered, and the call that ranks answers with it.
class request {
 public:
  explicit request(const model& of, std::uint32_t num_candidates = 0) : model_(of.shared_) {
    columns_.resize(of.features().size());
    clear_columns();
    candidates(num_candidates);
  }
  request(request&&) noexcept = default;
  request& operator=(request&&) noexcept = default;
  request(const request&) = delete;
  request& operator=(const request&) = delete;
  ~request() = default;

  /// 1 to what the ranker was made for.
  request& candidates(std::uint32_t count) noexcept { return c_.num_candidates = count, *this; }
  std::uint32_t candidates() const noexcept { return c_.num_candidates; }
  /// Candidates to score at most, 0: all. A deadline that the app turns into a count; the others keep their order behind.
  request& max_candidates(std::uint32_t count) noexcept { return c_.max_candidates = count, *this; }
  /// Unix seconds.
  request& time(std::int64_t seconds) noexcept { return c_.time = seconds, *this; }
  /// Answer missing_value, not_finite or unknown_id instead of counting them.
  request& strict(bool on = true) noexcept { return c_.flags = on ? PKR_STRICT : 0, *this; }

  /// UINT64_MAX is a missing id.
  request& ids(feature_ref feature, span<const std::uint64_t> values, lists in = {}) noexcept {
    return set(feature, PKR_FORM_IDS, values.data(), values.size(), {}, in);
  }
  /// UTF-8 that `offsets`, one more than ids, divide into ids. An empty one is missing.
  request& text(feature_ref feature, std::string_view utf8, span<const std::uint32_t> offsets, lists in = {}) noexcept {
    return set(feature, PKR_FORM_TEXT, utf8.data(), utf8.size(), offsets, in);
  }
  /// The same of separate texts, which are copied into memory that is used again.
  request& texts(feature_ref feature, span<const std::string_view> values, lists in = {}) {
    const std::uint32_t index = feature.resolve(handle());
    if (index >= columns_.size()) return refuse(index);
    if (copies_.size() < columns_.size()) copies_.resize(columns_.size());
    auto& [utf8, offsets] = copies_[index];
    utf8.clear();
    offsets.assign(1, 0);
    for (const std::string_view value : values) {
      utf8.insert(utf8.end(), value.begin(), value.end());
      offsets.push_back(static_cast<std::uint32_t>(utf8.size()));
    }
    return text(index, {utf8.data(), utf8.size()}, offsets, in);
  }
  /// What `model::row_of` found; UINT32_MAX is a missing row. Not for features by which others are keyed.
  request& rows(feature_ref feature, span<const std::uint32_t> values, lists in = {}) noexcept {
    return set(feature, PKR_FORM_ROWS, values.data(), values.size(), {}, in);
  }
  /// NaN is a missing number.
  request& floats(feature_ref feature, span<const float> values) noexcept {
    return set(feature, PKR_FORM_FLOATS, values.data(), values.size(), {}, {});
  }
  /// Vectors on the model's grid: `dim` bytes 0 to 127 a value.
  request& bytes(feature_ref feature, span<const std::uint8_t> values) noexcept {
    return set(feature, PKR_FORM_BYTES, values.data(), values.size(), {}, {});
  }
  /// The app has no values.
  request& missing(feature_ref feature) noexcept { return set(feature, PKR_FORM_MISSING, nullptr, 0, {}, {}); }

  /// The user's state (`user_state::bytes`); empty: a user without a past.
  request& state(span<const std::uint8_t> bytes) noexcept {
    return c_.state = detail::address(bytes), c_.state_bytes = bytes.size(), *this;
  }
  /// Of the fusion's terms or of its formula; empty: the file's.
  request& weights(span<const float> values) noexcept {
    return c_.weights = detail::address(values), c_.num_weights = values.size(), *this;
  }
  /// Candidates to score, by increasing index; empty: all.
  request& only(span<const std::uint32_t> indices) noexcept {
    return c_.only = detail::address(indices), c_.num_only = indices.size(), *this;
  }
  /// Sums that `ranker::item_sums` made, and the slot of each candidate (PKR_NO_SLOT: computed here; empty: candidate i has
  /// slot i). Columns of item features are then read only where other features, or groups of
  /// quantiles, are made of them.
  request& item_sums(span<const std::uint8_t> sums, span<const std::uint32_t> slots = {}) noexcept {
    c_.item_sums = detail::address(sums), c_.item_sums_bytes = sums.size();
    return c_.item_slots = detail::address(slots), c_.num_item_slots = slots.size(), *this;
  }
  /// A formula that takes the place of the file's fusion. The request shares it.
  request& formula(const pocketrank::formula& other) noexcept {
    if (!other.own_) error_ = {status::null_pointer};
    return formula_ = other.own_, *this;
  }
  request& no_formula() noexcept { return formula_.reset(), *this; }
  /// Features to leave out: the difference is what they do to an order.
  request& without(span<const std::uint32_t> features) noexcept {
    return c_.without = detail::address(features), c_.num_without = features.size(), *this;
  }

  /// No columns, no error; all else as it is.
  request& clear_columns() noexcept {
    for (pkr_column& column : columns_) column = detail::sized<pkr_column>();
    return error_ = {}, *this;
  }
  /// As new, with its memory.
  request& clear() noexcept {
    c_ = detail::sized<pkr_request>();
    return formula_.reset(), clear_columns();
  }

  /// The first thing that was set and that there is not.
  result<void> check() const noexcept {
    if (error_.status != status::ok) return error_;
    return {};
  }
  /// For calls of the C ABI; lives until the next change.
  pkr_request c() const noexcept {
    pkr_request made = c_;
    made.columns = columns_.data();
    made.num_columns = columns_.size();
    made.formula = formula_ ? formula_->handle : nullptr;
    return made;
  }
  /// Addends of a fused score: of the request's formula, or of the model's fusion.
  std::uint32_t num_terms() const noexcept {
    if (formula_) return formula_->num_terms;
    return model_ ? model_->information.num_terms : 0;
  }

 private:
  const pkr_model* handle() const noexcept { return model_ ? model_->handle : nullptr; }
  request& refuse(std::uint32_t index) noexcept {
    if (error_.status == status::ok) error_ = {status::unknown_feature, index};
    return *this;
  }
  request& set(feature_ref feature, std::uint32_t form, const void* values, std::size_t count,
               span<const std::uint32_t> offsets, lists in) noexcept {
    const std::uint32_t index = feature.resolve(handle());
    if (index >= columns_.size()) return refuse(index);
    pkr_column& column = columns_[index];
    column.form = form;
    // No values at all are too few, whether or not the container has memory; with NULL the column would be missing.
    static const std::uint64_t none = 0;
    column.values = count != 0 || form == PKR_FORM_MISSING ? values : &none, column.count = count;
    column.offsets = detail::address(offsets), column.num_offsets = offsets.size();
    column.list_offsets = detail::address(in.offsets), column.num_list_offsets = in.offsets.size();
    column.weights = detail::address(in.weights), column.num_weights = in.weights.size();
    return *this;
  }

  struct copy {
    std::vector<char> utf8;
    std::vector<std::uint32_t> offsets;
  };
  pkr_request c_ = detail::sized<pkr_request>();
  std::shared_ptr<const detail::open_model> model_;
  std::shared_ptr<detail::open_formula> formula_;
  std::vector<pkr_column> columns_;
  std::vector<copy> copies_;
  error error_;
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

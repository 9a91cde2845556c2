// Formulas: another order without another model (docs/fusion.md).
#ifndef POCKETRANK_FORMULA_HPP
#define POCKETRANK_FORMULA_HPP

#include "model.hpp"

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// A formula as a whole.
struct formula_information {
  std::string text;               ///< What it was made of.
  std::uint32_t num_weights = 0;  ///< Named weights, and so weights of a request.
  std::uint32_t num_terms = 0;    ///< Addends of the fused score.
  std::uint32_t cost = 0;         ///< Of a candidate, in additions; at most 1,024.
};

/// A named weight: the meaning of a request's weight of that index.
struct weight_information {
  std::string name;
  float value = 0;  ///< Unless a request has another.
  float least = 0, most = 0;
};

namespace detail {
/// An open formula, with its bytes and the model it is for.
struct open_formula : opened<pkr_formula, pkr_formula_close> {
  using opened::opened;
  ~open_formula() { close(); }
  std::vector<std::uint8_t> bytes;
  std::uint32_t num_terms = 0;
};
}  // namespace detail

/// A formula that can be asked: a file's own or one that was shipped apart. Immutable, for any number of threads.
/// Errors of all: unknown_task for an index or name that it does not have, and if the file has no formula; stale.
class formula_view {
 public:
  result<formula_information> information() const {
    pkr_formula_information in = detail::sized<pkr_formula_information>();
    if (const pkr_status code = pkr_formula_info(model_handle(), handle(), &in); code != PKR_OK) return detail::failed(code);
    return formula_information{detail::text(in.text, in.text_bytes), in.num_weights, in.num_terms, in.cost};
  }
  result<weight_information> weight(std::uint32_t index) const {
    pkr_weight_information in = detail::sized<pkr_weight_information>();
    const pkr_status code = pkr_weight_info(model_handle(), handle(), index, &in);
    if (code != PKR_OK) return detail::failed(code);
    return weight_information{detail::text(in.name, in.name_bytes), in.value, in.least, in.most};
  }
  result<std::uint32_t> weight_index(std::string_view text) const noexcept {
    std::uint32_t found = 0;
    const pkr_status code = pkr_weight_index(model_handle(), handle(), detail::bytes_of(text), text.size(), &found);
    if (code != PKR_OK) return detail::failed(code);
    return found;
  }
  /// Text of a term: what `ranking::terms` are values of.
  result<std::string> term(std::uint32_t index) const {
    const char* at = nullptr;
    std::size_t bytes = 0;
    if (const pkr_status code = pkr_term_text(model_handle(), handle(), index, &at, &bytes); code != PKR_OK)
      return detail::failed(code);
    return detail::text(at, bytes);
  }
  /// Writes weights to try on one user, for tuning online: of `weights` (empty: its own), each times e^(sigma z) within its
  /// bounds, where z depends on `seed` (the user), `salt` (the experiment) and the weight's name alone. Log them.
  /// Errors: unknown_task, bad_weight, buffer_too_small unless `out` has as many as there are weights.
  result<void> perturb(span<const float> weights, std::uint64_t seed, std::uint64_t salt, float sigma,
                       span<float> out) const noexcept {
    return detail::outcome(pkr_weights_perturb(model_handle(), handle(), weights.data(), weights.size(), seed, salt, sigma,
                                               out.data(), out.size()));
  }

 protected:
  friend class model;
  friend class ranker;
  friend class request;
  explicit formula_view(std::shared_ptr<const detail::open_model> of,
                        std::shared_ptr<detail::open_formula> own = nullptr) noexcept
      : model_(std::move(of)), own_(std::move(own)) {}
  const pkr_model* model_handle() const noexcept { return model_ ? model_->handle : nullptr; }
  /// Null: the file's own.
  const pkr_formula* handle() const noexcept { return own_ ? own_->handle : nullptr; }

  std::shared_ptr<const detail::open_model> model_;
  std::shared_ptr<detail::open_formula> own_;
};

/// A formula that was shipped apart from its model. Named by a request it takes the place of the model's fusion. It moves, and
/// isn't copied.
class formula : public formula_view {
 public:
  /// Opens some hundred bytes, which it copies, for `model` alone.
  /// Errors: 2xx, 3xx with the byte in `offset`; formula_input, formula_code, formula_cost, formula_range.
  static result<formula> open(const model& of, span<const std::uint8_t> bytes) {
    auto made = std::make_shared<detail::open_formula>(pkr_formula_bytes());
    made->bytes.assign(bytes.begin(), bytes.end());
    pkr_error_detail place = detail::no_place();
    const pkr_status code = pkr_formula_open(of.handle(), made->bytes.data(), made->bytes.size(), made->place.data(),
                                             made->place.size(), &made->handle, &place);
    if (code != PKR_OK) return detail::failed(code, place);
    formula opened(of.shared_, std::move(made));
    const auto about = opened.information();
    if (!about) return about.error();
    opened.own_->num_terms = about->num_terms;
    return opened;
  }

  formula(formula&&) noexcept = default;
  formula& operator=(formula&&) noexcept = default;
  formula(const formula&) = delete;
  formula& operator=(const formula&) = delete;
  ~formula() = default;

  /// Closes it now; requests that name it answer `stale`. Closing twice is fine. No other thread may be using it.
  void close() noexcept {
    if (own_) own_->close();
  }

 private:
  using formula_view::formula_view;
};

inline formula_view model::own_formula() const noexcept { return formula_view(shared_); }

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

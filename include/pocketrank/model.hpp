// A model: one file, opened and checked.
#ifndef POCKETRANK_MODEL_HPP
#define POCKETRANK_MODEL_HPP

#include "information.hpp"

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// Version of the ABI of the library that is linked. One older than the header it was compiled with lacks functions.
inline std::uint32_t abi_version() noexcept { return pkr_abi_version(); }
/// Version of the library, as "0.1.0". Static.
inline const char* version() noexcept { return pkr_version(); }

/// Instruction sets to ask for: `PKR_CPU_*`, where it says what an app must know before it asks for more than `automatic`.
enum class cpu : std::uint32_t {
  automatic = PKR_CPU_AUTO,
  portable = PKR_CPU_PORTABLE,
  neon_dotprod = PKR_CPU_NEON_DOTPROD,
  neon_i8mm = PKR_CPU_NEON_I8MM,
};

/// The value that one impression, or one look-up, has of one feature. Texts are borrowed.
using key = pkr_key;
inline key id_key(std::uint32_t feature, std::uint64_t id) noexcept {
  key made = detail::sized<pkr_key>();
  made.feature = feature;
  made.kind = PKR_KEY_ID;
  made.id = id;
  return made;
}
inline key text_key(std::uint32_t feature, std::string_view text) noexcept {
  key made = detail::sized<pkr_key>();
  made.feature = feature;
  made.kind = PKR_KEY_TEXT;
  made.text = detail::bytes_of(text);
  made.text_bytes = text.size();
  return made;
}
inline key number_key(std::uint32_t feature, float number) noexcept {
  key made = detail::sized<pkr_key>();
  made.feature = feature;
  made.kind = PKR_KEY_NUMBER;
  made.number = number;
  return made;
}

/// Hashes a text id to what columns of ids and id keys take for a feature of texts.
inline result<std::uint64_t> hash_text(std::string_view text) noexcept {
  std::uint64_t hash = 0;
  const pkr_status code = pkr_hash_text(detail::bytes_of(text), text.size(), &hash);
  if (code != PKR_OK) return detail::failed(code);
  return hash;
}

class formula_view;
class formula;
class ranker;
class session;
class request;
class user_state;

/// An open model. Immutable: any number of threads may use it, each with a ranker of its own.
///
/// It moves, and isn't copied. Rankers, sessions, states and formulas share it: it is closed, and owned bytes are freed, when it
/// and all of them are gone. `close` closes it at once; what is left then answers `stale`. A model that was moved from
/// answers `null_pointer`, and describes nothing.
class model {
 public:
  /// Opens bytes that stay where they are, unchanged, until the model is closed: flash, a resource, a mapped file. Nothing is
  /// copied. Reads every byte once.
  /// Errors: 2xx to 4xx for the file, with its byte in `offset`; bad_option and isa_unavailable for `cpu`.
  static result<model> open(span<const std::uint8_t> bytes, cpu wanted = cpu::automatic) { return open(bytes, nullptr, wanted); }
  /// Opens bytes that it then owns.
  static result<model> open(std::vector<std::uint8_t>&& bytes, cpu wanted = cpu::automatic) {
    const auto owner = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
    return open(*owner, owner, wanted);
  }
  /// Opens bytes that `owner` keeps alive, as `mapped_file` does (file.hpp); it is let go when the model is closed.
  static result<model> open(span<const std::uint8_t> bytes, std::shared_ptr<const void> owner, cpu wanted = cpu::automatic) {
    pkr_requirements need = detail::sized<pkr_requirements>();
    if (const pkr_status code = pkr_model_query(bytes.data(), bytes.size(), &need); code != PKR_OK) return detail::failed(code);
    auto made = std::make_shared<detail::open_model>(need.model_bytes);
    pkr_open_options options = detail::sized<pkr_open_options>();
    options.cpu = static_cast<std::uint32_t>(wanted);
    pkr_error_detail place = detail::no_place();
    const pkr_status code = pkr_model_open(bytes.data(), bytes.size(), made->place.data(), made->place.size(), &options,
                                           &made->handle, &place);
    if (code != PKR_OK) return detail::failed(code, place);
    made->owner = std::move(owner);
    if (const auto known = made->read(); !known) return known.error();
    return model(std::move(made));
  }

  model(model&&) noexcept = default;
  model& operator=(model&&) noexcept = default;
  model(const model&) = delete;
  model& operator=(const model&) = delete;
  ~model() = default;

  /// Closes the model now, and lets go of its bytes. Closing twice is fine. No other thread may be in a call with this model.
  void close() noexcept {
    if (!shared_) return;
    shared_->close();
    shared_->owner.reset();
  }
  bool is_open() const noexcept { return shared_ && !shared_->closed; }

  /// Of a closed model still what it was.
  const model_information& information() const noexcept { return block().information; }
  span<const feature_information> features() const noexcept { return block().features; }
  span<const task_information> tasks() const noexcept { return block().tasks; }
  /// Of the fusion: weights of a request. None if the file has a formula, which has weights of its own (`own_formula`).
  span<const term_information> terms() const noexcept { return block().terms; }
  /// Of the user state: what events name.
  span<const label_information> labels() const noexcept { return block().labels; }

  /// Indices by name. Linear in what there is: for when the model is opened, not for each request.
  result<std::uint32_t> feature_index(std::string_view text) const noexcept { return index(pkr_feature_index, text); }
  result<std::uint32_t> task_index(std::string_view text) const noexcept { return index(pkr_task_index, text); }
  result<std::uint32_t> term_index(std::string_view text) const noexcept { return index(pkr_term_index, text); }
  result<std::uint32_t> label_index(std::string_view text) const noexcept { return index(pkr_label_index, text); }

  /// Row of an id, for columns of rows; 0 for one that is not known. Errors: unknown_feature, wrong_form, missing_value.
  result<std::uint32_t> row_of(const key& value) const noexcept {
    std::uint32_t row = 0;
    if (const pkr_status code = pkr_row_of(handle(), &value, &row); code != PKR_OK) return detail::failed(code);
    return row;
  }

  /// The formula of the file itself; without one its methods answer unknown_task. (formula.hpp)
  formula_view own_formula() const noexcept;

  /// For calls of the C ABI; null if moved from.
  const pkr_model* handle() const noexcept { return shared_ ? shared_->handle : nullptr; }

 private:
  friend class formula_view;
  friend class formula;
  friend class ranker;
  friend class session;
  friend class request;
  friend class user_state;
  using ask_index = pkr_status (*)(const pkr_model*, const std::uint8_t*, std::size_t, std::uint32_t*);

  explicit model(std::shared_ptr<detail::open_model> shared) noexcept : shared_(std::move(shared)) {}
  const detail::open_model& block() const noexcept {
    static const detail::open_model nothing(0);
    return shared_ ? *shared_ : nothing;
  }
  result<std::uint32_t> index(ask_index ask, std::string_view text) const noexcept {
    std::uint32_t found = 0;
    if (const pkr_status code = ask(handle(), detail::bytes_of(text), text.size(), &found); code != PKR_OK)
      return detail::failed(code);
    return found;
  }
  std::shared_ptr<detail::open_model> shared_;
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

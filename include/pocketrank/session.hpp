// Feeds that go on: the user's state, what happened, and ranking again what is left (docs/sessions.md).
#ifndef POCKETRANK_SESSION_HPP
#define POCKETRANK_SESSION_HPP

#include "ranker.hpp"

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// One label of one impression, as it becomes known. Keys are borrowed.
struct event {
  std::uint32_t label = 0;     ///< `model::label_index`.
  std::int64_t time = 0;       ///< When it became known, Unix seconds.
  float value = 1;             ///< Binary labels 0 or 1.
  span<const key> keys{};      ///< What the impression showed, for features that are keyed by it; at most 128.

  pkr_event c() const noexcept {
    pkr_event made = detail::sized<pkr_event>();
    made.label = label;
    made.time = time;
    made.value = value;
    made.keys = keys.data();
    made.num_keys = keys.size();
    return made;
  }
};

/// What is known of one user: plain bytes, that the app may keep and copy. One thread at a time.
class user_state {
 public:
  /// A user without a past.
  static result<user_state> create(const model& of) {
    user_state made(of.shared_, of.information().state_bytes);
    if (const auto done = made.reset(); !done) return done.error();
    return made;
  }
  /// What `bytes` of an earlier run were. Whether they are sound is for the first use to say: state_layout (another model's
  /// features) and state_corrupt mean `reset`. Errors: buffer_too_small.
  static result<user_state> restore(const model& of, span<const std::uint8_t> bytes) {
    if (bytes.size() < of.information().state_bytes)
      return error{status::buffer_too_small, nowhere, nowhere, of.information().state_bytes};
    user_state made(of.shared_, 0);
    made.bytes_.assign(bytes.begin(), bytes.end());
    return made;
  }

  result<void> reset() noexcept {
    return detail::outcome(pkr_state_reset(model_ ? model_->handle : nullptr, bytes_.data(), bytes_.size()));
  }
  /// In the order in which they became known. On any error the state is as before.
  /// Errors: unknown_label, bad_time, state_layout, state_corrupt; unknown_feature, wrong_form for a key.
  result<void> apply(const event& what) noexcept {
    const pkr_event c = what.c();
    pkr_error_detail place = detail::no_place();
    return detail::outcome(pkr_state_apply(model_ ? model_->handle : nullptr, bytes_.data(), bytes_.size(), &c, &place), place);
  }
  span<const std::uint8_t> bytes() const noexcept { return bytes_; }

 private:
  user_state(std::shared_ptr<const detail::open_model> of, std::size_t bytes) : model_(std::move(of)), bytes_(bytes) {}
  std::shared_ptr<const detail::open_model> model_;
  std::vector<std::uint8_t> bytes_;
};

/// A feed while it is shown: the user's state, the candidates' item sums, and which of them are still to be shown. One thread at
/// a time, any ranker of the model. Every order has the bits of a fresh request about what is left with the state as it is.
class session {
 public:
  /// Begins with all candidates of `asked`, its state and its columns of item features. Errors: those of `ranker::rank`;
  /// bad_option for a request with `only` or item sums.
  static result<session> begin(ranker& by, const request& asked) {
    if (const auto checked = asked.check(); !checked) return checked.error();
    const pkr_request c = asked.c();
    std::size_t bytes = 0;
    if (const pkr_status code = pkr_session_bytes(by.model_handle(), c.num_candidates, &bytes); code != PKR_OK)
      return detail::failed(code);
    auto made = std::make_unique<feed>(bytes);
    pkr_error_detail place = detail::no_place();
    const pkr_status code =
        pkr_session_begin(by.model_handle(), by.handle(), &c, made->place.data(), bytes, &made->handle, &place);
    if (code != PKR_OK) return detail::failed(code, place);
    return session(by.model_, std::move(made));
  }

  session(session&&) noexcept = default;
  session& operator=(session&&) noexcept = default;
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session() = default;

  /// Wipes it. Closing twice is fine; calls answer `stale` from then on.
  void close() noexcept {
    if (feed_) feed_->close();
  }

  /// Adds what the user did to the session's state. On any error the state is as before. Errors: those of `user_state::apply`.
  result<void> feedback(const event& what) noexcept {
    const pkr_event c = what.c();
    pkr_error_detail place = detail::no_place();
    return detail::outcome(pkr_session_feedback(model_handle(), handle(), &c, &place), place);
  }
  /// Takes a candidate out of those still to be shown. Errors: bad_index if it is none of them.
  result<void> shown(std::uint32_t candidate) noexcept { return detail::outcome(pkr_session_shown(handle(), candidate)); }
  /// Orders what is left. `asked` is that of the beginning with today's columns of candidates, and without a state. What was
  /// shown comes last. On any error `out` is empty: keep the order there is.
  result<void> rerank(ranker& by, const request& asked, ranking& out) {
    const pkr_request c = asked.c();
    return out.fill(model_.get(), asked, c.num_candidates, ranking::want_order | ranking::want_scores,
                    [&](pkr_result* to, pkr_error_detail* place) {
                      return pkr_session_rerank(model_handle(), handle(), by.handle(), &c, to, place);
                    });
  }
  /// Copies the state, to be kept when the feed ends (`user_state::restore`).
  result<void> state(span<std::uint8_t> out) noexcept {
    return detail::outcome(pkr_session_state(handle(), out.data(), out.size()));
  }
  result<std::vector<std::uint8_t>> state() {
    std::vector<std::uint8_t> out(model_ ? model_->information.state_bytes : 0);
    if (const auto done = state(out); !done) return done.error();
    return out;
  }

 private:
  using feed = detail::opened<pkr_session, pkr_session_close>;
  session(std::shared_ptr<detail::open_model> of, std::unique_ptr<feed> made) noexcept
      : model_(std::move(of)), feed_(std::move(made)) {}
  const pkr_model* model_handle() const noexcept { return model_ ? model_->handle : nullptr; }
  pkr_session* handle() const noexcept { return feed_ ? feed_->handle : nullptr; }

  std::shared_ptr<detail::open_model> model_;
  std::unique_ptr<feed> feed_;
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

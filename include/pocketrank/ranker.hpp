// Ranking: a scratch for one thread, and what comes out.
#ifndef POCKETRANK_RANKER_HPP
#define POCKETRANK_RANKER_HPP

#include "request.hpp"

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// An order with its scores. Used again, it needs no new memory. After an error it is empty: show the server's order.
class ranking {
 public:
  ranking() = default;
  /// With the fusion's terms: why a candidate is where it is.
  static ranking with_terms() {
    ranking made;
    made.wants_terms_ = true;
    return made;
  }

  /// Indices of candidates, best first; equal ones by index.
  span<const std::uint32_t> order() const noexcept { return order_; }
  /// By candidate; negative infinity for one that was not scored.
  span<const float> fused() const noexcept { return fused_; }
  /// Of all candidates, row by row.
  span<const float> scores() const noexcept { return scores_; }
  /// Of one candidate by task; empty for one that there is not.
  span<const float> scores(std::size_t candidate) const noexcept { return row(scores_, candidate); }
  /// Of all candidates, row by row; empty unless made by `with_terms`. A fused score is their sum, added in their order.
  span<const float> terms() const noexcept { return terms_; }
  span<const float> terms(std::size_t candidate) const noexcept { return row(terms_, candidate); }

  std::uint32_t scored() const noexcept { return counts_.scored; }            ///< Candidates scored.
  std::uint32_t missing() const noexcept { return counts_.missing; }          ///< Values that took their default.
  std::uint32_t not_finite() const noexcept { return counts_.not_finite; }    ///< Infinite numbers that were clamped.
  std::uint32_t unknown_ids() const noexcept { return counts_.unknown_ids; }  ///< Ids and rows that took row 0.
  std::uint32_t cut_lists() const noexcept { return counts_.cut_lists; }      ///< Lists longer than their feature's max_len.

  void clear() noexcept {
    counts_ = {};
    rows_ = 0;
    order_.clear(), fused_.clear(), scores_.clear(), terms_.clear();
  }

 private:
  friend class ranker;
  friend class session;
  span<const float> row(const std::vector<float>& of, std::size_t candidate) const noexcept {
    if (candidate >= rows_) return {};
    const std::size_t width = of.size() / rows_;
    return {of.data() + candidate * width, width};
  }

  enum outputs : unsigned { want_order = 1, want_scores = 2 };

  /// Runs `call(result, place)` with memory for `rows` candidates; empty afterwards unless it succeeds. More candidates than any
  /// request may have get no memory, and the library's own answer.
  template <class Call>
  result<void> fill(const detail::open_model* of, const request& asked, std::size_t rows, unsigned wanted, Call call) {
    clear();
    if (auto checked = asked.check(); !checked) return checked;
    pkr_result out = detail::sized<pkr_result>();
    if (of != nullptr && rows <= of->information.candidates_max) {
      rows_ = rows;
      if ((wanted & want_order) != 0) {
        order_.resize(rows), fused_.resize(rows);
        if (wants_terms_) terms_.resize(rows * asked.num_terms());
      }
      if ((wanted & want_scores) != 0) scores_.resize(rows * of->tasks.size());
    }
    out.order = order_.data(), out.order_len = order_.size();
    out.fused = fused_.data(), out.fused_len = fused_.size();
    out.scores = scores_.data(), out.scores_len = scores_.size();
    out.terms = terms_.data(), out.terms_len = terms_.size();
    pkr_error_detail place = detail::no_place();
    const pkr_status code = call(&out, &place);
    if (code != PKR_OK) return clear(), detail::failed(code, place);
    counts_ = {out.scored, out.missing, out.not_finite, out.unknown_ids, out.cut_lists};
    return {};
  }

  struct counts {
    std::uint32_t scored = 0, missing = 0, not_finite = 0, unknown_ids = 0, cut_lists = 0;
  };
  bool wants_terms_ = false;
  std::size_t rows_ = 0;
  std::vector<std::uint32_t> order_;
  std::vector<float> fused_, scores_, terms_;
  counts counts_;
};

/// What one thread ranks with. It may move between threads; no two may use it at once. Shares the model.
///
/// No call allocates if it was given outputs of an earlier request as large.
class ranker {
 public:
  /// For requests of up to `candidates_max` candidates, 0: what the model allows. Errors: candidate_count; stale.
  static result<ranker> create(const model& of, std::uint32_t candidates_max = 0) {
    if (candidates_max == 0) candidates_max = of.information().candidates_max;
    std::size_t bytes = 0;
    pkr_status code = pkr_scratch_bytes(of.handle(), candidates_max, &bytes);
    if (code != PKR_OK) return detail::failed(code);
    auto made = std::make_unique<scratch>(bytes);
    code = pkr_scratch_init(of.handle(), candidates_max, made->place.data(), bytes, &made->handle);
    if (code != PKR_OK) return detail::failed(code);
    return ranker(of.shared_, std::move(made));
  }

  ranker(ranker&&) noexcept = default;
  ranker& operator=(ranker&&) noexcept = default;
  ranker(const ranker&) = delete;
  ranker& operator=(const ranker&) = delete;
  ~ranker() = default;

  /// Wipes it: nothing of any request stays in memory. Closing twice is fine; calls answer `stale` from then on.
  void close() noexcept {
    if (scratch_) scratch_->close();
  }

  /// Scores and orders. On any error `out` is empty: keep the server's order.
  /// Errors: 5xx for the request with feature and candidate, 6xx for the state, 7xx for the formula, 1xx.
  result<void> rank(const request& asked, ranking& out) {
    const pkr_request c = asked.c();
    return out.fill(model_.get(), asked, c.num_candidates, ranking::want_order | ranking::want_scores,
                    [&](pkr_result* to, pkr_error_detail* place) { return pkr_rank(model_handle(), handle(), &c, to, place); });
  }
  result<ranking> rank(const request& asked) {
    ranking out;
    if (const auto done = rank(asked, out); !done) return done.error();
    return out;
  }

  /// Scores what `only` names (or all), without an order: the part of one thread. `out` has a row for each, in their order.
  result<void> score(const request& asked, ranking& out) {
    const pkr_request c = asked.c();
    std::size_t rows = c.num_only != 0 ? c.num_only : c.num_candidates;
    if (c.max_candidates != 0 && c.max_candidates < rows) rows = c.max_candidates;
    return out.fill(model_.get(), asked, rows, ranking::want_scores,
                    [&](pkr_result* to, pkr_error_detail* place) { return pkr_score(model_handle(), handle(), &c, to, place); });
  }
  /// Fuses and orders by the scores of all parts, one after the other: what `rank` gives, but for scores.
  /// Errors: candidate_count for another number of scores; formula_scores for a formula that reads more than they say.
  result<void> order(const request& asked, span<const float> scores, ranking& out) {
    const pkr_request c = asked.c();
    return out.fill(model_.get(), asked, c.num_candidates, ranking::want_order, [&](pkr_result* to, pkr_error_detail* place) {
      return pkr_order(model_handle(), handle(), &c, scores.data(), scores.size(), to, place);
    });
  }

  /// What the first layer makes of each candidate's item features (of `only`, if it is there): a slot of
  /// `item_sums_bytes` each, to be kept and given to later requests of this very file.
  result<void> item_sums(const request& asked, span<std::uint8_t> out) {
    return with(asked, [&](const pkr_request* c, pkr_error_detail* place) {
      return pkr_item_sums(model_handle(), handle(), c, out.data(), out.size(), place);
    });
  }
  result<std::vector<std::uint8_t>> item_sums(const request& asked) {
    const pkr_request c = asked.c();
    const std::size_t rows = c.num_only != 0 ? c.num_only : c.num_candidates;
    const bool possible = model_ && rows <= model_->information.candidates_max;
    std::vector<std::uint8_t> out(possible ? rows * model_->information.item_sums_bytes : 0);
    if (const auto done = item_sums(asked, out); !done) return done.error();
    return out;
  }

  /// Why: shares of the experts in every task's mixture for one candidate, a row a task; each adds up to 1.
  result<void> gates(const request& asked, std::uint32_t candidate, std::vector<float>& out) {
    const auto ask = [&] {
      return with(asked, [&](const pkr_request* c, pkr_error_detail* place) {
        return pkr_gates(model_handle(), handle(), c, candidate, out.data(), out.size(), place);
      });
    };
    auto done = ask();
    if (done.status() != status::buffer_too_small || done.error().offset > 65536) return done;
    out.resize(static_cast<std::size_t>(done.error().offset));
    return ask();
  }
  result<std::vector<float>> gates(const request& asked, std::uint32_t candidate) {
    std::vector<float> out;
    if (const auto done = gates(asked, candidate, out); !done) return done.error();
    return out;
  }

  /// What a feature is to the network for every candidate, `dim` values each: vectors of `rules`. They depend on model and
  /// columns alone, so they may be kept. Errors: wrong_form for a feature of the user's side and a number without buckets.
  result<void> vectors(const request& asked, feature_ref feature, std::vector<std::int8_t>& out) {
    const std::uint32_t index = feature.resolve(model_handle());
    const std::size_t n = asked.candidates();
    const bool possible = model_ && index < model_->features.size() && n <= model_->information.candidates_max;
    out.resize(possible ? n * model_->features[index].dim : 0);
    return with(asked, [&](const pkr_request* c, pkr_error_detail* place) {
      return pkr_vectors(model_handle(), handle(), c, index, out.data(), out.size(), place);
    });
  }
  result<std::vector<std::int8_t>> vectors(const request& asked, feature_ref feature) {
    std::vector<std::int8_t> out;
    if (const auto done = vectors(asked, feature, out); !done) return done.error();
    return out;
  }

 private:
  friend class session;
  using scratch = detail::opened<pkr_scratch, pkr_scratch_close>;
  ranker(std::shared_ptr<detail::open_model> of, std::unique_ptr<scratch> made) noexcept
      : model_(std::move(of)), scratch_(std::move(made)) {}
  const pkr_model* model_handle() const noexcept { return model_ ? model_->handle : nullptr; }
  pkr_scratch* handle() const noexcept { return scratch_ ? scratch_->handle : nullptr; }
  template <class Call>
  result<void> with(const request& asked, Call call) {
    if (auto checked = asked.check(); !checked) return checked;
    const pkr_request c = asked.c();
    pkr_error_detail place = detail::no_place();
    return detail::outcome(call(&c, &place), place);
  }

  std::shared_ptr<detail::open_model> model_;
  std::unique_ptr<scratch> scratch_;
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

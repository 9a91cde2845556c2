// Lists under rules: spacing, decay, diversity, pins, chance (docs/reranking.md).
#ifndef POCKETRANK_RERANK_HPP
#define POCKETRANK_RERANK_HPP

#include "detail.hpp"

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

/// What stands at one position, and why.
using slot = pkr_slot;

/// The rules of one list; none: the order is that of the fused scores. Used again after `clear`, without new memory. Keys,
/// factors, vectors and the like are borrowed until the call has returned; they have one value a candidate.
class rules {
 public:
  /// At most `max` candidates of one key in any `window` positions (1 to 256) that follow each other; PKR_NO_KEY is under no
  /// rule. At most 8 of them, the most important first: if not all can be kept, the last is given up first.
  rules& spacing(span<const std::uint64_t> keys, std::uint32_t max, std::uint32_t window) {
    pkr_spacing made = detail::sized<pkr_spacing>();
    made.keys = keys.data(), made.num_keys = keys.size();
    made.max = max;
    made.window = window;
    return spacings_.push_back(made), *this;
  }
  /// Less for each candidate whose key is in the list already: behind n of them the distance above the least score counts
  /// (1 - floor) * factor^n + floor of what it is. At most 4 of them; together they multiply.
  rules& decay(span<const std::uint64_t> keys, float factor, float floor = 0) {
    pkr_decay made = detail::sized<pkr_decay>();
    made.keys = keys.data(), made.num_keys = keys.size();
    made.factor = factor;
    made.floor = floor;
    return decays_.push_back(made), *this;
  }
  /// A candidate that has a position whatever the rules are.
  rules& pin(std::uint32_t position, std::uint32_t candidate) { return pins_.push_back({position, candidate}), *this; }
  /// A position that stays empty, for what the app puts there itself.
  rules& block(std::uint32_t position) { return blocked_.push_back(position), *this; }
  /// A candidate that gets no position.
  rules& hide(std::uint32_t candidate) { return hidden_.push_back(candidate), *this; }
  /// Each within [0, 1024]: multiplies the distance of a fused score above the least.
  rules& factors(span<const float> values) noexcept {
    return c_.factors = values.data(), c_.num_factors = values.size(), *this;
  }
  /// Added after that, in units of fused scores.
  rules& bonuses(span<const float> values) noexcept {
    return c_.bonuses = values.data(), c_.num_bonuses = values.size(), *this;
  }
  /// Maximal marginal relevance; `lambda` within [0, 1] is the weight of relevance. `dim` values a candidate (`ranker::vectors`).
  rules& mmr(float lambda, span<const std::int8_t> vectors, std::uint32_t dim) noexcept {
    return diversity(PKR_DIVERSITY_MMR, lambda, vectors, dim);
  }
  /// The greedy list of a determinantal point process; `theta` within [0, 1024].
  rules& dpp(float theta, span<const std::int8_t> vectors, std::uint32_t dim) noexcept {
    return diversity(PKR_DIVERSITY_DPP, theta, vectors, dim);
  }
  /// Any candidate that the rules allow with this probability, else the best. The same seed gives the same list.
  rules& explore(float epsilon, std::uint64_t seed) noexcept {
    c_.exploration = PKR_EXPLORATION_EPSILON;
    c_.epsilon = epsilon;
    return c_.seed = seed, *this;
  }
  /// The best of draws: to each fused score a normal number of its deviation is added.
  rules& thompson(span<const float> sigma, std::uint64_t seed) noexcept {
    c_.exploration = PKR_EXPLORATION_THOMPSON;
    c_.sigma = sigma.data(), c_.num_sigma = sigma.size();
    return c_.seed = seed, *this;
  }
  /// No rules, with the memory of those there were.
  rules& clear() noexcept {
    c_ = detail::sized<pkr_rules>();
    spacings_.clear(), decays_.clear(), pins_.clear(), blocked_.clear(), hidden_.clear();
    return *this;
  }

  /// For calls of the C ABI; lives until the next change.
  pkr_rules c() const noexcept {
    pkr_rules made = c_;
    made.spacings = spacings_.data(), made.num_spacings = spacings_.size();
    made.decays = decays_.data(), made.num_decays = decays_.size();
    made.pins = pins_.data(), made.num_pins = pins_.size();
    made.blocked = blocked_.data(), made.num_blocked = blocked_.size();
    made.hidden = hidden_.data(), made.num_hidden = hidden_.size();
    return made;
  }

 private:
  rules& diversity(std::uint32_t kind, float weight, span<const std::int8_t> vectors, std::uint32_t dim) noexcept {
    c_.diversity = kind;
    c_.weight = weight;
    c_.vectors = vectors.data(), c_.num_vector_values = vectors.size();
    return c_.dim = dim, *this;
  }
  pkr_rules c_ = detail::sized<pkr_rules>();
  std::vector<pkr_spacing> spacings_;
  std::vector<pkr_decay> decays_;
  std::vector<pkr_pin> pins_;
  std::vector<std::uint32_t> blocked_, hidden_;
};

/// A list of positions. After an error it has none: keep the order there is.
class slot_list {
 public:
  span<const slot> slots() const noexcept { return slots_; }
  std::uint32_t placed() const noexcept { return c_.placed; }    ///< Slots with a candidate.
  std::uint32_t relaxed() const noexcept { return c_.relaxed; }  ///< All slots' `relaxed`: bit i, spacing rule i is broken.
  std::uint32_t kept() const noexcept { return c_.kept; }        ///< Spacing rules that only pins break, from the first on.
  std::uint64_t steps() const noexcept { return c_.steps; }      ///< Looks that it took.

 private:
  friend class reranker;
  pkr_list c_ = detail::sized<pkr_list>();
  std::vector<slot> slots_;
};

/// Memory for making lists, kept from one to the next. One thread at a time; needs no model.
class reranker {
 public:
  /// The best by `fused` under `by`, in `num_positions` positions (1 to 4,096). Candidates with negative infinity come last.
  /// Errors: bad_rule with PKR_RULES_* in `feature` and the element in `candidate`; not_finite; candidate_count.
  result<void> rerank(const rules& by, span<const float> fused, std::uint32_t num_positions, slot_list& out) {
    out.slots_.clear();
    out.c_ = detail::sized<pkr_list>();
    const pkr_rules c = by.c();
    const std::uint32_t n = fused.size() < PKR_NOWHERE ? static_cast<std::uint32_t>(fused.size()) : PKR_NOWHERE;
    std::size_t bytes = 0;
    if (const pkr_status code = pkr_rerank_bytes(n, num_positions, c.dim, &bytes); code != PKR_OK) return detail::failed(code);
    if (memory_.size() < bytes) memory_ = detail::memory(bytes);
    out.slots_.resize(num_positions);
    out.c_.slot_bytes = static_cast<std::uint32_t>(sizeof(slot));
    out.c_.slots = out.slots_.data(), out.c_.num_slots = num_positions;
    pkr_error_detail place = detail::no_place();
    const pkr_status code = pkr_rerank(&c, fused.data(), n, memory_.data(), memory_.size(), &out.c_, &place);
    if (code == PKR_OK) return {};
    out.slots_.clear();
    out.c_ = detail::sized<pkr_list>();
    return detail::failed(code, place);
  }
  result<slot_list> rerank(const rules& by, span<const float> fused, std::uint32_t num_positions) {
    slot_list out;
    if (const auto done = rerank(by, fused, num_positions, out); !done) return done.error();
    return out;
  }

 private:
  detail::memory memory_;
};

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

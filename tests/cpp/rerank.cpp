// Lists under rules.
#include "check.hpp"

void lists(const golden& plain) {
  const auto model = pkr::model::open(plain.bytes);
  auto ranker = pkr::ranker::create(*model);
  const std::uint32_t n = plain.stored.candidates;
  pkr::request request(*model);
  plain.stored.put(request);
  const auto ranked = ranker->rank(request);
  const auto vectors = ranker->vectors(request, "image");
  pkr::reranker reranker;
  pkr::rules rules;
  pkr::slot_list list;

  // No rules: the order of the ranking.
  CHECK(reranker.rerank(rules, ranked->fused(), n, list) && list.placed() == n && list.relaxed() == 0);
  for (std::uint32_t i = 0; i < n; i++) CHECK(list.slots()[i].candidate == ranked->order()[i] && list.slots()[i].propensity == 1);

  // A pin, a blocked position, a hidden candidate, spacing, decay, boosts.
  std::vector<std::uint64_t> authors(n);
  for (std::uint32_t i = 0; i < n; i++) authors[i] = i % 3;
  std::vector<float> factors(n, 1), bonuses(n, 0), sigma(n, 0.5f);
  const std::uint32_t best = ranked->order()[0], last = ranked->order()[n - 1], second = ranked->order()[1];
  rules.spacing(authors, 1, 2).decay(authors, 0.5f, 0.25f).pin(2, last).block(1).hide(best).factors(factors).bonuses(bonuses);
  CHECK(reranker.rerank(rules, ranked->fused(), 8, list) && list.slots().size() == 8 && list.placed() == 7);
  CHECK(list.slots()[1].candidate == PKR_NO_CANDIDATE && list.slots()[2].candidate == last && list.kept() <= 1);
  for (const pkr::slot& slot : list.slots()) CHECK(slot.candidate != best);
  const auto at_once = reranker.rerank(rules, ranked->fused(), 8);
  CHECK(at_once && std::memcmp(at_once->slots().data(), list.slots().data(), 8 * sizeof(pkr::slot)) == 0);
  CHECK(at_once->steps() == list.steps());
  const std::size_t before = allocations();
  for (int i = 0; i < 3; i++) {
    rules.clear().spacing(authors, 1, 2).pin(2, last).block(1).hide(best);
    CHECK(reranker.rerank(rules, ranked->fused(), 8, list));
  }
  CHECK(allocations() == before);
  factors[second] = 1024;
  bonuses[second] = 1e6f;
  CHECK(reranker.rerank(rules.clear().factors(factors).bonuses(bonuses), ranked->fused(), 8, list));
  CHECK(list.slots()[0].candidate == second);

  // How far a decay goes: to nothing of it with a floor of 1.
  for (const float floor : {0.0f, 1.0f}) {
    CHECK(reranker.rerank(rules.clear().decay(authors, 0.5f, floor), ranked->fused(), n, list));
    const auto& slots = list.slots();
    CHECK(std::any_of(slots.begin(), slots.end(), [](const pkr::slot& s) { return s.decay < 1; }) == (floor == 0.0f));
  }

  // Diversity and chance; the same seed gives the same list.
  for (int kind = 0; kind < 4; kind++) {
    rules.clear();
    if (kind == 0) rules.mmr(0.5f, *vectors, 5);
    if (kind == 1) rules.dpp(2, *vectors, 5);
    if (kind == 2) rules.explore(0.5f, 11);
    if (kind == 3) rules.thompson(sigma, 11);
    pkr::slot_list other;
    CHECK(reranker.rerank(rules, ranked->fused(), 8, list) && reranker.rerank(rules, ranked->fused(), 8, other));
    CHECK(std::memcmp(other.slots().data(), list.slots().data(), 8 * sizeof(pkr::slot)) == 0 && list.placed() == 8);
    if (kind < 2) CHECK(list.slots()[7].similarity != 0);
    if (kind > 1) CHECK(list.slots()[0].propensity < 1);
  }

  // Errors with their part and element; the list is empty then.
  rules.clear().spacing(authors, 1, 2).spacing(authors, 0, 2);
  auto refused = reranker.rerank(rules, ranked->fused(), 8, list);
  CHECK(refused.status() == status::bad_rule && refused.error().feature == PKR_RULES_SPACINGS && refused.error().candidate == 1);
  CHECK(list.slots().empty() && list.placed() == 0);
  refused = reranker.rerank(rules.clear().pin(0, n), ranked->fused(), 8, list);
  CHECK(refused.status() == status::bad_rule && refused.error().feature == PKR_RULES_PINS && refused.error().candidate == 0);
  CHECK(reranker.rerank(rules.clear().decay(authors, 0), ranked->fused(), 8, list).error().feature == PKR_RULES_DECAYS);
  CHECK(reranker.rerank(rules.clear().mmr(0.5f, *vectors, 4), ranked->fused(), 8, list).error().feature == PKR_RULES_DIVERSITY);
  CHECK(reranker.rerank(rules.clear().mmr(0.5f, *vectors, 257), ranked->fused(), 8, list).status() == status::bad_rule);
  std::vector<float> fused(n, 0);
  fused[3] = INFINITY;
  CHECK(reranker.rerank(rules.clear(), fused, 8, list).error().candidate == 3);
  CHECK(reranker.rerank(rules, fused, 0, list).status() == status::candidate_count);
  CHECK(reranker.rerank(rules, {}, 8, list).status() == status::candidate_count);
  CHECK(reranker.rerank(rules, ranked->fused(), UINT32_MAX, list).status() == status::candidate_count);
}

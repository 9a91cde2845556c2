// Rankers: parts of requests, item sums, gates, vectors, terms; moved and closed ones.
#include "check.hpp"

#include <cmath>

void rankers(const golden& plain) {
  const auto model = pkr::model::open(plain.bytes);
  auto ranker = pkr::ranker::create(*model);
  const std::uint32_t n = plain.stored.candidates;
  pkr::request request(*model);
  plain.stored.put(request);
  pkr::ranking whole = pkr::ranking::with_terms(), ranking;
  CHECK(ranker->rank(request, whole));
  const auto made = ranker->rank(request);
  CHECK(made && same(*made, whole));

  // A ranking is an order, and says why.
  std::vector<bool> seen(n);
  for (std::uint32_t i = 0; i < n; i++) {
    seen[whole.order()[i]] = true;
    if (i > 0) CHECK(whole.fused()[whole.order()[i - 1]] >= whole.fused()[whole.order()[i]]);
    CHECK(whole.scores(i).size() == 2 && whole.scores(i)[1] == whole.scores()[2 * i + 1]);
    CHECK(whole.terms(i).size() == 1 && whole.terms(i)[0] == whole.fused()[i]);
  }
  CHECK(std::count(seen.begin(), seen.end(), true) == static_cast<std::ptrdiff_t>(n) && whole.scored() == n);
  CHECK(whole.scores(n).empty() && made->terms().empty() && made->terms(0).empty());

  // In parts: the same bits.
  std::vector<float> scores;
  std::vector<std::uint32_t> all(n);
  for (std::uint32_t i = 0; i < n; i++) all[i] = i;
  const pkr::span<const std::uint32_t> indices(all);
  for (const auto& part : {indices.subspan(0, 4), indices.subspan(4, n - 4)}) {
    CHECK(ranker->score(request.only(part), ranking));
    CHECK(ranking.order().empty() && ranking.scored() == part.size() && ranking.scores().size() == 2 * part.size());
    scores.insert(scores.end(), ranking.scores().begin(), ranking.scores().end());
  }
  request.only({});
  CHECK(same(scores, whole.scores()));
  CHECK(ranker->order(request, scores, ranking) && same(ranking.order(), whole.order()) && same(ranking.fused(), whole.fused()));
  CHECK(ranking.scores().empty());
  scores.pop_back();
  CHECK(ranker->order(request, scores, ranking).status() == status::candidate_count && ranking.order().empty());
  scores.push_back(NAN);
  const auto refused = ranker->order(request, scores, ranking);
  CHECK(refused.status() == status::not_finite && refused.error().candidate == n - 1);
  const std::uint32_t backwards[] = {3, 2};
  CHECK(ranker->rank(request.only(backwards), ranking).status() == status::bad_index);
  request.only({});

  // Kept item sums: the same bits; changed ones are told, with their candidate.
  auto sums = ranker->item_sums(request);
  CHECK(sums && sums->size() == std::size_t{n} * 96);
  CHECK(ranker->rank(request.item_sums(*sums), ranking) && same(ranking, whole));
  std::vector<std::uint32_t> slots = all;
  slots[1] = PKR_NO_SLOT;
  CHECK(ranker->rank(request.item_sums(*sums, slots), ranking) && same(ranking, whole));
  slots[1] = n;
  CHECK(ranker->rank(request.item_sums(*sums, slots), ranking).status() == status::bad_index);
  (*sums)[2 * 96 + 40] ^= 1;
  const auto stale = ranker->rank(request.item_sums(*sums), ranking);
  CHECK(stale.status() == status::stale_sums && stale.error().candidate == 2);
  request.item_sums({});
  std::vector<std::uint8_t> little(95);
  CHECK(ranker->item_sums(request, little).status() == status::buffer_too_small);

  // Gates are shares; vectors are the network's inputs.
  const auto gates = ranker->gates(request, 0);
  CHECK(gates && gates->size() % 2 == 0 && !gates->empty());
  float sum = 0;
  for (std::size_t i = 0; i < gates->size() / 2; i++) sum += (*gates)[i];
  CHECK(std::fabs(sum - 1) < 1e-5f);
  CHECK(ranker->gates(request, n).status() == status::candidate_count);
  const auto vectors = ranker->vectors(request, "image");
  CHECK(vectors && vectors->size() == std::size_t{n} * 5);
  CHECK(ranker->vectors(request, "age").status() == status::wrong_form);
  CHECK(ranker->vectors(request, "nothing").status() == status::unknown_feature);
  CHECK(ranker->vectors(request, 99).status() == status::unknown_feature);

  // Leaving features out does something.
  const std::uint32_t without[] = {*model->feature_index("image"), 99};
  CHECK(ranker->rank(request.without({without, 1}), ranking) && !same(ranking.scores(), whole.scores()));
  CHECK(ranker->rank(request.without(without), ranking).status() == status::unknown_feature);
  request.without({});

  // Sizes, moves, closing.
  CHECK(pkr::ranker::create(*model, 4097).status() == status::candidate_count);
  auto narrow = pkr::ranker::create(*model, 2);
  CHECK(narrow->rank(request, ranking).status() == status::candidate_count && ranking.order().empty());
  pkr::ranker moved = *std::move(ranker);
  CHECK(moved.rank(request, ranking) && same(ranking, whole));
  CHECK(ranker->rank(request, ranking).status() == status::null_pointer);
  CHECK(ranker->gates(request, 0).status() == status::null_pointer);
  CHECK(ranker->score(request, ranking).status() == status::null_pointer);
  CHECK(ranker->item_sums(request).status() == status::null_pointer);
  ranker->close();
  moved.close();
  CHECK(moved.rank(request, ranking).status() == status::stale);
  CHECK(moved.order(request, whole.scores(), ranking).status() == status::stale);
  moved.close();
  moved = *pkr::ranker::create(*model, n);
  CHECK(moved.rank(request, ranking) && same(ranking, whole));
}

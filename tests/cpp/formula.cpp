// Formulas: a file's own, one that was shipped apart, and one that may not run.
#include "check.hpp"

static const std::uint8_t shipped[] = {
#include "../abi/formula.inc"
};

void formulas(const golden& plain, const golden& with_formula) {
  const auto model = pkr::model::open(plain.bytes);
  auto ranker = pkr::ranker::create(*model);
  const std::uint32_t n = plain.stored.candidates;
  auto formula = pkr::formula::open(*model, shipped);
  CHECK(formula);
  const auto about = formula->information();
  CHECK(about && about->text == "w0 * a + a * b" && about->num_weights == 1 && about->num_terms == 2 && about->cost > 0);
  const auto weight = formula->weight(0);
  CHECK(weight && weight->name == "w0" && weight->value == 2 && weight->least == 0 && weight->most == 4);
  CHECK(formula->weight(1).status() == status::unknown_task && formula->term(2).status() == status::unknown_task);
  CHECK(*formula->weight_index("w0") == 0 && formula->weight_index("w1").status() == status::unknown_task);
  CHECK(*formula->term(1) == "a * b");

  // Its fused score is the sum of its terms.
  pkr::request request(*model);
  plain.stored.put(request);
  const float half[] = {0.5f}, five[] = {5};
  pkr::ranking ranking = pkr::ranking::with_terms(), own;
  request.weights({});
  CHECK(ranker->rank(request, own));
  CHECK(ranker->rank(request.formula(*formula).weights(half), ranking));
  for (std::uint32_t i = 0; i < n; i++) {
    const float a = ranking.scores(i)[0], b = ranking.scores(i)[1];
    CHECK(ranking.terms(i).size() == 2 && ranking.terms(i)[0] == 0.5f * a && ranking.terms(i)[1] == a * b);
    CHECK(ranking.fused()[i] == ranking.terms(i)[0] + ranking.terms(i)[1]);
  }
  CHECK(ranker->rank(request.weights(five), ranking).status() == status::bad_weight);
  CHECK(ranker->rank(request.weights({}).no_formula(), ranking) && same(ranking, own));

  // Weights to try.
  float tried[1] = {}, twice[1] = {};
  CHECK(formula->perturb({}, 7, 8, 0.2f, tried) && formula->perturb({}, 7, 8, 0.2f, twice) && tried[0] == twice[0]);
  CHECK(tried[0] != 2 && tried[0] > 0 && tried[0] <= 4);
  CHECK(formula->perturb(half, 7, 8, 0, tried) && tried[0] == 0.5f);
  CHECK(formula->perturb({}, 7, 8, 5, tried).status() == status::bad_weight);
  CHECK(formula->perturb({}, 7, 8, 0.2f, {}).status() == status::buffer_too_small);

  // A file's own formula; none.
  const auto other = pkr::model::open(with_formula.bytes);
  const auto view = other->own_formula();
  CHECK(view.information() && view.information()->num_terms == 4 && view.information()->num_weights > 0);
  CHECK(view.weight(0) && *view.weight_index(view.weight(0)->name) == 0 && view.term(3) && !view.term(0)->empty());
  std::vector<float> own_weights(view.information()->num_weights);
  CHECK(view.perturb({}, 1, 2, 0.1f, own_weights));
  CHECK(model->own_formula().information().status() == status::unknown_task);
  auto other_ranker = pkr::ranker::create(*other);
  pkr::request other_request(*other);
  with_formula.stored.put(other_request);
  CHECK(other_ranker->rank(other_request.weights(own_weights), ranking) && ranking.terms(0).size() == 4);
  pkr::request foreign(*other, 1);
  CHECK(other_ranker->rank(foreign.formula(*formula), ranking).status() == status::formula_model);

  // What may not be opened.
  std::vector<std::uint8_t> changed(std::begin(shipped), std::end(shipped));
  changed[40] ^= 1;
  CHECK(pkr::formula::open(*model, changed).status() == status::bad_digest);
  CHECK(pkr::formula::open(*model, pkr::span<const std::uint8_t>(changed).subspan(0, 20)).status() == status::truncated);
  CHECK(pkr::formula::open(*model, {}).status() == status::truncated);

  // Moved, closed; a request keeps the one it names.
  pkr::formula moved = *std::move(formula);
  CHECK(formula->information().status() == status::null_pointer && formula->term(0).status() == status::null_pointer);
  CHECK(request.clear_columns().formula(*formula).check().status() == status::null_pointer);
  plain.stored.put(request);
  CHECK(ranker->rank(request.formula(moved).weights({}), ranking));
  {
    const auto brief = pkr::formula::open(*model, shipped);
    request.formula(*brief);
  }
  CHECK(ranker->rank(request, ranking));
  request.formula(moved);
  moved.close();
  moved.close();
  CHECK(ranker->rank(request, ranking).status() == status::stale && ranking.order().empty());
  CHECK(moved.information().status() == status::stale && moved.perturb({}, 1, 1, 0, tried).status() == status::stale);
}

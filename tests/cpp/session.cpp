// States and sessions: every order is that of a fresh request.
#include "check.hpp"

void sessions(const golden& plain) {
  const auto model = pkr::model::open(plain.bytes);
  auto ranker = pkr::ranker::create(*model);
  const std::uint32_t n = plain.stored.candidates;
  const std::int64_t now = plain.stored.time;

  // A state: reset, events, errors that leave it as it was, bytes that are kept.
  auto state = pkr::user_state::create(*model);
  CHECK(state && state->bytes().size() == 288);
  const auto copy = [&] { return std::vector<std::uint8_t>(state->bytes().begin(), state->bytes().end()); };
  const auto blank = copy();
  const pkr::key keys[] = {pkr::id_key(0, 1), pkr::number_key(*model->feature_index("length"), 3)};
  CHECK(state->apply({0, now - 1000, 1, keys}));
  const auto clicked = copy();
  CHECK(state->reset() && state->apply({0, now - 1000, 0, keys}) && copy() != clicked);  // the value counts
  CHECK(state->reset() && state->apply({0, now - 999, 1, keys}) && copy() != clicked);   // and the time
  CHECK(state->reset() && state->apply({0, now - 1000, 1, keys}) && copy() == clicked);
  CHECK(clicked != blank);
  const pkr::key bad_key[] = {pkr::id_key(99, 1)};
  CHECK(state->apply({99, now, 1, keys}).status() == status::unknown_label);
  CHECK(state->apply({0, INT64_MAX, 1, keys}).status() == status::bad_time);
  const auto refused = state->apply({0, now, 1, bad_key});
  CHECK(refused.status() == status::unknown_feature && copy() == clicked);
  auto kept = pkr::user_state::restore(*model, clicked);
  CHECK(kept && kept->apply({1, now - 900, 2, keys}));
  const auto cut = pkr::span<const std::uint8_t>(clicked).subspan(0, 287);
  CHECK(pkr::user_state::restore(*model, cut).status() == status::buffer_too_small);
  auto spoiled = clicked;
  spoiled.back() ^= 1;
  auto corrupt = pkr::user_state::restore(*model, spoiled);
  CHECK(corrupt->apply({0, now, 1, keys}).status() == status::state_corrupt);
  CHECK(corrupt->reset() && corrupt->apply({0, now, 1, keys}));
  CHECK(state->reset() && copy() == blank && state->apply({0, now - 1000, 1, keys}) && copy() == clicked);

  pkr::request request(*model);
  plain.stored.put(request);
  pkr::ranking ranking, fresh;
  CHECK(ranker->rank(request.state(spoiled), ranking).status() == status::state_corrupt);
  request.state(state->bytes());

  // A session.
  auto session = pkr::session::begin(*ranker, request);
  CHECK(session);
  std::vector<std::uint32_t> left(n);
  for (std::uint32_t i = 0; i < n; i++) left[i] = i;
  pkr::request stateless(*model), again(*model);
  plain.stored.put(stateless);
  plain.stored.put(again);
  stateless.state({});
  for (std::uint32_t step = 0; step < 6; step++) {
    CHECK(session->rerank(*ranker, stateless, ranking));
    const auto said = session->state();
    CHECK(said && *said == copy());
    CHECK(ranker->rank(again.only(left).state(state->bytes()), fresh) && same(ranking, fresh));
    CHECK(ranking.scored() == n - step);
    const std::uint32_t best = ranking.order()[0];
    CHECK(session->shown(best) && session->shown(best).status() == status::bad_index);
    left.erase(std::find(left.begin(), left.end(), best));
    const pkr::event liked{step % 2, now + step, 1, keys};
    CHECK(session->feedback(liked) && state->apply(liked));
    CHECK(session->feedback({99, now, 1, {}}).status() == status::unknown_label);
  }
  CHECK(session->rerank(*ranker, request, ranking).status() == status::bad_option && ranking.order().empty());
  stateless.candidates(n - 1);
  CHECK(session->rerank(*ranker, stateless, ranking).status() != status::ok);
  stateless.candidates(n);
  std::vector<std::uint8_t> little(287);
  CHECK(session->state(little).status() == status::buffer_too_small);
  CHECK(pkr::session::begin(*ranker, again).status() == status::bad_option);  // it has `only`
  CHECK(pkr::session::begin(*ranker, pkr::request(*model)).status() == status::candidate_count);
  CHECK(pkr::session::begin(*ranker, std::move(pkr::request(*model, n).ids(99, {}))).error().feature == 99);

  // Moved, closed, and beyond a ranker and a model.
  pkr::session moved = *std::move(session);
  CHECK(moved.rerank(*ranker, stateless, ranking));
  CHECK(session->rerank(*ranker, stateless, ranking).status() == status::null_pointer);
  CHECK(session->shown(0).status() == status::null_pointer && session->state().status() == status::null_pointer);
  CHECK(session->feedback({}).status() == status::null_pointer);
  auto second = pkr::ranker::create(*model);
  ranker->close();
  CHECK(moved.rerank(*ranker, stateless, ranking).status() == status::stale && moved.rerank(*second, stateless, ranking));
  moved.close();
  moved.close();
  CHECK(moved.rerank(*second, stateless, ranking).status() == status::stale && moved.shown(0).status() == status::stale);
  CHECK(moved.feedback({0, now, 1, keys}).status() == status::stale && moved.state().status() == status::stale);
}

// Requests: every kind of column, mistakes with their place, memory that is used again.
#include "check.hpp"

void requests(const golden& plain) {
  const auto model = pkr::model::open(plain.bytes);
  auto ranker = pkr::ranker::create(*model);
  const stored_request& stored = plain.stored;
  const std::uint32_t n = stored.candidates;
  pkr::request request(*model);
  pkr::ranking expected, ranking;
  stored.put(request);
  CHECK(ranker->rank(request, expected) && expected.order().size() == n);

  // A fresh request without columns: all missing, and counted.
  pkr::request empty(*model, n);
  empty.time(stored.time);
  CHECK(empty.candidates() == n && ranker->rank(empty, ranking) && ranking.missing() > 0);
  const std::uint32_t all_missing = ranking.missing();

  // By name or by index, with an int, a string and a view.
  const std::vector<std::uint64_t> ids(n, 1);
  for (int i = 0; i < 4; i++) {
    empty.clear_columns();
    if (i == 0) empty.ids("item", ids);
    if (i == 1) empty.ids(0, ids);
    if (i == 2) empty.ids(std::string("item"), ids);
    if (i == 3) empty.ids(model->feature_index("item").value(), ids);
    CHECK(ranker->rank(empty, ranking) && ranking.missing() < all_missing);
  }

  // Rows are what ids lead to; texts are what their offsets say.
  const auto row = model->row_of(pkr::id_key(0, 1));
  pkr::ranking by_rows;
  empty.clear_columns().ids(0, ids);
  CHECK(ranker->rank(empty, ranking));
  // Others are keyed by `item`: those need the id. `word` has none that are.
  CHECK(ranker->rank(empty.rows(0, std::vector<std::uint32_t>(n, *row)), by_rows).error().feature == 0);
  std::vector<std::string> texts;
  std::vector<std::uint32_t> rows, offsets{0};
  std::string utf8;
  for (std::uint32_t i = 0; i < n; i++) {
    texts.push_back("w" + std::to_string(i % 5));
    utf8 += texts.back();
    offsets.push_back(static_cast<std::uint32_t>(utf8.size()));
    rows.push_back(*model->row_of(pkr::text_key(*model->feature_index("word"), texts.back())));
  }
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  pkr::ranking by_text, by_texts;
  CHECK(ranker->rank(empty.clear_columns().text("word", utf8, offsets), by_text));
  CHECK(ranker->rank(empty.clear_columns().texts("word", views), by_texts) && same(by_text, by_texts));
  CHECK(ranker->rank(empty.clear_columns().rows("word", rows), by_rows) && same(by_text, by_rows));
  pkr::request moved = std::move(empty.clear_columns().texts("word", views));
  CHECK(ranker->rank(moved, by_texts) && same(by_text, by_texts));

  // Lists: with offsets, and one too few.
  const std::vector<std::uint32_t> ends(n + 1, 0);
  CHECK(ranker->rank(moved.clear_columns().ids("item_tags", {}, {ends}), ranking));
  const std::vector<std::uint32_t> short_ends(n, 0);
  const auto refused = ranker->rank(moved.ids("item_tags", {}, {short_ends}), ranking);
  CHECK(refused.status() == status::column_length && refused.error().feature == *model->feature_index("item_tags"));
  CHECK(ranking.order().empty() && ranking.scores().empty() && ranking.scored() == 0);  // the server's order stays

  // Weights of lists: of features that take them, one an id.
  int weighted = 0;
  for (std::uint32_t f = 0; f < model->features().size(); f++) {
    const auto& feature = model->features()[f];
    if (!feature.weighted || feature.side == pkr::side::user) continue;
    std::vector<std::uint32_t> pairs;
    for (std::uint32_t i = 0; i <= n; i++) pairs.push_back(2 * i);
    const std::vector<std::uint32_t> two(2 * n, 1);
    const std::vector<float> some(2 * n, 0.5f), few(2 * n - 1, 0.5f);
    CHECK(ranker->rank(moved.clear_columns().rows(f, two, {pairs, some}), ranking));
    CHECK(ranker->rank(moved.rows(f, two, {pairs, few}), ranking).status() == status::column_length);
    weighted++;
  }
  CHECK(weighted > 0);

  // What there is not is remembered until the columns are cleared, and named.
  moved.clear_columns().ids(99, ids).ids("nothing", ids);
  CHECK(moved.check().status() == status::unknown_feature && moved.check().error().feature == 99);
  CHECK(ranker->rank(moved, ranking).error().feature == 99 && ranker->item_sums(moved).status() == status::unknown_feature);
  CHECK(moved.clear_columns().ids(-1, ids).check().error().feature == pkr::nowhere);
  CHECK(moved.clear_columns().texts("nothing", views).check().status() == status::unknown_feature);
  CHECK(moved.clear_columns().check());

  // Forms and lengths that do not fit say where; values of none are not "missing".
  const auto size = *model->feature_index("server_score");
  std::vector<float> floats(n, 0.5f);
  CHECK(ranker->rank(moved.floats(size, floats), ranking));
  CHECK(ranker->rank(moved.ids(size, ids), ranking).error().feature == size);
  CHECK(ranker->rank(moved.ids(size, ids), ranking).status() == status::wrong_form);
  CHECK(ranker->rank(moved.floats(size, {}), ranking).status() == status::column_length);
  const std::vector<float> emptied;
  CHECK(ranker->rank(moved.floats(size, emptied), ranking).status() == status::column_length);
  CHECK(ranker->rank(moved.missing(size), ranking));
  const std::vector<std::uint8_t> bytes(std::size_t{n} * 5, 128);
  CHECK(ranker->rank(moved.bytes("image", bytes), ranking).status() == status::vector_byte);

  // Strict: missing values, infinite numbers, unknown ids are errors with their candidate.
  floats[3] = INFINITY;
  moved.clear_columns().floats(size, floats);
  CHECK(ranker->rank(moved, ranking) && ranking.not_finite() == 1);
  CHECK(ranker->rank(moved.strict(), ranking).status() == status::missing_value);
  stored.put(moved);
  moved.floats(size, floats).strict();
  const auto strict = ranker->rank(moved, ranking);
  CHECK(strict.status() != status::ok && strict.error().feature != pkr::nowhere);

  // Weights, limits, numbers of candidates.
  stored.put(moved);
  const std::vector<float> weights{0.25f};
  CHECK(ranker->rank(moved.weights(weights), ranking) && !same(ranking.fused(), expected.fused()));
  CHECK(ranker->rank(moved.weights(floats), ranking).status() == status::unknown_task);
  const std::vector<float> wrong{INFINITY};
  CHECK(ranker->rank(moved.weights(wrong), ranking).status() == status::bad_weight);
  CHECK(ranker->rank(moved.weights(weights).max_candidates(3), ranking) && ranking.scored() == 3);
  for (const std::uint32_t count : {0u, 4097u, UINT32_MAX})
    CHECK(ranker->rank(moved.candidates(count), ranking).status() == status::candidate_count && ranking.order().empty());

  // Used again it is as new, and allocates nothing.
  stored.put(moved);
  CHECK(ranker->rank(moved, ranking) && same(ranking, expected));
  moved.clear_columns().texts("word", views);
  const std::size_t before = allocations();
  for (int i = 0; i < 3; i++) {
    CHECK(ranker->rank(moved.clear_columns().texts("word", views).floats(size, floats), ranking));
    stored.put(moved);
    CHECK(ranker->rank(moved, ranking) && same(ranking, expected));
  }
  CHECK(allocations() == before);
}

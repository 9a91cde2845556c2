// Models: opening, describing, moving, closing.
#include "check.hpp"

#include "pocketrank/file.hpp"

#include <type_traits>

template <class T>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(moves_only<pkr::model> && moves_only<pkr::ranker> && moves_only<pkr::session> && moves_only<pkr::formula> &&
              moves_only<pkr::request>);

static void opens(const golden& plain) {
  CHECK(pkr::model::open(plain.bytes));
  CHECK(pkr::model::open(plain.bytes, pkr::cpu::portable)->information().isa == "portable");
  CHECK(pkr::model::open(plain.bytes, static_cast<pkr::cpu>(77)).status() == status::bad_option);
  CHECK(pkr::model::open(pkr::span<const std::uint8_t>()).status() == status::truncated);

  std::vector<std::uint8_t> owned = plain.bytes;
  CHECK(pkr::model::open(std::move(owned)) && owned.empty());

  auto changed = plain.bytes;
  changed[changed.size() / 2] ^= 1;
  CHECK(pkr::model::open(changed).status() == status::bad_digest);
  changed = plain.bytes;
  changed.pop_back();
  CHECK(pkr::model::open(changed).status() == status::bad_length || pkr::model::open(changed).status() == status::truncated);
  changed = plain.bytes;
  changed[0] ^= 1;
  CHECK(pkr::model::open(changed).status() == status::bad_magic);

  const char* const path = "pocketrank-test.pkr";
  CHECK(!pkr::mapped_file::open("pocketrank-test.nothing"));
  CHECK(!pkr::mapped_file::open("."));
  const auto size = static_cast<std::streamsize>(plain.bytes.size());
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(plain.bytes.data()), size);
  auto file = pkr::mapped_file::open(path);
  CHECK(file && file->bytes.size() == plain.bytes.size());
  auto model = pkr::model::open(file->bytes, file->owner);
  CHECK(model);
  file.reset();  // the model keeps the bytes
  CHECK(model->feature_index("item").status() == status::ok && pkr::ranker::create(*model));
  std::ofstream(path, std::ios::trunc);
  file = pkr::mapped_file::open(path);
  CHECK(file && file->bytes.empty());
  std::remove(path);
}

static void describes(const golden& plain, const golden& with_formula) {
  const auto model = pkr::model::open(plain.bytes);
  const pkr::model_information& about = model->information();
  std::uint64_t digest = 0;
  for (int i = 7; i >= 0; i--) digest = digest << 8 | plain.bytes[8 + static_cast<std::size_t>(i)];
  CHECK(about.name == "golden" && about.digest == digest && !about.isa.empty());
  CHECK(about.candidates_max == 4096 && about.state_bytes == 288 && about.item_sums_bytes == 96);
  CHECK(model->features().size() == 32 && model->tasks().size() == 2 && model->labels().size() == 2);
  CHECK(model->terms().size() == 1 && about.num_terms == 1);
  for (std::uint32_t i = 0; i < 32; i++) CHECK(*model->feature_index(model->features()[i].name) == i);
  for (std::uint32_t i = 0; i < 2; i++) {
    CHECK(*model->task_index(model->tasks()[i].name) == i);
    CHECK(*model->label_index(model->labels()[i].name) == i);
  }
  CHECK(*model->term_index(model->terms()[0].name) == 0 && model->terms()[0].task < 2);
  const auto& item = model->features()[0];
  CHECK(item.name == "item" && item.side == pkr::side::item && item.kind == pkr::feature_kind::id);
  CHECK(item.id_type == pkr::id_type::integer && !item.derived && item.dim == 2 && item.num_embeddings == 5);
  CHECK(model->features()[3].kind == pkr::feature_kind::ids && model->features()[3].max_len > 0);
  CHECK(model->features()[15].derived && model->features()[15].side == pkr::side::cross);
  CHECK(model->tasks()[1].kind == pkr::task_kind::duration && model->tasks()[1].unit == "s");
  CHECK(model->feature_index("nothing").status() == status::unknown_feature);
  CHECK(model->task_index("nothing").status() == status::unknown_task);
  CHECK(model->term_index("").status() == status::unknown_task);
  CHECK(model->label_index("nothing").status() == status::unknown_label);

  // A text and its hash lead to the same row.
  const auto city = *model->feature_index("city");
  const auto hash = pkr::hash_text("x");
  CHECK(hash && model->row_of(pkr::text_key(city, "x")).value() == model->row_of(pkr::id_key(city, *hash)).value());
  CHECK(model->row_of(pkr::text_key(city, "")).status() == status::missing_value);
  CHECK(model->row_of(pkr::text_key(0, "x")).status() == status::wrong_form);
  CHECK(model->row_of(pkr::id_key(99, 1)).status() == status::unknown_feature);
  CHECK(model->row_of(pkr::number_key(0, 1)).status() == status::wrong_form);

  // The terms of a formula have texts of their own.
  const auto other = pkr::model::open(with_formula.bytes);
  CHECK(other && other->terms().size() == 0 && other->information().num_terms == 4);
}

static void closes(const golden& plain) {
  auto opened = pkr::model::open(std::vector<std::uint8_t>(plain.bytes));
  pkr::model model = *std::move(opened);
  auto ranker = pkr::ranker::create(model);
  pkr::request request(model);
  plain.stored.put(request);
  CHECK(model.is_open() && ranker->rank(request));

  pkr::model moved = std::move(model);
  CHECK(moved.is_open() && ranker->rank(request));
  CHECK(!model.is_open() && model.features().size() == 0 && model.information().name.empty());  // NOLINT: after the move
  CHECK(model.feature_index("item").status() == status::null_pointer);
  CHECK(pkr::ranker::create(model).status() != status::ok);
  CHECK(pkr::user_state::create(model).status() == status::null_pointer);
  CHECK(model.own_formula().information().status() == status::null_pointer);
  model.close();

  moved.close();
  CHECK(!moved.is_open() && moved.features().size() == 32);  // what it was, it says still
  CHECK(moved.feature_index("item").status() == status::stale);
  CHECK(moved.row_of(pkr::id_key(0, 1)).status() == status::stale);
  CHECK(pkr::ranker::create(moved).status() == status::stale);
  CHECK(ranker->rank(request).status() == status::stale);
  moved.close();  // twice is fine
  moved = *pkr::model::open(plain.bytes);
  CHECK(moved.is_open() && ranker->rank(request).status() == status::stale);

  // A ranker keeps the model that it was made for.
  auto kept = pkr::ranker::create(*pkr::model::open(std::vector<std::uint8_t>(plain.bytes)));
  CHECK(kept->rank(request));
}

void models(const golden& plain, const golden& with_formula) {
  opens(plain);
  describes(plain, with_formula);
  closes(plain);
}

// What a model says of itself: the structs pkr_*_information with texts of their own, so that they outlive the model.
#ifndef POCKETRANK_INFORMATION_HPP
#define POCKETRANK_INFORMATION_HPP

#include "detail.hpp"

#include <memory>
#include <string>

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

enum class side : std::uint32_t {
  user = PKR_SIDE_USER,            ///< The same for the whole request: one value (or list) a column.
  item = PKR_SIDE_ITEM,            ///< Belongs to the candidate alone and is stable.
  candidate = PKR_SIDE_CANDIDATE,  ///< Belongs to the candidate in this request.
  cross = PKR_SIDE_CROSS,          ///< Derived from user and candidate.
};

enum class feature_kind : std::uint32_t {
  id = PKR_FEATURE_ID,          ///< One id a value: ids, text or rows.
  ids = PKR_FEATURE_IDS,        ///< A list of ids a value: the same with lists.
  number = PKR_FEATURE_NUMBER,  ///< Floats.
  vector = PKR_FEATURE_VECTOR,  ///< Bytes.
};

enum class id_type : std::uint32_t { none = PKR_ID_NONE, integer = PKR_ID_INT, text = PKR_ID_TEXT };

enum class task_kind : std::uint32_t {
  binary = PKR_TASK_BINARY,      ///< Its score is a probability.
  duration = PKR_TASK_DURATION,  ///< Its score is a duration in `unit`.
};

/// A model as a whole.
struct model_information {
  std::string name;
  std::string isa;                  ///< Instruction set that runs, as "portable".
  std::uint64_t digest = 0;         ///< XXH3-64 of the file: names it.
  std::uint32_t candidates_max = 0;  ///< Of a request.
  std::uint32_t num_terms = 0;      ///< Of the fusion, or of the file's formula.
  std::size_t state_bytes = 0;      ///< Of a user's state; 0: no derived features.
  std::size_t item_sums_bytes = 0;  ///< Of one item's kept sums; 0: no item features, or no sessions in the library.
};

/// One feature: a column of a request.
struct feature_information {
  std::string name;
  pocketrank::side side = pocketrank::side::user;
  feature_kind kind = feature_kind::id;
  pocketrank::id_type id_type = pocketrank::id_type::none;
  bool derived = false;              ///< Computed by the engine: the app sends no column.
  bool weighted = false;             ///< A list takes weights.
  std::uint32_t max_len = 1;         ///< Ids of a list that are used.
  std::uint32_t dim = 0;             ///< Bytes of a vector, values of an embedding row; 1 for a number without buckets.
  std::uint32_t num_embeddings = 0;  ///< Rows of the table, 0 without one.
};

/// One task: a score of each candidate.
struct task_information {
  std::string name;
  std::string unit;
  task_kind kind = task_kind::binary;
  std::uint32_t given = nowhere;  ///< The task that the score is conditional on; `nowhere`: per impression.
};

/// One term of the fusion.
struct term_information {
  std::string name;
  std::uint32_t task = 0;
  bool entire = false;  ///< Uses the score per impression, not the conditional one.
  float weight = 0;     ///< In the file.
};

/// One label that feeds the user state.
struct label_information {
  std::string name;
  bool log1p = false;  ///< The state keeps ln(1 + value).
};

namespace detail {

inline std::string text(const char* at, std::size_t bytes) { return at == nullptr ? std::string() : std::string(at, bytes); }

/// All of a kind, by index: asks the library `count` times.
template <class Out, class In, class Convert>
result<void> describe(const pkr_model* model, std::uint32_t count, pkr_status (*ask)(const pkr_model*, std::uint32_t, In*),
                      std::vector<Out>& out, Convert convert) {
  for (std::uint32_t i = 0; i < count; i++) {
    In information = sized<In>();
    if (const pkr_status code = ask(model, i, &information); code != PKR_OK) return failed(code);
    out.push_back(convert(information));
  }
  return {};
}

/// An open model with the bytes it keeps alive and what it says of itself.
struct open_model : opened<pkr_model, pkr_model_close> {
  using opened::opened;
  ~open_model() { close(); }  // before the bytes go

  result<void> read() {
    pkr_model_information in = sized<pkr_model_information>();
    if (const pkr_status code = pkr_model_info(handle, &in); code != PKR_OK) return failed(code);
    information = {text(in.name, in.name_bytes), text(in.isa, in.isa_bytes), in.digest, in.candidates_max, in.num_terms,
                   in.state_bytes, in.item_sums_bytes};
    auto done = describe(handle, in.num_features, pkr_feature_info, features, [](const pkr_feature_information& f) {
      return feature_information{text(f.name, f.name_bytes), side{f.side},      feature_kind{f.kind}, id_type{f.id_type},
                                 f.derived != 0,             f.weighted != 0,   f.max_len,            f.dim,
                                 f.num_embeddings};
    });
    if (done) done = describe(handle, in.num_tasks, pkr_task_info, tasks, [](const pkr_task_information& t) {
      return task_information{text(t.name, t.name_bytes), text(t.unit, t.unit_bytes), task_kind{t.kind}, t.given};
    });
    // A file with a formula describes no terms: their texts are for `own_formula` to tell.
    pkr_term_information first = sized<pkr_term_information>();
    const bool has_formula = pkr_term_info(handle, 0, &first) == PKR_ERR_UNKNOWN_TASK;
    if (done) done = describe(handle, has_formula ? 0 : in.num_terms, pkr_term_info, terms, [](const pkr_term_information& t) {
      return term_information{text(t.name, t.name_bytes), t.task, t.entire != 0, t.weight};
    });
    if (done) done = describe(handle, in.num_labels, pkr_label_info, labels, [](const pkr_label_information& l) {
      return label_information{text(l.name, l.name_bytes), l.log1p != 0};
    });
    return done;
  }

  std::shared_ptr<const void> owner;
  model_information information;
  std::vector<feature_information> features;
  std::vector<task_information> tasks;
  std::vector<term_information> terms;
  std::vector<label_information> labels;
};

}  // namespace detail
}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif

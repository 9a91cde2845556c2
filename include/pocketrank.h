/*
 * pocketrank: multi-objective ranking on the phone.
 *
 * Order of use: pkr_model_query, pkr_model_open, pkr_scratch_bytes and pkr_scratch_init (once a thread), then
 * pkr_rank for each request; pkr_scratch_close, pkr_model_close.
 *
 * Rules of every function:
 * - It returns PKR_OK or a PKR_ERR_* status. On any error of pkr_rank, keep the order that the server sent.
 * - Outputs are written only on success, `detail` only on failure.
 * - Every struct begins with struct_size: set it to sizeof the struct, also where the struct is an output.
 * - All memory is the caller's. Nothing is allocated, locked, or kept unless the function says so.
 * - NULL, misaligned, overlapping and stale pointers get a 1xx status. Pointers to freed or shorter memory than stated
 *   are undefined behaviour.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef POCKETRANK_H
#define POCKETRANK_H

/* Generated from src/ffi by cbindgen; a test says when it is stale (UPDATE_HEADER=1 rewrites it). */

#include <stddef.h>
#include <stdint.h>

/**
 * An index that does not apply.
 */
#define PKR_NOWHERE 4294967295

/**
 * Version of this ABI: grows by one when a function or struct field is added. An app built against version n runs
 * with every library of version n or later.
 */
#define PKR_ABI_VERSION 1

/**
 * Alignment of all memory handed to the library for handles; what malloc returns is aligned so.
 */
#define PKR_MEMORY_ALIGNMENT 8

/**
 * The best instruction set that the library can tell this CPU has.
 */
#define PKR_CPU_AUTO 0

/**
 * Plain code that every CPU runs. Scores are the same bits.
 */
#define PKR_CPU_PORTABLE 1

/**
 * aarch64 with dot products: a third of the arithmetic instructions of plain NEON, on CPUs that have them (Armv8.2 cores from
 * 2018 on). Only for an app that has asked: `getauxval(AT_HWCAP) & HWCAP_ASIMDDP` on Linux and Android, `sysctlbyname` of
 * `hw.optional.arm.FEAT_DotProd` on Apple's systems. On a CPU without them the first request ends the process. The library
 * can't find out by itself: it links to no system library, and the CPU's identification register may not be read before
 * Linux 4.11. Scores are the same bits.
 */
#define PKR_CPU_NEON_DOTPROD 2

/**
 * aarch64 with products of matrices: half the product instructions of PKR_CPU_NEON_DOTPROD, on CPUs that have them (Armv8.6 and
 * Armv9 cores). In libraries built with feature `i8mm` only (`ffi/build.sh` builds with it); elsewhere PKR_ERR_BAD_OPTION.
 * Only for an app that has asked: `getauxval(AT_HWCAP2) & HWCAP2_I8MM` on Linux and Android, `sysctlbyname` of
 * `hw.optional.arm.FEAT_I8MM` on Apple's systems. On a CPU without them the first request ends the process. Scores are the
 * same bits.
 */
#define PKR_CPU_NEON_I8MM 3

/**
 * The same for the whole request: one value (or list) a column.
 */
#define PKR_SIDE_USER 0

/**
 * Belongs to the candidate alone and is stable.
 */
#define PKR_SIDE_ITEM 1

/**
 * Belongs to the candidate in this request.
 */
#define PKR_SIDE_CANDIDATE 2

/**
 * Derived from user and candidate.
 */
#define PKR_SIDE_CROSS 3

/**
 * One id a value: PKR_FORM_IDS, PKR_FORM_TEXT or PKR_FORM_ROWS.
 */
#define PKR_FEATURE_ID 0

/**
 * A list of ids a value: the same forms with `list_offsets`.
 */
#define PKR_FEATURE_IDS 1

/**
 * A number: PKR_FORM_FLOATS.
 */
#define PKR_FEATURE_NUMBER 2

/**
 * A vector: PKR_FORM_BYTES.
 */
#define PKR_FEATURE_VECTOR 3

/**
 * The feature takes no ids.
 */
#define PKR_ID_NONE 0

/**
 * Ids are 64-bit integers.
 */
#define PKR_ID_INT 1

/**
 * Ids are UTF-8 texts.
 */
#define PKR_ID_TEXT 2

/**
 * Its score is a probability.
 */
#define PKR_TASK_BINARY 0

/**
 * Its score is a quantity in `unit`, at least 0: a duration, or the mean of the levels that a user reaches.
 */
#define PKR_TASK_DURATION 1

/**
 * The app has no values: `values` and all else are ignored.
 */
#define PKR_FORM_MISSING 0

/**
 * `values` are uint64_t ids of a table of ints; UINT64_MAX is a missing id.
 */
#define PKR_FORM_IDS 1

/**
 * `values` are UTF-8 bytes; `offsets` divide them into ids. An empty id is missing.
 */
#define PKR_FORM_TEXT 2

/**
 * `values` are uint32_t rows of the feature's table, resolved before by `pkr_row_of`; UINT32_MAX is a missing row.
 * Not for features by which others are keyed (crosses, rates by key): those need the id.
 */
#define PKR_FORM_ROWS 3

/**
 * `values` are floats; NaN is a missing number.
 */
#define PKR_FORM_FLOATS 4

/**
 * `values` are bytes 0..127 of vectors on the model's grid, `dim` a value.
 */
#define PKR_FORM_BYTES 5

/**
 * Flag of a request: answer with a 5xx status where a value is missing, not finite or unknown, instead of counting it.
 */
#define PKR_STRICT 1

/**
 * A candidate whose item sums were not kept.
 */
#define PKR_NO_SLOT 4294967295

/**
 * `id` is what PKR_FORM_IDS takes: an int, or for a feature of texts what `pkr_hash_text` made. UINT64_MAX: missing.
 */
#define PKR_KEY_ID 0

/**
 * `text[text_bytes]` is an id in UTF-8. Empty: missing.
 */
#define PKR_KEY_TEXT 1

/**
 * `number` is the raw value of a number with buckets. NaN: missing.
 */
#define PKR_KEY_NUMBER 2

/**
 * A key that no other candidate shares.
 */
#define PKR_NO_KEY 18446744073709551615ull

/**
 * The candidate of an empty slot.
 */
#define PKR_NO_CANDIDATE 4294967295

/**
 * By score alone.
 */
#define PKR_DIVERSITY_NONE 0

/**
 * Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998); `weight` is lambda, within [0, 1].
 */
#define PKR_DIVERSITY_MMR 1

/**
 * The greedy list of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018); `weight` is theta, within [0, 1024].
 */
#define PKR_DIVERSITY_DPP 2

/**
 * No chance.
 */
#define PKR_EXPLORATION_NONE 0

/**
 * Any candidate that the rules allow with probability `epsilon`, else the best.
 */
#define PKR_EXPLORATION_EPSILON 1

/**
 * The best of draws: to each fused score a normal number of deviation `sigma` is added.
 */
#define PKR_EXPLORATION_THOMPSON 2

/**
 * `feature` of a detail of PKR_ERR_BAD_RULE: `factors`; `candidate` is the candidate.
 */
#define PKR_RULES_FACTORS 0

/**
 * `bonuses`; `candidate` is the candidate.
 */
#define PKR_RULES_BONUSES 1

/**
 * `decays`; `candidate` is the index of the decay.
 */
#define PKR_RULES_DECAYS 2

/**
 * `spacings`; `candidate` is the index of the rule.
 */
#define PKR_RULES_SPACINGS 3

/**
 * `pins`; `candidate` is the index of the pin.
 */
#define PKR_RULES_PINS 4

/**
 * `blocked`; `candidate` is the index in it.
 */
#define PKR_RULES_BLOCKED 5

/**
 * `hidden`; `candidate` is the index in it.
 */
#define PKR_RULES_HIDDEN 6

/**
 * `diversity`, `weight`, `vectors` and `dim`.
 */
#define PKR_RULES_DIVERSITY 7

/**
 * `exploration`, `epsilon` and `sigma`; `candidate` is the candidate of a sigma.
 */
#define PKR_RULES_EXPLORATION 8

/**
 * A formula that was opened for a model, in memory of the caller. Immutable: any number of threads may use it. It borrows the
 * bytes it was opened from: they must stay where they are, unchanged, until it is closed. A copy answers PKR_ERR_STALE.
 */
typedef struct pkr_formula pkr_formula;

/**
 * An open model, in memory of the caller. Immutable: any number of threads may use it, each with its own
 * pkr_scratch. It borrows the bytes it was opened from: they must stay where they are, unchanged, until it is closed
 * and no call on it runs. It must not be moved or copied: a copy answers PKR_ERR_STALE.
 */
typedef struct pkr_model pkr_model;

/**
 * Working memory of `pkr_rank`, in memory of the caller. One a thread: it may move between threads, but no two may
 * use it at once. Its contents never influence a result. A copy answers PKR_ERR_STALE.
 */
typedef struct pkr_scratch pkr_scratch;

/**
 * A feed while it is shown, in memory of the caller: the user's state, the candidates' item sums, and which of them are
 * still to be shown. It belongs to one thread at a time. A copy answers PKR_ERR_STALE.
 */
typedef struct pkr_session pkr_session;

/**
 * Outcome of a call: `PKR_OK` or one of `PKR_ERR_*`. Numbers come in fixed blocks of a hundred per class and are
 * never reused, so they may be logged.
 */
typedef uint32_t pkr_status;

/**
 * What opening a model needs.
 */
typedef struct {
  /**
   * sizeof(pkr_requirements).
   */
  uint32_t struct_size;
  /**
   * Alignment of the memory, in bytes.
   */
  uint32_t alignment;
  /**
   * Bytes of memory for the handle. The same for every model of one version of the library.
   */
  size_t model_bytes;
} pkr_requirements;

/**
 * How to open a model.
 */
typedef struct {
  /**
   * sizeof(pkr_open_options).
   */
  uint32_t struct_size;
  /**
   * A PKR_CPU_ value; PKR_ERR_BAD_OPTION for one that this library was not built for.
   */
  uint32_t cpu;
} pkr_open_options;

/**
 * Where an error happened. Written only when a call fails, and then only if the caller passed one.
 */
typedef struct {
  /**
   * sizeof(pkr_error_detail).
   */
  uint32_t struct_size;
  /**
   * What the call returned.
   */
  pkr_status status;
  /**
   * Feature index, or PKR_NOWHERE.
   */
  uint32_t feature;
  /**
   * Candidate index, or PKR_NOWHERE.
   */
  uint32_t candidate;
  /**
   * Byte offset within the model file, or the bytes or elements that would have been enough; UINT64_MAX if neither.
   */
  uint64_t offset;
} pkr_error_detail;

/**
 * A model as a whole.
 */
typedef struct {
  /**
   * sizeof(pkr_model_information).
   */
  uint32_t struct_size;
  /**
   * Features, and so columns of a request.
   */
  uint32_t num_features;
  /**
   * Tasks, and so scores of a candidate.
   */
  uint32_t num_tasks;
  /**
   * Terms of the fusion: weights of a request, unless the file has a formula, which has weights of its own.
   */
  uint32_t num_terms;
  /**
   * Labels that feed the user state.
   */
  uint32_t num_labels;
  /**
   * Candidates that a request may have at most.
   */
  uint32_t candidates_max;
  /**
   * XXH3-64 of the file: names it.
   */
  uint64_t digest;
  /**
   * Bytes of a user's state; 0: the model has no derived features.
   */
  size_t state_bytes;
  /**
   * Name of the model; not NUL-terminated.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
  /**
   * Instruction set that runs, as "portable"; not NUL-terminated.
   */
  const char *isa;
  /**
   * Bytes of it.
   */
  size_t isa_bytes;
  /**
   * Bytes of one item's kept sums; 0: the model has no item features, or the library no sessions.
   */
  size_t item_sums_bytes;
} pkr_model_information;

/**
 * One feature.
 */
typedef struct {
  /**
   * sizeof(pkr_feature_information).
   */
  uint32_t struct_size;
  /**
   * PKR_SIDE_*.
   */
  uint32_t side;
  /**
   * PKR_FEATURE_*.
   */
  uint32_t kind;
  /**
   * PKR_ID_*.
   */
  uint32_t id_type;
  /**
   * 1: computed from other features or the user state, its column must be missing; 0: the app sends it.
   */
  uint32_t derived;
  /**
   * Ids of a list that are used; 1 for all but lists.
   */
  uint32_t max_len;
  /**
   * 1: a list takes weights.
   */
  uint32_t weighted;
  /**
   * Bytes of a vector, values of an embedding row; 1 for a number without buckets.
   */
  uint32_t dim;
  /**
   * Rows of the table, 0 without one.
   */
  uint32_t num_embeddings;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Name; not NUL-terminated.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
} pkr_feature_information;

/**
 * One task.
 */
typedef struct {
  /**
   * sizeof(pkr_task_information).
   */
  uint32_t struct_size;
  /**
   * PKR_TASK_*.
   */
  uint32_t kind;
  /**
   * The task whose positives are this one's sample space: the score is conditional on it. PKR_NOWHERE: the score is
   * per impression.
   */
  uint32_t given;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Name; not NUL-terminated.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
  /**
   * Unit of the score; not NUL-terminated.
   */
  const char *unit;
  /**
   * Bytes of it.
   */
  size_t unit_bytes;
} pkr_task_information;

/**
 * One term of the fusion.
 */
typedef struct {
  /**
   * sizeof(pkr_term_information).
   */
  uint32_t struct_size;
  /**
   * Task index.
   */
  uint32_t task;
  /**
   * 1: uses the score per impression; 0: the conditional one.
   */
  uint32_t entire;
  /**
   * Weight in the file.
   */
  float weight;
  /**
   * Name; not NUL-terminated.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
} pkr_term_information;

/**
 * One label that feeds the user state.
 */
typedef struct {
  /**
   * sizeof(pkr_label_information).
   */
  uint32_t struct_size;
  /**
   * 1: the state keeps ln(1 + value).
   */
  uint32_t log1p;
  /**
   * Name; not NUL-terminated.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
} pkr_label_information;

/**
 * The values of one feature for one request: one value (or one list) for a feature of the user's side, one per
 * candidate for all others. Fields that a form does not name must be 0; a column with NULL in every pointer is missing.
 */
typedef struct {
  /**
   * sizeof(pkr_column).
   */
  uint32_t struct_size;
  /**
   * PKR_FORM_*.
   */
  uint32_t form;
  /**
   * The values, in the form's type and aligned for it.
   */
  const void *values;
  /**
   * Values; for text and vectors, bytes.
   */
  size_t count;
  /**
   * PKR_FORM_TEXT: byte offsets, the i-th id is bytes `offsets[i]` to `offsets[i + 1]`.
   */
  const uint32_t *offsets;
  /**
   * Ids + 1.
   */
  size_t num_offsets;
  /**
   * Lists: the i-th list is ids (or rows) `list_offsets[i]` to `list_offsets[i + 1]`. NULL: every value stands alone.
   */
  const uint32_t *list_offsets;
  /**
   * Lists + 1.
   */
  size_t num_list_offsets;
  /**
   * Lists of a weighted feature: one weight in [0, 1] per id. NULL: all are 1.
   */
  const float *weights;
  /**
   * Ids.
   */
  size_t num_weights;
} pkr_column;

/**
 * One request.
 */
typedef struct {
  /**
   * sizeof(pkr_request).
   */
  uint32_t struct_size;
  /**
   * 0 or PKR_STRICT.
   */
  uint32_t flags;
  /**
   * Candidates, 1 to what the scratch was made for.
   */
  uint32_t num_candidates;
  /**
   * Candidates to score at most: a deadline that the app turns into a count. 0: all. The others keep their order
   * behind the scored ones.
   */
  uint32_t max_candidates;
  /**
   * Time of the request, Unix seconds.
   */
  int64_t time;
  /**
   * Columns by feature index. Features past the end are missing; derived features take PKR_FORM_MISSING.
   */
  const pkr_column *columns;
  /**
   * Columns; at most the model's features.
   */
  size_t num_columns;
  /**
   * The user's state; NULL: a user without a past.
   */
  const uint8_t *state;
  /**
   * Bytes of it; at least what `pkr_model_info` says.
   */
  size_t state_bytes;
  /**
   * Weights of the fusion's terms, or of its formula; NULL: those of the file.
   */
  const float *weights;
  /**
   * Terms of the model, or weights of its formula; 0 with NULL.
   */
  size_t num_weights;
  /**
   * Candidates to score, by increasing index; NULL: all. Needs a library with sessions.
   */
  const uint32_t *only;
  /**
   * How many; at most `num_candidates`.
   */
  size_t num_only;
  /**
   * Item sums that were kept, in slots of `item_sums_bytes` of `pkr_model_info`: what `pkr_item_sums` wrote. NULL: none.
   * Columns of item features are then read only where other features, or groups of quantiles, are made of them. Needs a
   * library with sessions.
   */
  const uint8_t *item_sums;
  /**
   * Bytes of all slots.
   */
  size_t item_sums_bytes;
  /**
   * The slot of each candidate, PKR_NO_SLOT for one whose sums are computed here. NULL: candidate i has slot i.
   */
  const uint32_t *item_slots;
  /**
   * `num_candidates`, or 0 with NULL.
   */
  size_t num_item_slots;
  /**
   * A formula that takes the place of the file's fusion; NULL: none. Needs a library with formulas.
   */
  const pkr_formula *formula;
  /**
   * Features to leave out, by index: as if their columns were missing, and, for those made of the user's past, as for a user
   * without one. The difference is what they do to an order. NULL: none. Not together with item sums. Needs a library with
   * formulas.
   */
  const uint32_t *without;
  /**
   * How many.
   */
  size_t num_without;
} pkr_request;

/**
 * Where results go, and what happened. Pointers and lengths are the caller's; the rest is written on success.
 */
typedef struct {
  /**
   * sizeof(pkr_result).
   */
  uint32_t struct_size;
  /**
   * Candidates scored.
   */
  uint32_t scored;
  /**
   * The best candidates, best first, as indices; equal ones by index. NULL: not wanted.
   */
  uint32_t *order;
  /**
   * How many are wanted; no more than `num_candidates` are written.
   */
  size_t order_len;
  /**
   * Fused score of each candidate, negative infinity if it was not scored. NULL: not wanted.
   */
  float *fused;
  /**
   * 0, or at least `num_candidates`; as many are written.
   */
  size_t fused_len;
  /**
   * Scores, `[num_candidates, num_tasks]` row by row, 0 for candidates not scored. NULL: not wanted.
   */
  float *scores;
  /**
   * 0, or at least `num_candidates * num_tasks`; as many are written.
   */
  size_t scores_len;
  /**
   * Values that were missing from columns and took their default.
   */
  uint32_t missing;
  /**
   * Numbers that were infinite and were clamped.
   */
  uint32_t not_finite;
  /**
   * Ids outside their vocabulary and rows outside their table, which took row 0.
   */
  uint32_t unknown_ids;
  /**
   * Lists longer than their feature's `max_len`, whose later ids were dropped.
   */
  uint32_t cut_lists;
  /**
   * Why: values of the fusion's terms, `[num_candidates, num_terms]` row by row. A fused score is their sum, added in their
   * order. Those of candidates not scored are 0. NULL: not wanted.
   */
  float *terms;
  /**
   * 0, or at least `num_candidates * num_terms`; as many are written. `num_terms` of `pkr_model_info`, or of the request's
   * formula.
   */
  size_t terms_len;
} pkr_result;

/**
 * The value that one impression had of one feature.
 */
typedef struct {
  /**
   * sizeof(pkr_key).
   */
  uint32_t struct_size;
  /**
   * Feature index.
   */
  uint32_t feature;
  /**
   * PKR_KEY_*.
   */
  uint32_t kind;
  /**
   * For PKR_KEY_NUMBER.
   */
  float number;
  /**
   * For PKR_KEY_ID.
   */
  uint64_t id;
  /**
   * For PKR_KEY_TEXT.
   */
  const uint8_t *text;
  /**
   * Bytes of it.
   */
  size_t text_bytes;
} pkr_key;

/**
 * One label of one past impression, as it becomes known.
 */
typedef struct {
  /**
   * sizeof(pkr_event).
   */
  uint32_t struct_size;
  /**
   * Label index.
   */
  uint32_t label;
  /**
   * When it became known, Unix seconds.
   */
  int64_t time;
  /**
   * The label's value; binary labels 0 or 1.
   */
  float value;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * What the impression showed, for the features that derived features use as keys.
   */
  const pkr_key *keys;
  /**
   * Keys, at most 128.
   */
  size_t num_keys;
} pkr_event;

/**
 * A formula.
 */
typedef struct {
  /**
   * sizeof(pkr_formula_information).
   */
  uint32_t struct_size;
  /**
   * Named weights, and so weights of a request.
   */
  uint32_t num_weights;
  /**
   * Addends of the fused score.
   */
  uint32_t num_terms;
  /**
   * What a candidate costs, in additions; at most 1,024.
   */
  uint32_t cost;
  /**
   * The text that it was made of; not NUL-terminated.
   */
  const char *text;
  /**
   * Bytes of it.
   */
  size_t text_bytes;
} pkr_formula_information;

/**
 * A named weight of a formula.
 */
typedef struct {
  /**
   * sizeof(pkr_weight_information).
   */
  uint32_t struct_size;
  /**
   * Its value unless a request has another.
   */
  float value;
  /**
   * Least value of a request.
   */
  float least;
  /**
   * Greatest value of a request.
   */
  float most;
  /**
   * Name; not NUL-terminated.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
} pkr_weight_information;

/**
 * Less for each candidate whose key is in the list already: behind n of them the distance above the least score counts
 * (1 - floor) * factor^n + floor of what it is.
 */
typedef struct {
  /**
   * sizeof(pkr_decay).
   */
  uint32_t struct_size;
  /**
   * Within (0, 1].
   */
  float factor;
  /**
   * Within [0, 1].
   */
  float floor;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * A key of each candidate; PKR_NO_KEY does not decay.
   */
  const uint64_t *keys;
  /**
   * As many as candidates.
   */
  size_t num_keys;
} pkr_decay;

/**
 * At most `max` candidates of one key in any `window` positions that follow each other. A gap of g positions between
 * candidates of a key is `max` 1 in a window of g.
 */
typedef struct {
  /**
   * sizeof(pkr_spacing).
   */
  uint32_t struct_size;
  /**
   * Candidates, at least 1.
   */
  uint32_t max;
  /**
   * Positions, 1 to 256; blocked and pinned ones count.
   */
  uint32_t window;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * A key of each candidate; PKR_NO_KEY is under no rule.
   */
  const uint64_t *keys;
  /**
   * As many as candidates.
   */
  size_t num_keys;
} pkr_spacing;

/**
 * A candidate that has a position whatever the rules are. Two numbers in every version.
 */
typedef struct {
  /**
   * Its position, from 0 on.
   */
  uint32_t position;
  /**
   * The candidate.
   */
  uint32_t candidate;
} pkr_pin;

/**
 * The rules of one list. All 0 but `struct_size`: none, and the order is that of `pkr_rank`. NULL with a count of 0 is nothing.
 */
typedef struct {
  /**
   * sizeof(pkr_rules).
   */
  uint32_t struct_size;
  /**
   * PKR_DIVERSITY_*.
   */
  uint32_t diversity;
  /**
   * Weight of relevance beside similarity.
   */
  float weight;
  /**
   * Values of a vector, at most 256; 0 without vectors.
   */
  uint32_t dim;
  /**
   * PKR_EXPLORATION_*.
   */
  uint32_t exploration;
  /**
   * Within [0, 1].
   */
  float epsilon;
  /**
   * Of chance: the same seed gives the same list.
   */
  uint64_t seed;
  /**
   * By candidate, within [0, 1024]: multiplies the distance of its fused score above that of the least scored candidate.
   */
  const float *factors;
  /**
   * As many as candidates, or 0.
   */
  size_t num_factors;
  /**
   * By candidate: added after that, in units of fused scores.
   */
  const float *bonuses;
  /**
   * As many as candidates, or 0.
   */
  size_t num_bonuses;
  /**
   * Decays. Together they multiply.
   */
  const pkr_decay *decays;
  /**
   * At most 4.
   */
  size_t num_decays;
  /**
   * Spacing rules, the most important first: if they cannot all be kept, the last is given up first.
   */
  const pkr_spacing *spacings;
  /**
   * At most 8.
   */
  size_t num_spacings;
  /**
   * Candidates with a position. They count in windows and decays.
   */
  const pkr_pin *pins;
  /**
   * Pins.
   */
  size_t num_pins;
  /**
   * Positions that stay empty, for what the app puts there itself.
   */
  const uint32_t *blocked;
  /**
   * Positions.
   */
  size_t num_blocked;
  /**
   * Candidates that get no position.
   */
  const uint32_t *hidden;
  /**
   * Candidates.
   */
  size_t num_hidden;
  /**
   * Vectors on one scale, `dim` a candidate, as `pkr_vectors` writes them.
   */
  const int8_t *vectors;
  /**
   * `dim` times candidates.
   */
  size_t num_vector_values;
  /**
   * Standard deviation of each candidate's fused score.
   */
  const float *sigma;
  /**
   * As many as candidates for PKR_EXPLORATION_THOMPSON.
   */
  size_t num_sigma;
} pkr_rules;

/**
 * What stands at one position, and why. Its size is in `slot_bytes` of the result.
 */
typedef struct {
  /**
   * Index of the candidate; PKR_NO_CANDIDATE for a blocked position and where there are no candidates left.
   */
  uint32_t candidate;
  /**
   * Bit i: spacing rule i is broken here, since otherwise no list would have been possible.
   */
  uint32_t relaxed;
  /**
   * What the candidate was compared by: its fused score after boosts and decays; with diversity the objective of that.
   */
  float score;
  /**
   * Probability that this candidate was taken here, given the slots before; 1 without exploration.
   */
  float propensity;
  /**
   * What boosts have added to its fused score.
   */
  float boost;
  /**
   * What decays have multiplied its distance above the least score by.
   */
  float decay;
  /**
   * How similar it is to the slots before: the greatest cosine (MMR), or the share of its variance that they explain (DPP).
   */
  float similarity;
} pkr_slot;

/**
 * Where a list goes, and what happened. The first four are the caller's; the rest is written on success.
 */
typedef struct {
  /**
   * sizeof(pkr_list).
   */
  uint32_t struct_size;
  /**
   * sizeof(pkr_slot).
   */
  uint32_t slot_bytes;
  /**
   * Positions.
   */
  pkr_slot *slots;
  /**
   * How many, 1 to 4,096.
   */
  size_t num_slots;
  /**
   * Slots with a candidate.
   */
  uint32_t placed;
  /**
   * All slots' `relaxed`.
   */
  uint32_t relaxed;
  /**
   * Spacing rules that are kept wherever no pin breaks them: so many from the first on.
   */
  uint32_t kept;
  /**
   * 0.
   */
  uint32_t reserved;
  /**
   * Looks that it took to keep them.
   */
  uint64_t steps;
} pkr_list;

/**
 * Done.
 */
#define PKR_OK 0

/**
 * A required pointer is NULL.
 */
#define PKR_ERR_NULL_POINTER 101

/**
 * A pointer is not aligned for its type.
 */
#define PKR_ERR_MISALIGNED 102

/**
 * `struct_size` names no known version of the struct.
 */
#define PKR_ERR_STRUCT_SIZE 103

/**
 * A buffer is smaller than the call needs; the detail's offset is the bytes or elements needed.
 */
#define PKR_ERR_BUFFER_TOO_SMALL 104

/**
 * Two buffers that must be apart overlap.
 */
#define PKR_ERR_OVERLAP 105

/**
 * A handle was closed, copied or never opened.
 */
#define PKR_ERR_STALE 106

/**
 * A count times its element size does not fit the address space.
 */
#define PKR_ERR_LENGTH_OVERFLOW 107

/**
 * An option or enumeration has a value that is not defined.
 */
#define PKR_ERR_BAD_OPTION 108

/**
 * The instruction set asked for is not available here. Not given by this version, which takes what there is.
 */
#define PKR_ERR_ISA_UNAVAILABLE 109

/**
 * The bytes end before the envelope or the length it states.
 */
#define PKR_ERR_TRUNCATED 201

/**
 * The first bytes are not a pocketrank model's.
 */
#define PKR_ERR_BAD_MAGIC 202

/**
 * The file is of a format version that this library does not read.
 */
#define PKR_ERR_UNSUPPORTED_VERSION 203

/**
 * The stated length is not the number of bytes given, or is over the limit.
 */
#define PKR_ERR_BAD_LENGTH 204

/**
 * The XXH3-64 digest does not match: the bytes were changed.
 */
#define PKR_ERR_BAD_DIGEST 205

/**
 * The SHA-256 digest does not match (`verify` only).
 */
#define PKR_ERR_BAD_SHA256 206

/**
 * Reserved bytes of the envelope are not zero.
 */
#define PKR_ERR_BAD_RESERVED 207

/**
 * The section directory overlaps, is unordered, or points outside the file.
 */
#define PKR_ERR_BAD_DIRECTORY 301

/**
 * A section that this version must have is absent.
 */
#define PKR_ERR_MISSING_SECTION 302

/**
 * A required section is of an unknown kind or version.
 */
#define PKR_ERR_UNKNOWN_SECTION 303

/**
 * A metadata record is malformed.
 */
#define PKR_ERR_BAD_RECORD 304

/**
 * A metadata record is not in its one canonical encoding, or bytes follow it.
 */
#define PKR_ERR_NOT_CANONICAL 305

/**
 * A count is over the limit in `spec.rs`.
 */
#define PKR_ERR_OVER_LIMIT 306

/**
 * Records contradict each other (an index out of range, a wrong side, a task given itself).
 */
#define PKR_ERR_INCONSISTENT 307

/**
 * A number in a record is NaN, infinite or outside its range.
 */
#define PKR_ERR_BAD_NUMBER 308

/**
 * A tensor's type or shape is not what the records require.
 */
#define PKR_ERR_BAD_SHAPE 401

/**
 * A tensor's padding is not canonical: its data does not start on 64 bytes, or a pad byte is not zero.
 */
#define PKR_ERR_BAD_PADDING 402

/**
 * A weight is -128 or an activation byte is above 127.
 */
#define PKR_ERR_BYTE_OUT_OF_RANGE 403

/**
 * A scale or bias is NaN, infinite or outside its range.
 */
#define PKR_ERR_BAD_SCALE 404

/**
 * A vocabulary bucket contradicts itself or holds a key that its hash does not lead to.
 */
#define PKR_ERR_BAD_VOCABULARY 405

/**
 * No candidates, or more than the model's limit or the scratch was sized for.
 */
#define PKR_ERR_CANDIDATE_COUNT 501

/**
 * More columns than the model has features.
 */
#define PKR_ERR_UNKNOWN_FEATURE 502

/**
 * A column's form does not fit its feature (ids for a number, rows for a vector, ...).
 */
#define PKR_ERR_WRONG_FORM 503

/**
 * A column has another number of values than the request needs.
 */
#define PKR_ERR_COLUMN_LENGTH 504

/**
 * Offsets of a ragged column decrease or run past its values.
 */
#define PKR_ERR_BAD_OFFSETS 505

/**
 * `PKR_STRICT`: a value is missing.
 */
#define PKR_ERR_MISSING_VALUE 506

/**
 * `PKR_STRICT`: a number is NaN or infinite.
 */
#define PKR_ERR_NOT_FINITE 507

/**
 * `PKR_STRICT`: an id or row is not in its table.
 */
#define PKR_ERR_UNKNOWN_ID 508

/**
 * A fusion weight is not finite or its magnitude is over 1e6.
 */
#define PKR_ERR_BAD_WEIGHT 509

/**
 * A task or fusion term of that index does not exist.
 */
#define PKR_ERR_UNKNOWN_TASK 510

/**
 * A vector column has a byte above 127.
 */
#define PKR_ERR_VECTOR_BYTE 511

/**
 * Item sums are of another model or layout, or were changed; the candidate is in the detail. Make them again.
 */
#define PKR_ERR_STALE_SUMS 512

/**
 * An index of a candidate or slot is past the last one, or candidates do not increase.
 */
#define PKR_ERR_BAD_INDEX 513

/**
 * A rule of a re-ranking is out of its bounds, of another number of candidates, or contradicts another: `feature` of the
 * detail is one of PKR_RULES_*, `candidate` the index of the element.
 */
#define PKR_ERR_BAD_RULE 514

/**
 * The state belongs to another layout: reset it.
 */
#define PKR_ERR_STATE_LAYOUT 601

/**
 * The state's checksum does not match: reset it.
 */
#define PKR_ERR_STATE_CORRUPT 602

/**
 * An event names a label or key that the model does not have.
 */
#define PKR_ERR_UNKNOWN_LABEL 603

/**
 * An event's time is beyond 2^40 seconds: milliseconds, most likely.
 */
#define PKR_ERR_BAD_TIME 604

/**
 * A formula names a task or number feature that the model does not have, or a quantile of which it has no table.
 */
#define PKR_ERR_FORMULA_INPUT 701

/**
 * A formula's program is malformed.
 */
#define PKR_ERR_FORMULA_CODE 702

/**
 * A formula's program costs more than it may.
 */
#define PKR_ERR_FORMULA_COST 703

/**
 * A formula's program may divide by 0, or make a NaN or a value over 2^100, for some request.
 */
#define PKR_ERR_FORMULA_RANGE 704

/**
 * A formula was opened for another model.
 */
#define PKR_ERR_FORMULA_MODEL 705

/**
 * A formula needs more than scores, and the call has nothing else.
 */
#define PKR_ERR_FORMULA_SCORES 706

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Version of the ABI of the library that is linked; compare with PKR_ABI_VERSION of the header.
 *
 * Threads: any. Cost: none.
 */
uint32_t pkr_abi_version(void);

/**
 * Version of the library, as "0.1.0". Static, NUL-terminated.
 *
 * Threads: any. Cost: none.
 */
const char *pkr_version(void);

/**
 * Name of a status, as "PKR_ERR_STALE"; "PKR_ERR_UNKNOWN" for a number that this version does not define. Static,
 * NUL-terminated, never NULL.
 *
 * Threads: any. Cost: none.
 */
const char *pkr_status_name(pkr_status status);

/**
 * Tells how much memory `pkr_model_open` needs. Looks at the first 64 bytes only, so that a wrong file is refused
 * before memory is found for it; whether the rest is sound is for `pkr_model_open` to say. What scratch and user state
 * need depends on the model: `pkr_scratch_bytes` and `pkr_model_info` tell it after opening.
 *
 * Threads: any. Lifetimes: keeps nothing. Cost: none.
 * Errors: PKR_ERR_TRUNCATED, PKR_ERR_BAD_MAGIC, PKR_ERR_UNSUPPORTED_VERSION, PKR_ERR_BAD_LENGTH; 1xx for arguments.
 *
 * The caller promises:
 * `bytes` leads to `len` bytes, `out` to a `pkr_requirements`; or they are NULL or misaligned.
 */
pkr_status pkr_model_query(const uint8_t *bytes,
                           size_t len,
                           pkr_requirements *out);

/**
 * Checks a model file and opens it in place.
 *
 * `bytes[len]` may lie at any address (flash, mapped file, resource). `memory[memory_bytes]` must be aligned to
 * PKR_MEMORY_ALIGNMENT and as large as `pkr_model_query` says; it holds the handle. `options` may be NULL for the
 * defaults, `detail` may be NULL. On success `*out` is the handle; otherwise `*out` is as before and the contents of
 * `memory` are unspecified.
 *
 * Threads: any; the handle may then be shared. Lifetimes: `bytes` and `memory` are borrowed until `pkr_model_close`.
 * Cost: reads every byte once, linear in `len`.
 * Errors: 1xx for arguments, 2xx to 4xx for the file with its byte offset in `detail`.
 *
 * The caller promises:
 * Every pointer that is neither NULL nor misaligned leads to live memory of the stated size, and nobody writes to
 * `bytes` or uses `memory` until the model is closed.
 */
pkr_status pkr_model_open(const uint8_t *bytes,
                          size_t len,
                          uint8_t *memory,
                          size_t memory_bytes,
                          const pkr_open_options *options,
                          pkr_model **out,
                          pkr_error_detail *detail);

/**
 * Closes a model. Its memory and bytes are the caller's again.
 *
 * Threads: no other call on this model may run or follow. Cost: none.
 * Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
 *
 * The caller promises:
 * `model` is NULL, misaligned, or leads to memory that `pkr_model_open` was given, not freed since.
 */
pkr_status pkr_model_close(pkr_model *model);

/**
 * Describes a model.
 *
 * Threads: any. Lifetimes: names live until the model is closed. Cost: none. Errors: 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_model_info(const pkr_model *model, pkr_model_information *out);

/**
 * Describes feature `index`, 0 to `num_features - 1`.
 *
 * Threads: any. Lifetimes: the name lives until the model is closed. Cost: none.
 * Errors: PKR_ERR_UNKNOWN_FEATURE; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_feature_info(const pkr_model *model, uint32_t index, pkr_feature_information *out);

/**
 * Describes task `index`, 0 to `num_tasks - 1`.
 *
 * Threads: any. Lifetimes: texts live until the model is closed. Cost: none. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_task_info(const pkr_model *model,
                         uint32_t index,
                         pkr_task_information *out);

/**
 * Describes fusion term `index`, 0 to `num_terms - 1`: the meaning of a request's `weights[index]`. Of a file with a formula,
 * whose terms have texts and no names (`pkr_term_text`), there is none: PKR_ERR_UNKNOWN_TASK for every index.
 *
 * Threads: any. Lifetimes: the name lives until the model is closed. Cost: none. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_term_info(const pkr_model *model,
                         uint32_t index,
                         pkr_term_information *out);

/**
 * Describes label `index`, 0 to `num_labels - 1`: the meaning of an event's `label`.
 *
 * Threads: any. Lifetimes: the name lives until the model is closed. Cost: none. Errors: PKR_ERR_UNKNOWN_LABEL; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_label_info(const pkr_model *model,
                          uint32_t index,
                          pkr_label_information *out);

/**
 * Index of the feature called `name[name_bytes]`.
 *
 * Threads: any. Cost: linear in the features: call it when the model is opened, not for each request.
 * Errors: PKR_ERR_UNKNOWN_FEATURE; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_feature_index(const pkr_model *model,
                             const uint8_t *name,
                             size_t name_bytes,
                             uint32_t *out);

/**
 * Index of the task called `name[name_bytes]`.
 *
 * Threads: any. Cost: linear in the tasks. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_task_index(const pkr_model *model,
                          const uint8_t *name,
                          size_t name_bytes,
                          uint32_t *out);

/**
 * Index of the fusion term called `name[name_bytes]`.
 *
 * Threads: any. Cost: linear in the terms. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_term_index(const pkr_model *model,
                          const uint8_t *name,
                          size_t name_bytes,
                          uint32_t *out);

/**
 * Index of the label called `name[name_bytes]`.
 *
 * Threads: any. Cost: linear in the labels. Errors: PKR_ERR_UNKNOWN_LABEL; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_label_index(const pkr_model *model,
                           const uint8_t *name,
                           size_t name_bytes,
                           uint32_t *out);

/**
 * Tells how many bytes of memory a scratch needs for requests of up to `candidates_max` candidates to `model`.
 *
 * Threads: any. Cost: none.
 * Errors: PKR_ERR_CANDIDATE_COUNT (0, or more than 4,096), 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_scratch_bytes(const pkr_model *model,
                             uint32_t candidates_max,
                             size_t *out);

/**
 * Makes a scratch in `memory[memory_bytes]`, aligned to PKR_MEMORY_ALIGNMENT, at least as large as
 * `pkr_scratch_bytes` says. It serves any model that needs no more than this one (a newer version of the same model,
 * say); `pkr_rank` answers PKR_ERR_BUFFER_TOO_SMALL for one that does.
 *
 * Threads: any. Lifetimes: `memory` is borrowed until `pkr_scratch_close`; the model is not. Cost: zeroes the memory.
 * Errors: PKR_ERR_BUFFER_TOO_SMALL, PKR_ERR_CANDIDATE_COUNT, other 1xx. `*out` is written on success only.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_scratch_init(const pkr_model *model,
                            uint32_t candidates_max,
                            uint8_t *memory,
                            size_t memory_bytes,
                            pkr_scratch **out);

/**
 * Wipes a scratch: nothing of any request stays in its memory, which is the caller's again.
 *
 * Threads: no other call on this scratch may run or follow. Cost: zeroes the memory.
 * Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
 *
 * The caller promises:
 * `scratch` is NULL, misaligned, or leads to memory that `pkr_scratch_init` was given, not freed since.
 */
pkr_status pkr_scratch_close(pkr_scratch *scratch);

/**
 * Scores and orders the candidates of one request. On any error nothing but `detail` is written: keep the order that
 * the server sent.
 *
 * One bad candidate does not lose a feed: missing and NaN values take the feature's default, infinities are clamped,
 * unknown ids take row 0, and all of them are counted in `result`. With PKR_STRICT they are errors instead.
 *
 * Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates; no allocation, lock or
 * system call. `detail` may be NULL.
 * Errors: 1xx for arguments, 5xx for the request with feature and candidate in `detail`, 6xx for the state.
 *
 * The caller promises:
 * Every pointer that is neither NULL nor misaligned leads to live memory of the stated size; during the call nobody
 * writes to inputs or uses outputs and scratch.
 */
pkr_status pkr_rank(const pkr_model *model,
                    pkr_scratch *scratch,
                    const pkr_request *request,
                    pkr_result *result,
                    pkr_error_detail *detail);

/**
 * Hashes a text id to what PKR_FORM_IDS and PKR_KEY_ID take for a feature of texts: XXH3-64 of its bytes. For apps
 * that keep hashes instead of texts.
 *
 * Threads: any. Cost: linear in `len`. Errors: 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_hash_text(const uint8_t *text,
                         size_t len,
                         uint64_t *out);

/**
 * Finds the row of an id, for apps that look up once and then send PKR_FORM_ROWS. An unknown id has row 0.
 *
 * Threads: any. Cost: at most two cache lines of the vocabulary.
 * Errors: PKR_ERR_UNKNOWN_FEATURE, PKR_ERR_WRONG_FORM (the feature has no such ids), PKR_ERR_MISSING_VALUE; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_row_of(const pkr_model *model,
                      const pkr_key *value,
                      uint32_t *out);

/**
 * Makes `state[state_bytes]` that of a user without a past. `pkr_model_info` says how many bytes a state has.
 *
 * States are plain bytes: the app may store and copy them. They belong to models with the same derived features;
 * another model answers PKR_ERR_STATE_LAYOUT.
 *
 * Threads: any, one a state. Cost: writes the state. Errors: PKR_ERR_BUFFER_TOO_SMALL; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_state_reset(const pkr_model *model,
                           uint8_t *state,
                           size_t state_bytes);

/**
 * Adds one label of one past impression to `state[state_bytes]`. Apply events in the order in which they became
 * known. On any error the state is as before. `detail` may be NULL.
 *
 * Threads: any, one a state. Cost: independent of how many events came before.
 * Errors: 6xx; PKR_ERR_UNKNOWN_FEATURE, PKR_ERR_WRONG_FORM for a key; PKR_ERR_BAD_OPTION; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_state_apply(const pkr_model *model,
                           uint8_t *state,
                           size_t state_bytes,
                           const pkr_event *event,
                           pkr_error_detail *detail);

/**
 * Computes what the first layer makes of the item features of the request's candidates (of `only`, if it is there), to be
 * kept by the app and passed back in later requests: `out[out_bytes]` is a slot of `item_sums_bytes` of `pkr_model_info` for
 * each. Only columns of item features are read. Slots may be kept in memory or files and copied one by one; they belong to
 * this model file alone: with any other `pkr_rank` answers PKR_ERR_STALE_SUMS. Scores with kept sums are the same bits.
 *
 * Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates. `detail` may be NULL.
 * Errors: those of `pkr_rank`; PKR_ERR_BUFFER_TOO_SMALL unless `out_bytes` is exactly that; PKR_ERR_BAD_OPTION for a model
 * without item features and for a request that brings item sums.
 *
 * The caller promises:
 * As `pkr_rank`.
 */
pkr_status pkr_item_sums(const pkr_model *model,
                         pkr_scratch *scratch,
                         const pkr_request *request,
                         uint8_t *out,
                         size_t out_bytes,
                         pkr_error_detail *detail);

/**
 * Scores a part of a request, without an order: that of one thread, say, whose candidates `only` names. `result->scores` gets
 * a row of scores for each of them, in their order; `order` and `fused` must be NULL. When all parts have been scored,
 * `pkr_order` does what is left. Scores don't depend on how a request is divided.
 *
 * Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates. `detail` may be NULL.
 * Errors: those of `pkr_rank`; PKR_ERR_BAD_OPTION for another output.
 *
 * The caller promises:
 * As `pkr_rank`.
 */
pkr_status pkr_score(const pkr_model *model,
                     pkr_scratch *scratch,
                     const pkr_request *request,
                     pkr_result *result,
                     pkr_error_detail *detail);

/**
 * Fuses and orders the candidates of `request` by their scores, `scores[num_scores]` = `[num_candidates, num_tasks]` (of the
 * first `max_candidates`, if there is a limit) row by row, as `pkr_score` wrote them: `order`, `fused` and `terms` of `result` are those that `pkr_rank` gives; its `scores` must be
 * NULL. The request's columns are read only if a formula reads features; its `only` and item sums do not matter here.
 *
 * Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: that of checking the request and of sorting. `detail` may
 * be NULL.
 * Errors: those of `pkr_rank`; PKR_ERR_CANDIDATE_COUNT for another number of scores; PKR_ERR_NOT_FINITE with the candidate;
 * PKR_ERR_FORMULA_SCORES for a formula that reads scores before calibration.
 *
 * The caller promises:
 * As `pkr_rank`.
 */
pkr_status pkr_order(const pkr_model *model,
                     pkr_scratch *scratch,
                     const pkr_request *request,
                     const float *scores,
                     size_t num_scores,
                     pkr_result *result,
                     pkr_error_detail *detail);

/**
 * Tells how many bytes of memory a session of `num_candidates` candidates needs.
 *
 * Threads: any. Cost: none. Errors: PKR_ERR_CANDIDATE_COUNT (0, or more than 4,096), 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_session_bytes(const pkr_model *model, uint32_t num_candidates, size_t *out);

/**
 * Begins a session of all candidates of `request`, of which the state and the columns of item features are read, in
 * `memory[memory_bytes]`, aligned to PKR_MEMORY_ALIGNMENT, at least as large as `pkr_session_bytes` says. Then
 * `pkr_session_feedback` and `pkr_session_shown` tell it what the user does, and `pkr_session_rerank` orders what is left:
 * the same bits as a fresh request about those candidates with that state.
 *
 * Threads: any. Lifetimes: `memory` is borrowed until `pkr_session_close`; model and scratch are not. Cost: that of
 * `pkr_item_sums`. `detail` may be NULL. On an error `*out` is as before and the contents of `memory` are unspecified.
 * Errors: those of `pkr_rank`; PKR_ERR_BAD_OPTION for a request with `only` or item sums.
 *
 * The caller promises:
 * As `pkr_rank`; nobody else uses `memory` until the session is closed.
 */
pkr_status pkr_session_begin(const pkr_model *model,
                             pkr_scratch *scratch,
                             const pkr_request *request,
                             uint8_t *memory,
                             size_t memory_bytes,
                             pkr_session **out,
                             pkr_error_detail *detail);

/**
 * Adds one label of one impression to the session's state, as `pkr_state_apply` does to a state of the app. On any error the
 * state is as before. `detail` may be NULL.
 *
 * Threads: one a session. Cost: independent of candidates and of how many events came before.
 * Errors: those of `pkr_state_apply`; PKR_ERR_STALE_SUMS for another model.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_session_feedback(const pkr_model *model,
                                pkr_session *session,
                                const pkr_event *event,
                                pkr_error_detail *detail);

/**
 * Takes `candidate` out of those still to be shown.
 *
 * Threads: one a session. Cost: at most a move of 4 bytes a candidate.
 * Errors: PKR_ERR_BAD_INDEX if it is none of them; PKR_ERR_STALE.
 *
 * The caller promises:
 * `session` is NULL, misaligned, or leads to memory that `pkr_session_begin` was given, not freed since.
 */
pkr_status pkr_session_shown(pkr_session *session,
                             uint32_t candidate);

/**
 * Orders what is still to be shown by the session's state, as `pkr_rank` does. `request` is that of the beginning with its
 * candidates' columns and the time as they are now, and without a state; columns of item features are read only where other
 * features, or groups of quantiles, are made of them. Indices in `result` are those of the beginning; what was shown has no
 * score and comes last.
 *
 * Threads: one a session, any scratch. Lifetimes: nothing is kept. Cost: linear in the candidates left. `detail` may be NULL.
 * Errors: those of `pkr_rank`; PKR_ERR_STALE_SUMS for another model; PKR_ERR_CANDIDATE_COUNT for another number of
 * candidates; PKR_ERR_BAD_OPTION for a request with a state, `only` or item sums.
 *
 * The caller promises:
 * As `pkr_rank`.
 */
pkr_status pkr_session_rerank(const pkr_model *model,
                              pkr_session *session,
                              pkr_scratch *scratch,
                              const pkr_request *request,
                              pkr_result *result,
                              pkr_error_detail *detail);

/**
 * Copies the session's state to `state[state_bytes]`, to be kept when the feed ends: `state_bytes` of `pkr_model_info`.
 *
 * Threads: one a session. Cost: that of the copy. Errors: PKR_ERR_BUFFER_TOO_SMALL, other 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_session_state(pkr_session *session,
                             uint8_t *state,
                             size_t state_bytes);

/**
 * Wipes a session: its memory is the caller's again.
 *
 * Threads: no other call on this session may run or follow. Cost: zeroes the memory.
 * Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
 *
 * The caller promises:
 * `session` is NULL, misaligned, or leads to memory that `pkr_session_begin` was given, not freed since.
 */
pkr_status pkr_session_close(pkr_session *session);

/**
 * Bytes of memory that `pkr_formula_open` needs, the same for every formula of one version of the library.
 *
 * Threads: any. Cost: none.
 */
size_t pkr_formula_bytes(void);

/**
 * Checks a formula that was shipped apart from its model and opens it in place, for `model` alone: with another one requests
 * answer PKR_ERR_FORMULA_MODEL. It takes the place of the model's fusion in requests that name it.
 *
 * `bytes[len]` may lie at any address. `memory[memory_bytes]` must be aligned to PKR_MEMORY_ALIGNMENT and as large as
 * `pkr_formula_bytes` says. `detail` may be NULL. On success `*out` is the handle; otherwise it is as before.
 *
 * Threads: any; the handle may then be shared. Lifetimes: `bytes` and `memory` are borrowed until `pkr_formula_close`; the
 * model is not. Cost: linear in `len`, which is at most some kilobytes.
 * Errors: 1xx; 2xx and 3xx for the bytes, with the offset in `detail`; PKR_ERR_FORMULA_INPUT for a task or feature that the
 * model does not have; PKR_ERR_FORMULA_CODE, PKR_ERR_FORMULA_COST, PKR_ERR_FORMULA_RANGE for a program that may not run.
 *
 * The caller promises:
 * Every pointer that is neither NULL nor misaligned leads to live memory of the stated size, and nobody writes to
 * `bytes` or uses `memory` until the formula is closed.
 */
pkr_status pkr_formula_open(const pkr_model *model,
                            const uint8_t *bytes,
                            size_t len,
                            uint8_t *memory,
                            size_t memory_bytes,
                            pkr_formula **out,
                            pkr_error_detail *detail);

/**
 * Closes a formula. Its memory and bytes are the caller's again.
 *
 * Threads: no other call with this formula may run or follow. Cost: none.
 * Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
 *
 * The caller promises:
 * `formula` is NULL, misaligned, or leads to memory that `pkr_formula_open` was given, not freed since.
 */
pkr_status pkr_formula_close(pkr_formula *formula);

/**
 * Describes `formula`, or with NULL that of the model's file.
 *
 * Threads: any. Lifetimes: the text lives until the formula, or the model, is closed. Cost: linear in its program.
 * Errors: PKR_ERR_UNKNOWN_TASK for a model that has no formula; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_formula_info(const pkr_model *model,
                            const pkr_formula *formula,
                            pkr_formula_information *out);

/**
 * Describes weight `index`, 0 to `num_weights - 1`, of `formula`, or with NULL of that of the model's file: the meaning of a
 * request's `weights[index]`.
 *
 * Threads: any. Lifetimes: the name lives until the formula, or the model, is closed. Cost: none.
 * Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_weight_info(const pkr_model *model,
                           const pkr_formula *formula,
                           uint32_t index,
                           pkr_weight_information *out);

/**
 * Index of the weight called `name[name_bytes]` of `formula`, or with NULL of that of the model's file.
 *
 * Threads: any. Cost: linear in the weights. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_weight_index(const pkr_model *model,
                            const pkr_formula *formula,
                            const uint8_t *name,
                            size_t name_bytes,
                            uint32_t *out);

/**
 * Text of term `index`, 0 to `num_terms - 1`, of `formula`, or with NULL of that of the model's file: what `terms` of a
 * result is about. Not NUL-terminated.
 *
 * Threads: any. Lifetimes: the text lives until the formula, or the model, is closed. Cost: linear in the terms.
 * Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_term_text(const pkr_model *model,
                         const pkr_formula *formula,
                         uint32_t index,
                         const char **text,
                         size_t *text_bytes);

/**
 * Why: shares of the experts in every task's mixture for one candidate of `request`, `out[num_tasks * num_experts]` row by row;
 * each row adds up to 1. Together with the `terms` of a result and with requests that leave features out this tells how an
 * order came about.
 *
 * Threads: any, one scratch each. Cost: that of a request with one candidate. `detail` may be NULL.
 * Errors: those of `pkr_rank`; PKR_ERR_CANDIDATE_COUNT for a candidate that the request does not have;
 * PKR_ERR_BUFFER_TOO_SMALL unless `out_len` is `num_tasks * num_experts`, which `detail` then tells.
 *
 * The caller promises:
 * As `pkr_rank`.
 */
pkr_status pkr_gates(const pkr_model *model,
                     pkr_scratch *scratch,
                     const pkr_request *request,
                     uint32_t candidate,
                     float *out,
                     size_t out_len,
                     pkr_error_detail *detail);

/**
 * Writes weights to try on one user, for tuning online: each weight of `formula` (with NULL, of that of the model's file), or
 * of `weights[num_weights]`, times e^(sigma z), within its bounds, where z is standard normal and depends on `seed` (the user),
 * `salt` (the experiment) and the weight's name alone. Pass them as a request's weights, and log them with what was shown.
 *
 * Threads: any. Cost: none. `weights` may be NULL.
 * Errors: PKR_ERR_UNKNOWN_TASK for another number of weights; PKR_ERR_BAD_WEIGHT for one out of its bounds, and for a sigma
 * outside [0, 4]; PKR_ERR_BUFFER_TOO_SMALL unless `out_len` is the number of weights; 1xx.
 *
 * The caller promises:
 * Every pointer is NULL, misaligned, or leads to live memory of the stated size.
 */
pkr_status pkr_weights_perturb(const pkr_model *model,
                               const pkr_formula *formula,
                               const float *weights,
                               size_t num_weights,
                               uint64_t seed,
                               uint64_t salt,
                               float sigma,
                               float *out,
                               size_t out_len);

/**
 * Tells how many bytes of memory `pkr_rerank` needs for so many candidates and positions, with vectors of `dim` values (0:
 * without), whatever the rules are.
 *
 * Threads: any. Cost: none. Errors: PKR_ERR_CANDIDATE_COUNT, PKR_ERR_BAD_RULE for `dim`; 1xx.
 *
 * The caller promises:
 * `out` is NULL, misaligned, or leads to live memory of its type.
 */
pkr_status pkr_rerank_bytes(uint32_t num_candidates,
                            uint32_t num_positions,
                            uint32_t dim,
                            size_t *out);

/**
 * Makes a list of `list->num_slots` positions: the best by `fused[num_candidates]` under `rules`. Candidates with a fused score
 * of negative infinity were not scored: they come last, by index. Spacing rules are broken only where nothing else can be
 * shown to be possible, the last rule first; slots say which. It ends after a bounded number of looks whatever the rules are.
 *
 * `memory[memory_bytes]`, aligned to PKR_MEMORY_ALIGNMENT, is at least what `pkr_rerank_bytes` says. Its contents never
 * influence a result, and the same arguments give the same bits on every CPU.
 *
 * Threads: any. Lifetimes: nothing is kept. Cost: candidates times positions. `detail` may be NULL.
 * Errors: PKR_ERR_BAD_RULE with PKR_RULES_* and an index in `detail`; PKR_ERR_NOT_FINITE for a fused score that is NaN, positive
 * infinity or beyond 2^100, with its candidate; PKR_ERR_CANDIDATE_COUNT; 1xx.
 *
 * The caller promises:
 * Every pointer that is neither NULL nor misaligned leads to live memory of the stated size; during the call nobody writes to
 * inputs or uses outputs and memory.
 */
pkr_status pkr_rerank(const pkr_rules *rules,
                      const float *fused,
                      uint32_t num_candidates,
                      uint8_t *memory,
                      size_t memory_bytes,
                      pkr_list *list,
                      pkr_error_detail *detail);

/**
 * Writes what feature `feature` is to the network for every candidate of the request as int8 on one scale, `dim` of
 * `pkr_feature_info` values each: rows of its table, pooled lists, vectors. `num_values` is exactly `dim` times candidates. They
 * are the `vectors` of `pkr_rules`, and depend on model and columns alone, so they may be kept.
 *
 * Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates. `detail` may be NULL.
 * Errors: those of `pkr_rank`; PKR_ERR_UNKNOWN_FEATURE; PKR_ERR_WRONG_FORM for a feature of the user's side and for a number
 * without buckets; PKR_ERR_BUFFER_TOO_SMALL for another `num_values`.
 *
 * The caller promises:
 * As `pkr_rank`.
 */
pkr_status pkr_vectors(const pkr_model *model,
                       pkr_scratch *scratch,
                       const pkr_request *request,
                       uint32_t feature,
                       int8_t *values,
                       size_t num_values,
                       pkr_error_detail *detail);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* POCKETRANK_H */

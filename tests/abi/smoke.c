/*
 * Calls every function of the header with good arguments, and checks what comes back: against each other, against what a model
 * says of itself, and that every status has its name. tests/cpp/test.sh says if a function of the header is not called here.
 *
 *   smoke PLAIN.pkr PLAIN.req FORMULA.pkr FORMULA.req    two golden models (seeds 4 and 102): the second has a formula of its own
 */
#include "../../examples/c/common.h" /* its reader of requests */

#include <math.h>

static int checks, failures;
#define CHECK(condition)                                             \
  do {                                                               \
    checks++;                                                        \
    if (!(condition)) {                                              \
      failures++;                                                    \
      fprintf(stderr, "smoke.c:%d: %s\n", __LINE__, #condition);     \
    }                                                                \
  } while (0)
#define OK(call) CHECK((call) == PKR_OK)
#define TEXT(at, bytes, wanted) ((bytes) == strlen(wanted) && memcmp((at), (wanted), (bytes)) == 0)
#define BYTES(text) ((const uint8_t *)(text))

enum { POSITIONS = 6 };

/* A model with one request that it ranks. */
typedef struct {
  unsigned char *bytes, *file;
  void *model_memory, *scratch_memory;
  pkr_model *model;
  pkr_scratch *scratch;
  pkr_model_information info;
  pkr_request request;
  pkr_column columns[MAX_COLUMNS];
  /* What pkr_rank gives. */
  pkr_result result;
  uint32_t *order;
  float *fused, *scores, *terms;
} golden;

static void *get(size_t bytes) {
  void *memory = calloc(1, bytes + 1);
  if (memory == NULL) exit(2);
  return memory;
}

static void check_statuses(void) {
  /* Numbers are what the header of version 1 had, whatever it has now: they may be logged. */
  static const struct {
    uint32_t number;
    pkr_status status;
    const char *name;
  } statuses[] = {
#define S(number, name) {number, name, #name}
      S(0, PKR_OK),
      S(101, PKR_ERR_NULL_POINTER), S(102, PKR_ERR_MISALIGNED), S(103, PKR_ERR_STRUCT_SIZE), S(104, PKR_ERR_BUFFER_TOO_SMALL),
      S(105, PKR_ERR_OVERLAP), S(106, PKR_ERR_STALE), S(107, PKR_ERR_LENGTH_OVERFLOW), S(108, PKR_ERR_BAD_OPTION),
      S(109, PKR_ERR_ISA_UNAVAILABLE),
      S(201, PKR_ERR_TRUNCATED), S(202, PKR_ERR_BAD_MAGIC), S(203, PKR_ERR_UNSUPPORTED_VERSION), S(204, PKR_ERR_BAD_LENGTH),
      S(205, PKR_ERR_BAD_DIGEST), S(206, PKR_ERR_BAD_SHA256), S(207, PKR_ERR_BAD_RESERVED),
      S(301, PKR_ERR_BAD_DIRECTORY), S(302, PKR_ERR_MISSING_SECTION), S(303, PKR_ERR_UNKNOWN_SECTION), S(304, PKR_ERR_BAD_RECORD),
      S(305, PKR_ERR_NOT_CANONICAL), S(306, PKR_ERR_OVER_LIMIT), S(307, PKR_ERR_INCONSISTENT), S(308, PKR_ERR_BAD_NUMBER),
      S(401, PKR_ERR_BAD_SHAPE), S(402, PKR_ERR_BAD_PADDING), S(403, PKR_ERR_BYTE_OUT_OF_RANGE), S(404, PKR_ERR_BAD_SCALE),
      S(405, PKR_ERR_BAD_VOCABULARY),
      S(501, PKR_ERR_CANDIDATE_COUNT), S(502, PKR_ERR_UNKNOWN_FEATURE), S(503, PKR_ERR_WRONG_FORM), S(504, PKR_ERR_COLUMN_LENGTH),
      S(505, PKR_ERR_BAD_OFFSETS), S(506, PKR_ERR_MISSING_VALUE), S(507, PKR_ERR_NOT_FINITE), S(508, PKR_ERR_UNKNOWN_ID),
      S(509, PKR_ERR_BAD_WEIGHT), S(510, PKR_ERR_UNKNOWN_TASK), S(511, PKR_ERR_VECTOR_BYTE), S(512, PKR_ERR_STALE_SUMS),
      S(513, PKR_ERR_BAD_INDEX), S(514, PKR_ERR_BAD_RULE),
      S(601, PKR_ERR_STATE_LAYOUT), S(602, PKR_ERR_STATE_CORRUPT), S(603, PKR_ERR_UNKNOWN_LABEL), S(604, PKR_ERR_BAD_TIME),
      S(701, PKR_ERR_FORMULA_INPUT), S(702, PKR_ERR_FORMULA_CODE), S(703, PKR_ERR_FORMULA_COST), S(704, PKR_ERR_FORMULA_RANGE),
      S(705, PKR_ERR_FORMULA_MODEL), S(706, PKR_ERR_FORMULA_SCORES),
#undef S
  };
  size_t i, named = 0;
  uint32_t number;
  for (i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    CHECK(statuses[i].number == statuses[i].status);
    CHECK(strcmp(pkr_status_name(statuses[i].status), statuses[i].name) == 0);
  }
  for (number = 0; number < 2000; number++) named += strcmp(pkr_status_name(number), "PKR_ERR_UNKNOWN") != 0;
  CHECK(named == sizeof statuses / sizeof *statuses); /* a status that this table lacks */
  CHECK(strcmp(pkr_status_name(UINT32_MAX), "PKR_ERR_UNKNOWN") == 0);
}

static void open_golden(golden *g, const char *model, const char *requests) {
  size_t len = 0, file_len = 0, bytes = 0;
  uint32_t count = 0;
  pkr_requirements need = {sizeof need, 0, 0};
  pkr_open_options options = {sizeof options, PKR_CPU_AUTO};
  pkr_error_detail detail = {sizeof detail, 0, 0, 0, 0};
  reader r;
  memset(g, 0, sizeof *g);
  g->bytes = read_file(model, &len);
  g->file = read_file(requests, &file_len);
  if (g->bytes == NULL || !open_requests(&r, g->file, file_len, &count)) {
    fprintf(stderr, "smoke: cannot read %s\n", g->bytes == NULL ? model : requests);
    exit(2);
  }
  OK(pkr_model_query(g->bytes, len, &need));
  CHECK(need.alignment == PKR_MEMORY_ALIGNMENT && need.model_bytes > 0);
  g->model_memory = get(need.model_bytes);
  OK(pkr_model_open(g->bytes, len, g->model_memory, need.model_bytes, &options, &g->model, &detail));
  g->info.struct_size = sizeof g->info;
  OK(pkr_model_info(g->model, &g->info));
  CHECK(TEXT(g->info.name, g->info.name_bytes, "golden") && g->info.isa_bytes > 0 && g->info.candidates_max > 0);
  OK(pkr_scratch_bytes(g->model, g->info.candidates_max, &bytes));
  g->scratch_memory = get(bytes);
  OK(pkr_scratch_init(g->model, g->info.candidates_max, g->scratch_memory, bytes, &g->scratch));
  while (next_request(&r, &g->request, g->columns)) {
    size_t n = g->request.num_candidates;
    if (n < 10 || n > 100 || g->request.max_candidates != 0) continue;
    free(g->order), free(g->fused), free(g->scores), free(g->terms);
    memset(&g->result, 0, sizeof g->result);
    g->result.struct_size = sizeof g->result;
    g->result.order = g->order = get(n * sizeof *g->order);
    g->result.fused = g->fused = get(n * sizeof *g->fused);
    g->result.scores = g->scores = get(n * g->info.num_tasks * sizeof *g->scores);
    g->result.terms = g->terms = get(n * g->info.num_terms * sizeof *g->terms);
    g->result.order_len = g->result.fused_len = n;
    g->result.scores_len = n * g->info.num_tasks;
    g->result.terms_len = n * g->info.num_terms;
    if (pkr_rank(g->model, g->scratch, &g->request, &g->result, NULL) == PKR_OK) break; /* some are to be refused */
  }
  CHECK(g->result.scored == g->request.num_candidates && g->result.scored >= 10);
}

static void close_golden(golden *g) {
  OK(pkr_scratch_close(g->scratch));
  OK(pkr_model_close(g->model));
  free(g->order), free(g->fused), free(g->scores), free(g->terms);
  free(g->scratch_memory), free(g->model_memory);
  free(g->file), free(g->bytes);
}

/* Every name leads to its index. */
static void check_names(const golden *g) {
  uint32_t i, found;
  for (i = 0; i < g->info.num_features; i++) {
    pkr_feature_information about;
    about.struct_size = sizeof about;
    found = PKR_NOWHERE;
    OK(pkr_feature_info(g->model, i, &about));
    OK(pkr_feature_index(g->model, BYTES(about.name), about.name_bytes, &found));
    CHECK(found == i && about.side <= PKR_SIDE_CROSS && about.kind <= PKR_FEATURE_VECTOR && about.dim > 0);
  }
  for (i = 0; i < g->info.num_tasks; i++) {
    pkr_task_information about;
    about.struct_size = sizeof about;
    found = PKR_NOWHERE;
    OK(pkr_task_info(g->model, i, &about));
    OK(pkr_task_index(g->model, BYTES(about.name), about.name_bytes, &found));
    CHECK(found == i && about.unit_bytes > 0 && (about.given == PKR_NOWHERE || about.given < g->info.num_tasks));
  }
  for (i = 0; i < g->info.num_labels; i++) {
    pkr_label_information about;
    about.struct_size = sizeof about;
    found = PKR_NOWHERE;
    OK(pkr_label_info(g->model, i, &about));
    OK(pkr_label_index(g->model, BYTES(about.name), about.name_bytes, &found));
    CHECK(found == i && about.log1p <= 1);
  }
}

/* Of a model whose fusion is terms. */
static void check_terms(const golden *g) {
  uint32_t i, found;
  for (i = 0; i < g->info.num_terms; i++) {
    pkr_term_information about;
    about.struct_size = sizeof about;
    found = PKR_NOWHERE;
    OK(pkr_term_info(g->model, i, &about));
    OK(pkr_term_index(g->model, BYTES(about.name), about.name_bytes, &found));
    CHECK(found == i && about.task < g->info.num_tasks && isfinite(about.weight));
  }
}

static void check_rows(const golden *g) {
  pkr_key key = {sizeof key, 0, PKR_KEY_TEXT, 0.0f, 0, BYTES("x"), 1};
  uint32_t by_text = 1, by_hash = 2;
  OK(pkr_feature_index(g->model, BYTES("city"), 4, &key.feature));
  OK(pkr_row_of(g->model, &key, &by_text));
  OK(pkr_hash_text(BYTES("x"), 1, &key.id));
  key.kind = PKR_KEY_ID;
  OK(pkr_row_of(g->model, &key, &by_hash));
  CHECK(by_text == by_hash && key.id != 0);
}

/* Scores by parts, kept item sums, features left out: what pkr_rank has. */
static void check_parts(const golden *g) {
  size_t n = g->request.num_candidates, tasks = g->info.num_tasks, i;
  uint32_t *order = get(n * sizeof *order), image = 0;
  float *fused = get(n * sizeof *fused), *scores = get(n * tasks * sizeof *scores);
  uint8_t *sums = get(n * g->info.item_sums_bytes);
  int8_t *vectors;
  float *gates, sum;
  pkr_feature_information about;
  pkr_error_detail detail = {sizeof detail, 0, 0, 0, 0};
  pkr_request kept = g->request;
  pkr_result result;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.scores = scores;
  result.scores_len = n * tasks;
  OK(pkr_score(g->model, g->scratch, &g->request, &result, NULL));
  CHECK(memcmp(scores, g->scores, n * tasks * sizeof *scores) == 0);
  result.scores = NULL;
  result.scores_len = 0;
  result.order = order;
  result.fused = fused;
  result.order_len = result.fused_len = n;
  OK(pkr_order(g->model, g->scratch, &g->request, scores, n * tasks, &result, NULL));
  CHECK(memcmp(order, g->order, n * sizeof *order) == 0 && memcmp(fused, g->fused, n * sizeof *fused) == 0);

  OK(pkr_item_sums(g->model, g->scratch, &g->request, sums, n * g->info.item_sums_bytes, NULL));
  kept.item_sums = sums;
  kept.item_sums_bytes = n * g->info.item_sums_bytes;
  memset(fused, 0, n * sizeof *fused);
  OK(pkr_rank(g->model, g->scratch, &kept, &result, NULL));
  CHECK(memcmp(order, g->order, n * sizeof *order) == 0 && memcmp(fused, g->fused, n * sizeof *fused) == 0);

  about.struct_size = sizeof about;
  OK(pkr_feature_index(g->model, BYTES("image"), 5, &image));
  OK(pkr_feature_info(g->model, image, &about));
  vectors = get(n * about.dim);
  OK(pkr_vectors(g->model, g->scratch, &g->request, image, vectors, n * about.dim, NULL));
  CHECK(pkr_gates(g->model, g->scratch, &g->request, 0, NULL, 0, &detail) == PKR_ERR_BUFFER_TOO_SMALL && detail.offset >= tasks);
  gates = get((size_t)detail.offset * sizeof *gates);
  OK(pkr_gates(g->model, g->scratch, &g->request, 0, gates, (size_t)detail.offset, NULL));
  for (i = 0, sum = 0.0f; i < detail.offset / tasks; i++) sum += gates[i];
  CHECK(fabsf(sum - 1.0f) < 1e-5f);
  free(gates), free(vectors), free(sums), free(scores), free(fused), free(order);
}

/* A session gives what fresh requests give, with the state that events make. */
static void check_session(const golden *g) {
  size_t n = g->request.num_candidates, bytes = 0, i, k;
  uint8_t *state = get(g->info.state_bytes), *said = get(g->info.state_bytes);
  uint32_t *order = get(n * sizeof *order), *fresh_order = get(n * sizeof *order), *left = get(n * sizeof *left);
  pkr_request begun = g->request, stateless = g->request, fresh = g->request;
  pkr_key key = {sizeof key, 0, PKR_KEY_ID, 0.0f, 1, NULL, 0};
  pkr_event event;
  pkr_session *session = NULL;
  pkr_result result, fresh_result;
  void *memory;
  memset(&event, 0, sizeof event);
  event.struct_size = sizeof event;
  event.time = g->request.time;
  event.value = 1.0f;
  event.keys = &key;
  event.num_keys = 1;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.order_len = n;
  fresh_result = result;
  result.order = order;
  fresh_result.order = fresh_order;

  OK(pkr_state_reset(g->model, state, g->info.state_bytes));
  OK(pkr_state_apply(g->model, state, g->info.state_bytes, &event, NULL));
  begun.state = fresh.state = state;
  begun.state_bytes = fresh.state_bytes = g->info.state_bytes;
  stateless.state = NULL;
  stateless.state_bytes = 0;
  OK(pkr_session_bytes(g->model, (uint32_t)n, &bytes));
  memory = get(bytes);
  OK(pkr_session_begin(g->model, g->scratch, &begun, memory, bytes, &session, NULL));
  for (i = 0; i < n; i++) left[i] = (uint32_t)i;
  for (k = 0; k < 4; k++) {
    OK(pkr_session_rerank(g->model, session, g->scratch, &stateless, &result, NULL));
    fresh.only = left;
    fresh.num_only = n - k;
    OK(pkr_rank(g->model, g->scratch, &fresh, &fresh_result, NULL));
    CHECK(memcmp(order, fresh_order, n * sizeof *order) == 0);
    OK(pkr_session_shown(session, order[0]));
    for (i = 0; left[i] != order[0]; i++) continue;
    memmove(left + i, left + i + 1, (n - k - i - 1) * sizeof *left);
    event.time++;
    OK(pkr_session_feedback(g->model, session, &event, NULL));
    OK(pkr_state_apply(g->model, state, g->info.state_bytes, &event, NULL));
    OK(pkr_session_state(session, said, g->info.state_bytes));
    CHECK(memcmp(said, state, g->info.state_bytes) == 0);
  }
  OK(pkr_session_close(session));
  free(memory), free(left), free(fresh_order), free(order), free(said), free(state);
}

static void check_rerank(const golden *g) {
  size_t bytes = 0, i;
  uint32_t n = g->request.num_candidates;
  pkr_slot slots[POSITIONS];
  pkr_rules rules;
  pkr_list list;
  void *memory;
  memset(&rules, 0, sizeof rules);
  memset(&list, 0, sizeof list);
  rules.struct_size = sizeof rules;
  list.struct_size = sizeof list;
  list.slot_bytes = sizeof *slots;
  list.slots = slots;
  list.num_slots = POSITIONS;
  OK(pkr_rerank_bytes(n, POSITIONS, 0, &bytes));
  memory = get(bytes);
  OK(pkr_rerank(&rules, g->fused, n, memory, bytes, &list, NULL));
  CHECK(list.placed == POSITIONS && list.relaxed == 0);
  for (i = 0; i < POSITIONS; i++) CHECK(slots[i].candidate == g->order[i]); /* without rules */
  free(memory);
}

/* Of `formula`, or with NULL of the file's own. */
static void check_formula(const golden *g, const pkr_formula *formula) {
  pkr_formula_information info;
  uint32_t i, found;
  float *weights;
  info.struct_size = sizeof info;
  OK(pkr_formula_info(g->model, formula, &info));
  CHECK(info.num_weights > 0 && info.num_terms > 0 && info.cost > 0 && info.text_bytes > 0);
  for (i = 0; i < info.num_weights; i++) {
    pkr_weight_information about;
    about.struct_size = sizeof about;
    found = PKR_NOWHERE;
    OK(pkr_weight_info(g->model, formula, i, &about));
    OK(pkr_weight_index(g->model, formula, BYTES(about.name), about.name_bytes, &found));
    CHECK(found == i && about.least <= about.value && about.value <= about.most);
  }
  for (i = 0; i < info.num_terms; i++) {
    const char *text = NULL;
    size_t bytes = 0;
    OK(pkr_term_text(g->model, formula, i, &text, &bytes));
    CHECK(text != NULL && bytes > 0);
  }
  weights = get(info.num_weights * sizeof *weights);
  OK(pkr_weights_perturb(g->model, formula, NULL, 0, 1, 2, 0.0f, weights, info.num_weights));
  free(weights);
}

/* A formula that was shipped apart: w0 * click + click * watch. */
static void check_shipped(const golden *g) {
  static const uint8_t bytes[] = {
#include "formula.inc"
  };
  size_t n = g->request.num_candidates, i, memory_bytes = pkr_formula_bytes();
  float *fused = get(n * sizeof *fused);
  void *memory = get(memory_bytes);
  pkr_formula *formula = NULL;
  pkr_request request = g->request;
  pkr_result result;
  OK(pkr_formula_open(g->model, bytes, sizeof bytes, memory, memory_bytes, &formula, NULL));
  check_formula(g, formula);
  request.formula = formula;
  request.weights = NULL;
  request.num_weights = 0;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.fused = fused;
  result.fused_len = n;
  OK(pkr_rank(g->model, g->scratch, &request, &result, NULL));
  for (i = 0; i < n; i++) {
    float click = g->scores[2 * i], watch = g->scores[2 * i + 1];
    CHECK(fabsf(fused[i] - (2.0f * click + click * watch)) <= 1e-5f * fabsf(fused[i]));
  }
  OK(pkr_formula_close(formula));
  free(memory), free(fused);
}

int main(int argc, char **argv) {
  golden plain, other;
  if (argc != 5) {
    fprintf(stderr, "usage: smoke PLAIN.pkr PLAIN.req FORMULA.pkr FORMULA.req\n");
    return 2;
  }
  CHECK(pkr_abi_version() >= PKR_ABI_VERSION && strchr(pkr_version(), '.') != NULL);
  check_statuses();
  open_golden(&plain, argv[1], argv[2]);
  open_golden(&other, argv[3], argv[4]);
  check_names(&plain);
  check_names(&other);
  check_terms(&plain);
  check_rows(&plain);
  check_parts(&plain);
  check_session(&plain);
  check_rerank(&plain);
  check_shipped(&plain);
  check_formula(&other, NULL);
  close_golden(&other);
  close_golden(&plain);
  printf("every function called: %d checks, %d failed\n", checks, failures);
  return failures != 0;
}

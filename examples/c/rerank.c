/*
 * Makes a list of every request under rules: at most two of a category in four positions, less for what repeats one, a pinned
 * and a blocked position, items unlike each other, some chance. Each list is held against its rules, and made twice, in
 * memory full of other things: the same bits.
 *
 *   cc -std=c99 -O2 -I include examples/c/rerank.c libpocketrank.a -o rerank && ./rerank MODEL.pkr REQUESTS.req
 */
#include "common.h"

enum { POSITIONS = 10, CATEGORIES = 7, MAX_DIM = 256 };

/* What an app knows of its candidates beside the model. */
typedef struct {
  uint64_t *categories;
  float *fused, *sigma;
  int8_t *vectors;
} candidates;

/* The first feature that has vectors, and how long they are; 0 if there is none. */
static uint32_t find_vectors(const pkr_model *model, const pkr_model_information *info, uint32_t *feature) {
  pkr_feature_information about;
  about.struct_size = sizeof about;
  for (*feature = 0; *feature < info->num_features; ++*feature) {
    if (pkr_feature_info(model, *feature, &about) != PKR_OK) return 0;
    if (about.side != PKR_SIDE_USER && (about.num_embeddings > 0 || about.kind == PKR_FEATURE_VECTOR)) return about.dim;
  }
  return 0;
}

/* A list of `rules` in memory that was full of `dirt`. */
static pkr_status make_list(const pkr_rules *rules, const candidates *c, uint32_t n, int dirt, pkr_slot *slots, pkr_list *list) {
  pkr_error_detail detail;
  pkr_status status;
  size_t bytes;
  void *memory;
  detail.struct_size = sizeof detail;
  list->struct_size = sizeof *list;
  list->slot_bytes = sizeof *slots;
  list->slots = slots;
  list->num_slots = POSITIONS;
  status = pkr_rerank_bytes(n, POSITIONS, rules->dim, &bytes);
  if (status != PKR_OK) return status;
  memory = malloc(bytes);
  if (memory == NULL) return PKR_ERR_BUFFER_TOO_SMALL;
  memset(memory, dirt, bytes);
  status = pkr_rerank(rules, c->fused, n, memory, bytes, list, &detail);
  if (status == PKR_ERR_BAD_RULE)
    fprintf(stderr, "rerank: part %lu, element %lu\n", (unsigned long)detail.feature, (unsigned long)detail.candidate);
  free(memory);
  return status;
}

/* Whether the list is one of `n` candidates that breaks no more than it says. */
static int is_sound(const candidates *c, uint32_t n, const pkr_list *list) {
  uint32_t i, j, same;
  int broken = 0;
  for (i = 0; i < POSITIONS; i++) {
    uint32_t own = list->slots[i].candidate;
    if (own == PKR_NO_CANDIDATE) continue;
    if (own >= n || i == 1) return 0;
    if (!(list->slots[i].propensity > 0.0f && list->slots[i].propensity <= 1.0f)) return 0;
    for (j = i, same = 0; j < POSITIONS && j < i + 4; j++) {
      uint32_t other = list->slots[j].candidate;
      if (other == PKR_NO_CANDIDATE) continue;
      if (j != i && other == own) return 0;
      same += c->categories[other] == c->categories[own];
    }
    broken |= same > 2;
  }
  if (list->placed != (n < POSITIONS ? n : POSITIONS - 1)) return 0;
  return list->slots[2].candidate == n - 1 && broken == (list->relaxed != 0);
}

/* FNV-1a of a list's numbers, so that lists of different machines can be compared. */
static uint32_t hash(const pkr_slot *slots, uint32_t hash) {
  uint32_t words[POSITIONS * sizeof(pkr_slot) / 4], i;
  memcpy(words, slots, sizeof words);
  for (i = 0; i < sizeof words / 4; i++) hash = (hash ^ words[i]) * 16777619u;
  return hash;
}

/* One request. 0: all as it should be; 1: a difference; 2: the request is refused. */
static int show(const pkr_model *model, pkr_scratch *scratch, const pkr_request *request, uint32_t feature, uint32_t dim,
                uint32_t *digest) {
  uint32_t n = request->num_candidates, i;
  pkr_slot slots[2][POSITIONS];
  pkr_list lists[2];
  pkr_spacing spacing;
  pkr_decay decay;
  pkr_rules rules;
  pkr_result result;
  pkr_pin pin;
  const uint32_t blocked = 1;
  candidates c;
  int outcome = 1;
  c.categories = malloc(n * sizeof *c.categories);
  c.fused = malloc(n * sizeof *c.fused);
  c.sigma = malloc(n * sizeof *c.sigma);
  c.vectors = malloc(n * (size_t)MAX_DIM);
  memset(&result, 0, sizeof result);
  memset(&rules, 0, sizeof rules);
  memset(&spacing, 0, sizeof spacing);
  memset(&decay, 0, sizeof decay);
  memset(lists, 0, sizeof lists);
  result.struct_size = sizeof result;
  result.fused = c.fused;
  result.fused_len = n;
  if (c.categories == NULL || c.fused == NULL || c.sigma == NULL || c.vectors == NULL) goto done;
  if (pkr_rank(model, scratch, request, &result, NULL) != PKR_OK) {
    outcome = 2;
    goto done;
  }
  for (i = 0; i < n; i++) {
    c.categories[i] = i * i % CATEGORIES;
    c.sigma[i] = 0.01f * (float)(i % 3);
  }
  spacing.struct_size = sizeof spacing;
  spacing.keys = c.categories;
  spacing.num_keys = n;
  spacing.max = 2;
  spacing.window = 4;
  decay.struct_size = sizeof decay;
  decay.keys = c.categories;
  decay.num_keys = n;
  decay.factor = 0.5f;
  decay.floor = 0.25f;
  pin.position = 2;
  pin.candidate = n - 1;
  rules.struct_size = sizeof rules;
  rules.spacings = &spacing;
  rules.num_spacings = 1;
  rules.decays = &decay;
  rules.num_decays = 1;
  rules.pins = &pin;
  rules.num_pins = 1;
  rules.blocked = &blocked;
  rules.num_blocked = 1;
  rules.exploration = PKR_EXPLORATION_THOMPSON;
  rules.seed = (uint64_t)request->time;
  rules.sigma = c.sigma;
  rules.num_sigma = n;
  if (dim > 0) {
    if (pkr_vectors(model, scratch, request, feature, c.vectors, (size_t)n * dim, NULL) != PKR_OK) goto done;
    rules.diversity = PKR_DIVERSITY_DPP;
    rules.weight = 2.0f;
    rules.vectors = c.vectors;
    rules.num_vector_values = (size_t)n * dim;
    rules.dim = dim;
  }
  for (i = 0; i < 2; i++) {
    if (make_list(&rules, &c, n, i == 0 ? 0 : 0xA5, slots[i], &lists[i]) != PKR_OK) goto done;
  }
  *digest = hash(slots[0], *digest);
  outcome = !is_sound(&c, n, &lists[0]) || memcmp(slots[0], slots[1], sizeof slots[0]) != 0;
done:
  free(c.categories);
  free(c.fused);
  free(c.sigma);
  free(c.vectors);
  return outcome;
}

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  size_t model_len = 0, file_len = 0;
  unsigned char *bytes = argc == 3 ? read_file(argv[1], &model_len) : NULL;
  unsigned char *file = argc == 3 ? read_file(argv[2], &file_len) : NULL;
  void *model_memory = NULL, *scratch_memory = NULL;
  pkr_model_information info;
  pkr_model *model;
  pkr_scratch *scratch;
  pkr_request request;
  uint32_t count = 0, k, shown = 0, digest = 2166136261u, feature, dim;
  reader requests;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) {
    fprintf(stderr, "usage: rerank MODEL.pkr REQUESTS.req\n");
    return 2;
  }
  info.struct_size = sizeof info;
  if (open_model(bytes, model_len, PKR_CPU_AUTO, &model, &model_memory) != PKR_OK ||
      pkr_model_info(model, &info) != PKR_OK ||
      make_scratch(model, info.candidates_max, &scratch, &scratch_memory) != PKR_OK)
    return 3;
  dim = find_vectors(model, &info, &feature);
  for (k = 0; k < count && next_request(&requests, &request, columns); k++) {
    int outcome = show(model, scratch, &request, feature, dim, &digest);
    if (outcome == 1) {
      fprintf(stderr, "rerank: request %lu is not as its rules say\n", (unsigned long)k);
      return 1;
    }
    shown += outcome == 0;
  }
  printf("%lu lists of %d positions, %08lx: rules kept or reported, the same twice\n", (unsigned long)shown, POSITIONS,
         (unsigned long)digest);
  return requests.bad || shown == 0;
}

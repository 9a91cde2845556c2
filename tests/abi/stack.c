/* Stack that pkr_model_open, pkr_rank and pkr_rerank use: a thread whose stack is painted runs them, then what is no longer paint is
 * counted. The same for a thread that does nothing is taken off.
 *
 *   stack MODEL.pkr OPEN_MAX RANK_MAX    exits with 1 if a figure is over its limit
 */
#define _GNU_SOURCE
#include "pocketrank.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES (256 * 1024)
#define PAINT 0xA5
#define CANDIDATES 200

static unsigned char *file;
static size_t file_len;
static pkr_requirements need = {sizeof(pkr_requirements), 0, 0};
static void *model_memory;
static pkr_model *model;
static pkr_scratch *scratch;
static pkr_status status;

static void *nothing(void *unused) { return unused; }

static void *open_model(void *unused) {
  status = pkr_model_open(file, file_len, model_memory, need.model_bytes, NULL, &model, NULL);
  return unused;
}

static uint32_t order[CANDIDATES];
static float scores[CANDIDATES * 16];

static void *rank(void *unused) {
  pkr_request request;
  pkr_result result;
  memset(&request, 0, sizeof request);
  memset(&result, 0, sizeof result);
  request.struct_size = sizeof request;
  request.num_candidates = CANDIDATES;
  result.struct_size = sizeof result;
  result.order = order;
  result.order_len = CANDIDATES;
  result.scores = scores;
  result.scores_len = sizeof scores / sizeof *scores;
  status = pkr_rank(model, scratch, &request, &result, NULL);
  return unused;
}

static uint64_t keys[CANDIDATES];
static float fused[CANDIDATES], sigma[CANDIDATES];
static int8_t vectors[CANDIDATES * 16];
static pkr_slot slots[20];
static void *list_memory;
static size_t list_bytes;

/* With a plan, diversity and draws. */
static void *list(void *unused) {
  pkr_spacing spacing;
  pkr_rules rules;
  pkr_list result;
  memset(&spacing, 0, sizeof spacing);
  memset(&rules, 0, sizeof rules);
  memset(&result, 0, sizeof result);
  spacing.struct_size = sizeof spacing;
  spacing.keys = keys;
  spacing.num_keys = CANDIDATES;
  spacing.max = 1;
  spacing.window = 3;
  rules.struct_size = sizeof rules;
  rules.spacings = &spacing;
  rules.num_spacings = 1;
  rules.diversity = PKR_DIVERSITY_DPP;
  rules.weight = 1.0f;
  rules.vectors = vectors;
  rules.num_vector_values = sizeof vectors;
  rules.dim = 16;
  rules.exploration = PKR_EXPLORATION_THOMPSON;
  rules.sigma = sigma;
  rules.num_sigma = CANDIDATES;
  result.struct_size = sizeof result;
  result.slot_bytes = sizeof *slots;
  result.slots = slots;
  result.num_slots = sizeof slots / sizeof *slots;
  status = pkr_rerank(&rules, fused, CANDIDATES, list_memory, list_bytes, &result, NULL);
  return unused;
}

/* Bytes of a fresh stack that are no longer paint after `run`. */
static size_t painted(void *(*run)(void *)) {
  pthread_attr_t attributes;
  pthread_t thread;
  unsigned char *stack;
  size_t clean = 0;
  if (posix_memalign((void **)&stack, 4096, STACK_BYTES) != 0) exit(4);
  memset(stack, PAINT, STACK_BYTES);
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, STACK_BYTES);
  status = PKR_OK;
  if (pthread_create(&thread, &attributes, run, NULL) != 0) exit(4);
  pthread_join(thread, NULL);
  if (status != PKR_OK) {
    fprintf(stderr, "stack: %s\n", pkr_status_name(status));
    exit(4);
  }
  while (clean < STACK_BYTES && stack[clean] == PAINT) clean++;
  free(stack);
  return STACK_BYTES - clean;
}

int main(int argc, char **argv) {
  FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL;
  size_t base, opening, ranking, listing, bytes, i;
  if (in == NULL) return 2;
  file = malloc(1 << 20);
  file_len = fread(file, 1, 1 << 20, in);
  fclose(in);
  if (pkr_model_query(file, file_len, &need) != PKR_OK) return 4;
  model_memory = malloc(need.model_bytes);
  base = painted(nothing);
  opening = painted(open_model) - base;
  if (pkr_scratch_bytes(model, CANDIDATES, &bytes) != PKR_OK) return 4;
  if (pkr_scratch_init(model, CANDIDATES, malloc(bytes), bytes, &scratch) != PKR_OK) return 4;
  ranking = painted(rank) - base;
  for (i = 0; i < CANDIDATES; i++) {
    keys[i] = i * i % 5;
    fused[i] = (float)(i * 37 % CANDIDATES);
    sigma[i] = (float)(i % 30);
  }
  for (i = 0; i < sizeof vectors; i++) vectors[i] = (int8_t)(i * 37 % 100);
  if (pkr_rerank_bytes(CANDIDATES, sizeof slots / sizeof *slots, 16, &list_bytes) != PKR_OK) return 4;
  list_memory = malloc(list_bytes);
  listing = painted(list) - base;
  printf("stack: open %zu bytes (at most %s), rank %zu and list %zu (at most %s); handle %zu, scratch %zu\n", opening, argv[2],
         ranking, listing, argv[3], need.model_bytes, bytes);
  return opening > (size_t)atol(argv[2]) || ranking > (size_t)atol(argv[3]) || listing > (size_t)atol(argv[3]);
}

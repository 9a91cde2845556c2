/*
 * Whether a file may rank. Opening checks every byte (envelope, digest, records, ranges); the manifest says that it is the one
 * that was published; the layout, that this app knows its columns; the self-test, that it ranks here as it did there.
 */
#define _POSIX_C_SOURCE 200809L
#include "hot_swap.h"

#include "../c/common.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SELF_TEST_CANDIDATES = 512 }; /* larger requests of a self-test are not looked at */

const char *verdict_name(verdict v) {
  static const char *const names[] = {"good",         "no files",     "bad manifest", "bad file",
                                      "other digest", "other layout", "self-test",    "not written"};
  return names[v];
}

static uint64_t hash(uint64_t seed, const void *bytes, size_t len) { /* FNV-1a */
  const unsigned char *at = bytes;
  while (len-- > 0) seed = (seed ^ *at++) * 0x100000001b3u;
  return seed;
}

static uint64_t hash_number(uint64_t seed, uint32_t number) { /* the same on machines of either byte order */
  const unsigned char bytes[] = {(unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                                 (unsigned char)(number >> 24)};
  return hash(seed, bytes, sizeof bytes);
}

#define SEED 0xcbf29ce484222325u

/* Names, kinds and order of what the app sends and gets: where these are the same, requests of one model fit the other. */
static uint64_t layout_of(const pkr_model *model, const pkr_model_information *info) {
  uint64_t h = hash_number(SEED, (uint32_t)info->state_bytes);
  uint32_t i;
  for (i = 0; i < info->num_features; i++) {
    pkr_feature_information f;
    f.struct_size = sizeof f;
    if (pkr_feature_info(model, i, &f) != PKR_OK) return 0;
    h = hash(hash_number(h, (uint32_t)f.name_bytes), f.name, f.name_bytes);
    h = hash_number(hash_number(hash_number(hash_number(h, f.side), f.kind), f.id_type), f.derived);
    if (f.kind == PKR_FEATURE_VECTOR) h = hash_number(h, f.dim);
  }
  for (i = 0; i < info->num_tasks; i++) {
    pkr_task_information t;
    t.struct_size = sizeof t;
    if (pkr_task_info(model, i, &t) != PKR_OK) return 0;
    h = hash(hash_number(h, (uint32_t)t.name_bytes), t.name, t.name_bytes);
    h = hash(hash_number(h, (uint32_t)t.unit_bytes), t.unit, t.unit_bytes);
  }
  for (i = 0; i < info->num_labels; i++) {
    pkr_label_information l;
    l.struct_size = sizeof l;
    if (pkr_label_info(model, i, &l) != PKR_OK) return 0;
    h = hash(hash_number(h, (uint32_t)l.name_bytes), l.name, l.name_bytes);
  }
  return h;
}

void close_loaded(loaded_model *it) {
  if (it == NULL) return;
  if (it->model != NULL) pkr_model_close(it->model);
  if (it->bytes != NULL) munmap(it->bytes, it->len);
  free(it->memory);
  free(it);
}

/* Maps and opens a file. It must not be written to while it is mapped: it is replaced by renaming another over it. */
static verdict load(const char *path, loaded_model **out) {
  pkr_requirements need = {sizeof need, 0, 0};
  loaded_model *it = calloc(1, sizeof *it);
  struct stat about;
  void *at;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (it == NULL || file < 0 || fstat(file, &about) != 0) {
    if (file >= 0) close(file);
    free(it);
    return NO_FILES;
  }
  it->len = (size_t)about.st_size;
  at = it->len == 0 ? MAP_FAILED : mmap(NULL, it->len, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (at == MAP_FAILED) {
    free(it);
    return BAD_FILE;
  }
  it->bytes = at;
  it->info.struct_size = sizeof it->info;
  if (pkr_model_query(it->bytes, it->len, &need) != PKR_OK || (it->memory = malloc(need.model_bytes)) == NULL ||
      pkr_model_open(it->bytes, it->len, it->memory, need.model_bytes, NULL, &it->model, NULL) != PKR_OK ||
      pkr_model_info(it->model, &it->info) != PKR_OK) {
    close_loaded(it);
    return BAD_FILE;
  }
  it->layout = layout_of(it->model, &it->info);
  *out = it;
  return GOOD;
}

/* One request of a self-test: whether its result is a finite number for, and a place of, each candidate. Goes into `*bits`. */
static int rank_one(const loaded_model *it, pkr_scratch *scratch, const pkr_request *request, uint64_t *bits, int *ranked) {
  static const size_t most = SELF_TEST_CANDIDATES;
  uint32_t order[SELF_TEST_CANDIDATES], word, i, n = request->num_candidates;
  unsigned char seen[SELF_TEST_CANDIDATES] = {0};
  float fused[SELF_TEST_CANDIDATES];
  pkr_result result;
  pkr_status status;
  if (n > most) return 1;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.order = order;
  result.fused = fused;
  result.order_len = result.fused_len = n;
  status = pkr_rank(it->model, scratch, request, &result, NULL);
  *bits = hash_number(*bits, status);
  if (status != PKR_OK) return 1; /* there may be requests that must be refused: alike, here and there */
  *ranked = 1;
  for (i = 0; i < n; i++) {
    if (order[i] >= n || seen[order[i]]++ != 0) return 0;
    if (isnan(fused[i]) || fused[i] == INFINITY) return 0; /* negative: not scored */
    memcpy(&word, &fused[i], sizeof word);
    *bits = hash_number(hash_number(*bits, order[i]), word);
  }
  return 1;
}

/* Ranks the requests of a file. 0: one is not as it must be, or none can be ranked. */
static int self_test(const loaded_model *it, const char *path, uint64_t *bits) {
  size_t len = 0;
  unsigned char *file = read_file(path, &len);
  pkr_column *columns = calloc(MAX_COLUMNS, sizeof *columns);
  uint32_t count = 0, i, most = it->info.candidates_max < SELF_TEST_CANDIDATES ? it->info.candidates_max : SELF_TEST_CANDIDATES;
  void *memory = NULL;
  pkr_scratch *scratch = NULL;
  pkr_request request;
  reader r;
  int good = 0, ranked = 0;
  *bits = SEED;
  if (columns != NULL && open_requests(&r, file, len, &count) && make_scratch(it->model, most, &scratch, &memory) == PKR_OK) {
    for (i = 0; i < count && next_request(&r, &request, columns); i++) {
      if (!rank_one(it, scratch, &request, bits, &ranked)) break;
    }
    good = i == count && ranked;
  }
  if (scratch != NULL) pkr_scratch_close(scratch);
  free(memory);
  free(columns);
  free(file);
  return good;
}

static int path_of(char *to, size_t size, const char *folder, const char *name) {
  return snprintf(to, size, "%s/%s", folder, name) < (int)size;
}

verdict check_folder(const char *folder, uint64_t layout, loaded_model **out) {
  char path[600], manifest[128] = {0};
  unsigned long long digest = 0, wanted_bits = 0;
  uint64_t bits = 0;
  loaded_model *it = NULL;
  FILE *file;
  size_t got;
  verdict v;
  if (!path_of(path, sizeof path, folder, "manifest") || (file = fopen(path, "r")) == NULL) return NO_FILES;
  got = fread(manifest, 1, sizeof manifest - 1, file);
  fclose(file);
  if (got == 0 || sscanf(manifest, "digest %16llx\nbits %16llx\n", &digest, &wanted_bits) != 2) return BAD_MANIFEST;
  if (!path_of(path, sizeof path, folder, "model.pkr")) return NO_FILES;
  if ((v = load(path, &it)) != GOOD) return v;
  path_of(path, sizeof path, folder, "selftest.req");
  if (it->info.digest != digest) v = OTHER_DIGEST;
  else if (it->layout == 0 || (layout != 0 && it->layout != layout)) v = OTHER_LAYOUT;
  else if (!self_test(it, path, &bits) || bits != wanted_bits) v = SELF_TEST;
  if (v == GOOD) *out = it;
  else close_loaded(it);
  return v;
}

int print_manifest(const char *model, const char *requests) {
  loaded_model *it = NULL;
  uint64_t bits = 0;
  int good = load(model, &it) == GOOD && self_test(it, requests, &bits);
  if (good) printf("digest %016llx\nbits %016llx\n", (unsigned long long)it->info.digest, (unsigned long long)bits);
  close_loaded(it);
  return good;
}

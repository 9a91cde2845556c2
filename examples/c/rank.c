/*
 * Opens an exported model, ranks every request of a file, and prints orders and the bits of all scores: the whole C ABI
 * as an app uses it. Plain C99. Prints the same lines as ../rank.rs.
 *
 *   cc -std=c99 -O2 -I include examples/c/rank.c libpocketrank.a -o rank && ./rank MODEL.pkr REQUESTS.req
 *
 * On any error the order stays the one that the server sent.
 */
#include "pocketrank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a whole file into memory aligned for any type; NULL if it cannot. */
static unsigned char *read_file(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  unsigned char *bytes = NULL;
  long size;
  if (file == NULL) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
    *len = (size_t)size;
    bytes = malloc(*len + 1);
    if (bytes != NULL && fread(bytes, 1, *len, file) != *len) {
      free(bytes);
      bytes = NULL;
    }
  }
  fclose(file);
  return bytes;
}

/* ---- The file of requests: parts of little-endian numbers, each on a multiple of 8 bytes (../README.md). ---- */

typedef struct {
  const unsigned char *at;
  size_t rest;
  int bad;
} reader;

/* The next `count * size` bytes, in place; NULL if count is 0 or the file ends before. */
static const void *part(reader *r, size_t count, size_t size) {
  const unsigned char *at = r->at;
  size_t bytes;
  if (count > SIZE_MAX / 16) { /* no file is that long */
    r->bad = 1;
    return NULL;
  }
  bytes = (count * size + 7) / 8 * 8;
  if (r->bad || bytes > r->rest) {
    r->bad = 1;
    return NULL;
  }
  r->at += bytes;
  r->rest -= bytes;
  return count == 0 ? NULL : (const void *)at;
}

#define MAX_COLUMNS 128

/* One request; its columns point into the file. */
static int next_request(reader *r, pkr_request *request, pkr_column *columns) {
  static const size_t value_bytes[] = {0, 8, 1, 4, 4, 1}; /* by PKR_FORM_* */
  uint32_t head[8];
  const uint32_t *forms, *column;
  const void *p = part(r, 1, sizeof head);
  size_t i;
  if (p == NULL) return 0;
  memcpy(head, p, sizeof head);
  memset(request, 0, sizeof *request);
  request->struct_size = sizeof *request;
  memcpy(&request->time, head, 8);
  request->num_candidates = head[2];
  request->max_candidates = head[3];
  request->flags = head[4];
  request->columns = columns;
  request->num_columns = head[5];
  if (head[5] > MAX_COLUMNS) return 0;
  forms = part(r, head[5], 24);
  for (i = 0; i < head[5] && !r->bad; i++) {
    pkr_column *c = &columns[i];
    column = forms + 6 * i;
    if (column[0] > PKR_FORM_BYTES) return 0;
    memset(c, 0, sizeof *c);
    c->struct_size = sizeof *c;
    c->form = column[0];
    /* An empty list has somewhere to be: with NULL in every pointer the column would be missing. */
    c->values = column[0] == PKR_FORM_MISSING ? NULL : r->at;
    part(r, column[1], value_bytes[column[0]]);
    c->count = column[1];
    c->offsets = part(r, column[2], 4);
    c->num_offsets = column[2];
    c->list_offsets = part(r, column[3], 4);
    c->num_list_offsets = column[3];
    c->weights = part(r, column[4], 4);
    c->num_weights = column[4];
  }
  request->state = part(r, head[6], 1);
  request->state_bytes = head[6];
  request->weights = part(r, head[7], 4);
  request->num_weights = head[7];
  return !r->bad;
}

/* ---- The app ---- */

static void print_bits(const char *name, const float *values, size_t len) {
  size_t i;
  uint32_t bits;
  printf("%s", name);
  for (i = 0; i < len; i++) {
    memcpy(&bits, &values[i], sizeof bits);
    printf(" %08lx", (unsigned long)bits);
  }
  printf("\n");
}

/* Ranks one request and prints what an app would show. */
static int rank(const pkr_model *model, pkr_scratch *scratch, pkr_status ready, unsigned long index,
                const pkr_request *request, size_t num_tasks) {
  size_t n = request->num_candidates, i;
  uint32_t *order = malloc((n + 1) * sizeof *order);
  float *fused = malloc((n + 1) * sizeof *fused);
  float *scores = malloc((n * num_tasks + 1) * sizeof *scores);
  pkr_result result;
  pkr_status status = ready;
  if (order == NULL || fused == NULL || scores == NULL) return 0;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.order = order;
  result.order_len = n;
  result.fused = fused;
  result.fused_len = n;
  result.scores = scores;
  result.scores_len = n * num_tasks;
  if (status == PKR_OK) status = pkr_rank(model, scratch, request, &result, NULL);
  if (status == PKR_OK) {
    printf("request %lu PKR_OK scored %lu missing %lu not_finite %lu unknown_ids %lu cut_lists %lu\n", index,
           (unsigned long)result.scored, (unsigned long)result.missing, (unsigned long)result.not_finite,
           (unsigned long)result.unknown_ids, (unsigned long)result.cut_lists);
  } else {
    /* Whatever went wrong: the order that the server sent. */
    printf("request %lu %s server's order\n", index, pkr_status_name(status));
    for (i = 0; i < n; i++) order[i] = (uint32_t)i;
  }
  printf("order");
  for (i = 0; i < n; i++) printf(" %lu", (unsigned long)order[i]);
  printf("\n");
  print_bits("fused", fused, status == PKR_OK ? n : 0);
  print_bits("scores", scores, status == PKR_OK ? n * num_tasks : 0);
  free(order);
  free(fused);
  free(scores);
  return 1;
}

/* Opens the model in memory that malloc gives, for a CPU that the app knows (PKR_CPU_AUTO is right unless it has asked for more). */
static pkr_status open_model(const unsigned char *bytes, size_t len, uint32_t cpu, pkr_model **model, void **memory) {
  pkr_open_options options;
  pkr_requirements need;
  pkr_error_detail detail;
  pkr_status status;
  need.struct_size = sizeof need;
  detail.struct_size = sizeof detail;
  status = pkr_model_query(bytes, len, &need);
  if (status != PKR_OK) return status;
  *memory = malloc(need.model_bytes);
  options.struct_size = sizeof options;
  options.cpu = cpu;
  status = pkr_model_open(bytes, len, *memory, need.model_bytes, &options, model, &detail);
  if (status != PKR_OK) {
    fprintf(stderr, "rank: %s at byte %llu\n", pkr_status_name(status), (unsigned long long)detail.offset);
  }
  return status;
}

/* Makes scratch for one thread. */
static pkr_status make_scratch(const pkr_model *model, uint32_t most, pkr_scratch **scratch, void **memory) {
  size_t bytes;
  pkr_status status = pkr_scratch_bytes(model, most, &bytes);
  if (status != PKR_OK) return status;
  *memory = malloc(bytes);
  return pkr_scratch_init(model, most, *memory, bytes, scratch);
}

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  unsigned char *model_bytes, *file;
  void *model_memory = NULL, *scratch_memory = NULL;
  size_t model_len = 0, file_len = 0, num_tasks = 0;
  uint32_t counts[2], most = 1, cpu = PKR_CPU_AUTO;
  unsigned long i;
  pkr_model *model = NULL;
  pkr_scratch *scratch = NULL;
  pkr_model_information info;
  pkr_request request;
  pkr_status status;
  reader requests, ahead;

  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: rank MODEL.pkr REQUESTS.req [portable|neon-dotprod|ISA]\n");
    return 2;
  }
  if (argc == 4 && strcmp(argv[3], "portable") == 0) cpu = PKR_CPU_PORTABLE;
  if (argc == 4 && strcmp(argv[3], "neon-dotprod") == 0) cpu = PKR_CPU_NEON_DOTPROD;
  if (pkr_abi_version() < PKR_ABI_VERSION) {
    fprintf(stderr, "rank: the library is older than its header\n");
    return 2;
  }
  model_bytes = read_file(argv[1], &model_len);
  file = read_file(argv[2], &file_len);
  if (model_bytes == NULL || file == NULL || file_len < 16 || memcmp(file, "PKRREQ1\n", 8) != 0) {
    fprintf(stderr, "rank: cannot read %s\n", model_bytes == NULL ? argv[1] : argv[2]);
    return 4;
  }
  memcpy(counts, file + 8, sizeof counts);
  requests.at = file + 16;
  requests.rest = file_len - 16;
  requests.bad = 0;
  for (ahead = requests, i = 0; i < counts[0] && next_request(&ahead, &request, columns); i++) {
    if (request.num_candidates > most) most = request.num_candidates;
  }

  status = open_model(model_bytes, model_len, cpu, &model, &model_memory);
  if (status != PKR_OK) {
    printf("model %s\n", pkr_status_name(status));
  } else {
    info.struct_size = sizeof info;
    status = pkr_model_info(model, &info);
    if (status == PKR_OK && argc == 4 &&
        (strlen(argv[3]) != info.isa_bytes || memcmp(argv[3], info.isa, info.isa_bytes) != 0)) {
      fprintf(stderr, "rank: %.*s runs, not %s\n", (int)info.isa_bytes, info.isa, argv[3]);
      return 1;
    }
    if (status == PKR_OK) {
      num_tasks = info.num_tasks;
      if (most > info.candidates_max) most = info.candidates_max; /* larger requests get their own error */
      status = make_scratch(model, most, &scratch, &scratch_memory);
    }
  }

  for (i = 0; i < counts[0]; i++) {
    if (!next_request(&requests, &request, columns) ||
        !rank(model, scratch, status, i, &request, num_tasks)) {
      fprintf(stderr, "rank: request %lu cannot be read\n", i);
      return 4;
    }
  }

  if (scratch != NULL) pkr_scratch_close(scratch);
  if (model != NULL) pkr_model_close(model);
  free(scratch_memory);
  free(model_memory);
  free(file);
  free(model_bytes);
  return 0;
}

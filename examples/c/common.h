/*
 * What the examples have in common: files, the file of requests (../README.md), opening a model, making scratch.
 */
#ifndef PKR_EXAMPLES_COMMON_H
#define PKR_EXAMPLES_COMMON_H

#include "pocketrank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a whole file into memory aligned for any type; NULL if it cannot. */
static inline unsigned char *read_file(const char *path, size_t *len) {
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
  unsigned char *at;
  size_t rest;
  int bad;
  int first; /* nobody has read this file before */
} reader;

/* Turns little-endian numbers into the machine's, in place: on a little-endian one they are. */
static inline void to_host(unsigned char *at, size_t count, size_t size) {
  const uint32_t one = 1;
  size_t i, j;
  if (*(const unsigned char *)&one == 1) return;
  for (i = 0; i < count; i++, at += size) {
    for (j = 0; j < size / 2; j++) {
      unsigned char low = at[j];
      at[j] = at[size - 1 - j];
      at[size - 1 - j] = low;
    }
  }
}

/* The next `count` numbers of `size` bytes, in place; NULL if count is 0 or the file ends before. */
static inline const void *part(reader *r, size_t count, size_t size) {
  unsigned char *at = r->at;
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
  if (r->first) to_host(at, count, size);
  r->at += bytes;
  r->rest -= bytes;
  return count == 0 ? NULL : (const void *)at;
}

#define MAX_COLUMNS 128

/* One request; its columns point into the file. */
static inline int next_request(reader *r, pkr_request *request, pkr_column *columns) {
  static const size_t value_bytes[] = {0, 8, 1, 4, 4, 1}; /* by PKR_FORM_* */
  uint32_t head[8];
  const uint32_t *forms, *column;
  const void *p = part(r, 8, sizeof *head);
  size_t i;
  if (p == NULL) return 0;
  memcpy(head, p, sizeof head);
  memset(request, 0, sizeof *request);
  request->struct_size = sizeof *request;
  request->time = (int64_t)(head[0] | (uint64_t)head[1] << 32);
  request->num_candidates = head[2];
  request->max_candidates = head[3];
  request->flags = head[4];
  request->columns = columns;
  request->num_columns = head[5];
  if (head[5] > MAX_COLUMNS) return 0;
  forms = part(r, (size_t)head[5] * 6, sizeof *forms);
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

/* A reader at the first of `*count` requests of a file; 0 if it is none. */
static inline int open_requests(reader *r, unsigned char *file, size_t len, uint32_t *count) {
  if (file == NULL || len < 16 || memcmp(file, "PKRREQ1\n", 8) != 0) return 0;
  to_host(file + 8, 2, sizeof *count);
  memcpy(count, file + 8, sizeof *count);
  r->at = file + 16;
  r->rest = len - 16;
  r->bad = 0;
  r->first = 1;
  return 1;
}

/* ---- Opening, in memory that malloc gives ---- */

/* Opens the model in memory that malloc gives, for a CPU that the app knows (PKR_CPU_AUTO is right unless it has asked for more). */
static inline pkr_status open_model(const unsigned char *bytes, size_t len, uint32_t cpu, pkr_model **model, void **memory) {
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
    fprintf(stderr, "model: %s at byte %llu\n", pkr_status_name(status), (unsigned long long)detail.offset);
  }
  return status;
}

/* Makes scratch for one thread. */
static inline pkr_status make_scratch(const pkr_model *model, uint32_t most, pkr_scratch **scratch, void **memory) {
  size_t bytes;
  pkr_status status = pkr_scratch_bytes(model, most, &bytes);
  if (status != PKR_OK) return status;
  *memory = malloc(bytes);
  return pkr_scratch_init(model, most, *memory, bytes, scratch);
}

#endif

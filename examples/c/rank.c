/*
 * Opens an exported model, ranks every request of a file, and prints orders and the bits of all scores: the whole C ABI
 * as an app uses it. Plain C99. Prints the same lines as ../rank.rs.
 *
 *   cc -std=c99 -O2 -I include examples/c/rank.c libpocketrank.a -o rank && ./rank MODEL.pkr REQUESTS.req
 *
 * On any error the order stays the one that the server sent.
 */
#include "common.h"

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

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  unsigned char *model_bytes, *file;
  void *model_memory = NULL, *scratch_memory = NULL;
  size_t model_len = 0, file_len = 0, num_tasks = 0;
  uint32_t count = 0, most = 1, cpu = PKR_CPU_AUTO;
  unsigned long i;
  pkr_model *model = NULL;
  pkr_scratch *scratch = NULL;
  pkr_model_information info;
  pkr_request request;
  pkr_status status;
  reader requests, ahead;

  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: rank MODEL.pkr REQUESTS.req [portable|neon-dotprod|neon-i8mm|ISA]\n");
    return 2;
  }
  if (argc == 4 && strcmp(argv[3], "portable") == 0) cpu = PKR_CPU_PORTABLE;
  if (argc == 4 && strcmp(argv[3], "neon-dotprod") == 0) cpu = PKR_CPU_NEON_DOTPROD;
  if (argc == 4 && strcmp(argv[3], "neon-i8mm") == 0) cpu = PKR_CPU_NEON_I8MM;
  if (pkr_abi_version() < PKR_ABI_VERSION) {
    fprintf(stderr, "rank: the library is older than its header\n");
    return 2;
  }
  model_bytes = read_file(argv[1], &model_len);
  file = read_file(argv[2], &file_len);
  if (model_bytes == NULL || !open_requests(&requests, file, file_len, &count)) {
    fprintf(stderr, "rank: cannot read %s\n", model_bytes == NULL ? argv[1] : argv[2]);
    return 4;
  }
  for (ahead = requests, i = 0; i < count && next_request(&ahead, &request, columns); i++) {
    if (request.num_candidates > most) most = request.num_candidates;
  }
  requests.first = 0;

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

  for (i = 0; i < count; i++) {
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

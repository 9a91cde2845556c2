/*
 * One request again and again, natively: what wrappers are held against (ffi/kotlin/bench.sh, ffi/wasm/bench.sh). Prints the
 * instruction set; then reads numbers of rankings from standard input, and answers each with nanoseconds for one, of this thread
 * and of the clock on the wall, and the first candidate of the order. So rounds of others can run between.
 *
 *   native MODEL.pkr REQUESTS.req INDEX [portable]
 */
#define _POSIX_C_SOURCE 199309L
#include "../examples/c/common.h"

#include <time.h>

static double now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  size_t model_len = 0, file_len = 0, n;
  unsigned char *bytes = argc > 3 ? read_file(argv[1], &model_len) : NULL;
  unsigned char *file = argc > 3 ? read_file(argv[2], &file_len) : NULL;
  void *model_memory = NULL, *scratch_memory = NULL;
  pkr_model_information info;
  pkr_model *model;
  pkr_scratch *scratch;
  pkr_request request;
  pkr_result result;
  reader requests;
  uint32_t count = 0;
  long index, times, i;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) return 2;
  for (index = strtol(argv[3], NULL, 10); index >= 0; index--) {
    if (!next_request(&requests, &request, columns)) return 2;
  }
  n = request.num_candidates;
  info.struct_size = sizeof info;
  if (open_model(bytes, model_len, argc > 4 ? PKR_CPU_PORTABLE : PKR_CPU_AUTO, &model, &model_memory) != PKR_OK ||
      pkr_model_info(model, &info) != PKR_OK || make_scratch(model, (uint32_t)n, &scratch, &scratch_memory) != PKR_OK)
    return 3;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.order = malloc(n * sizeof *result.order);
  result.fused = malloc(n * sizeof *result.fused);
  result.scores = malloc(n * info.num_tasks * sizeof *result.scores);
  result.order_len = result.fused_len = n;
  result.scores_len = n * info.num_tasks;
  printf("%.*s\n", (int)info.isa_bytes, info.isa);
  fflush(stdout);
  while (scanf("%ld", &times) == 1) {
    double wall = now_ns(CLOCK_MONOTONIC), thread = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (i = 0; i < times; i++) {
      if (pkr_rank(model, scratch, &request, &result, NULL) != PKR_OK) return 4;
    }
    thread = now_ns(CLOCK_THREAD_CPUTIME_ID) - thread;
    wall = now_ns(CLOCK_MONOTONIC) - wall;
    printf("%.0f %.0f %lu\n", thread / (double)times, wall / (double)times, (unsigned long)result.order[0]);
    fflush(stdout);
  }
  return 0;
}

/*
 * Ranks one request again and again for every line of standard input, and prints nanoseconds of this thread per request: the C
 * side of Bench.kt. Usage: bench MODEL.pkr REQUESTS.req CANDIDATES TIMES
 */
#define _POSIX_C_SOURCE 199309L
#include "../../../../examples/c/common.h"

#include <time.h>

static double cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  size_t model_len = 0, file_len = 0;
  unsigned char *bytes = argc == 5 ? read_file(argv[1], &model_len) : NULL;
  unsigned char *file = argc == 5 ? read_file(argv[2], &file_len) : NULL;
  void *model_memory = NULL, *scratch_memory = NULL;
  pkr_model_information info;
  pkr_model *model;
  pkr_scratch *scratch;
  pkr_request request;
  pkr_result result;
  uint32_t count = 0, n, k;
  int times, i;
  reader requests;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) return 2;
  n = (uint32_t)atoi(argv[3]);
  times = atoi(argv[4]);
  for (k = 0; k < count && next_request(&requests, &request, columns) && request.num_candidates != n; k++) continue;
  info.struct_size = sizeof info;
  if (k == count || open_model(bytes, model_len, PKR_CPU_AUTO, &model, &model_memory) != PKR_OK ||
      pkr_model_info(model, &info) != PKR_OK || make_scratch(model, n, &scratch, &scratch_memory) != PKR_OK)
    return 3;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.order = malloc(n * sizeof *result.order);
  result.fused = malloc(n * sizeof *result.fused);
  result.scores = malloc(n * info.num_tasks * sizeof *result.scores);
  result.order_len = result.fused_len = n;
  result.scores_len = n * (size_t)info.num_tasks;
  while (getchar() == '\n') {
    double start = cpu_ns();
    for (i = 0; i < times; i++) {
      if (pkr_rank(model, scratch, &request, &result, NULL) != PKR_OK) return 4;
    }
    printf("%.0f %lu\n", (cpu_ns() - start) / times, (unsigned long)result.order[0]);
    fflush(stdout);
  }
  return 0;
}

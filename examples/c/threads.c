/*
 * Ranks every request by two threads and holds the result against one thread: the same order, the same bits. A model is
 * shared, each thread has a scratch of its own; pkr_score does a part, pkr_order what compares candidates.
 *
 *   cc -std=c99 -O2 -pthread -I include examples/c/threads.c libpocketrank.a -o threads && ./threads MODEL.pkr REQUESTS.req
 */
#include "common.h"

#include <pthread.h>

/* What one thread scores: candidates `only[0]` to `only[count - 1]`. */
typedef struct {
  const pkr_model *model;
  pkr_scratch *scratch;
  pkr_request request;
  pkr_result result;
  pkr_status status;
} part_of_it;

static void *score(void *argument) {
  part_of_it *part = argument;
  part->status = pkr_score(part->model, part->scratch, &part->request, &part->result, NULL);
  return NULL;
}

static pkr_result empty_result(void) {
  pkr_result result;
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  return result;
}

/* The request by two threads: order and fused scores of the candidates that are scored, `n` of them. */
static pkr_status rank_by_two(const pkr_model *model, pkr_scratch *const scratches[2], const pkr_request *request,
                              uint32_t n, size_t num_tasks, uint32_t *order, float *fused) {
  uint32_t *all = malloc(n * sizeof *all), i, half = n / 2;
  float *scores = malloc(n * num_tasks * sizeof *scores);
  part_of_it parts[2];
  pthread_t other;
  pkr_status status = PKR_ERR_NULL_POINTER;
  if (all != NULL && scores != NULL) {
    for (i = 0; i < n; i++) all[i] = i;
    for (i = 0; i < 2; i++) {
      uint32_t first = i == 0 ? 0 : half, count = i == 0 ? half : n - half;
      parts[i].model = model;
      parts[i].scratch = scratches[i];
      parts[i].request = *request;
      parts[i].request.max_candidates = 0;
      parts[i].request.only = all + first;
      parts[i].request.num_only = count;
      parts[i].result = empty_result();
      parts[i].result.scores = scores + first * num_tasks;
      parts[i].result.scores_len = count * num_tasks;
      parts[i].status = PKR_OK;
    }
    /* With one candidate there is nothing to share. */
    if (half == 0 || pthread_create(&other, NULL, score, &parts[0]) != 0) {
      if (half != 0) score(&parts[0]);
      score(&parts[1]);
    } else {
      score(&parts[1]);
      pthread_join(other, NULL);
    }
    status = parts[0].status != PKR_OK ? parts[0].status : parts[1].status;
    if (status == PKR_OK) {
      pkr_result result = empty_result();
      result.order = order;
      result.order_len = result.fused_len = request->num_candidates;
      result.fused = fused;
      status = pkr_order(model, scratches[0], request, scores, n * num_tasks, &result, NULL);
      /* A formula that reads scores before calibration is for one call. */
      if (status == PKR_ERR_FORMULA_SCORES) status = pkr_rank(model, scratches[0], request, &result, NULL);
    }
  }
  free(all);
  free(scores);
  return status;
}

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  size_t model_len = 0, file_len = 0;
  unsigned char *bytes = argc == 3 ? read_file(argv[1], &model_len) : NULL;
  unsigned char *file = argc == 3 ? read_file(argv[2], &file_len) : NULL;
  void *model_memory = NULL, *scratch_memory[2];
  pkr_model_information info;
  pkr_model *model;
  pkr_scratch *scratches[2];
  pkr_request request;
  uint32_t count = 0, k, ranked = 0;
  reader requests;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) {
    fprintf(stderr, "usage: threads MODEL.pkr REQUESTS.req\n");
    return 2;
  }
  info.struct_size = sizeof info;
  if (open_model(bytes, model_len, PKR_CPU_AUTO, &model, &model_memory) != PKR_OK ||
      pkr_model_info(model, &info) != PKR_OK ||
      make_scratch(model, info.candidates_max, &scratches[0], &scratch_memory[0]) != PKR_OK ||
      make_scratch(model, info.candidates_max, &scratches[1], &scratch_memory[1]) != PKR_OK)
    return 3;
  for (k = 0; k < count && next_request(&requests, &request, columns); k++) {
    size_t n = request.num_candidates;
    uint32_t scored = request.num_candidates;
    uint32_t *orders = malloc(2 * n * sizeof *orders + 1);
    float *fused = malloc(2 * n * sizeof *fused + 1);
    pkr_result one = empty_result();
    pkr_status status, by_two;
    if (orders == NULL || fused == NULL) return 1;
    if (request.max_candidates != 0 && request.max_candidates < scored) scored = request.max_candidates;
    one.order = orders;
    one.fused = fused;
    one.order_len = one.fused_len = n;
    status = pkr_rank(model, scratches[0], &request, &one, NULL);
    if (n != 0 && n <= info.candidates_max) {
      by_two = rank_by_two(model, scratches, &request, scored, info.num_tasks, orders + n, fused + n);
      if (by_two != status || (status == PKR_OK && (memcmp(orders, orders + n, n * sizeof *orders) != 0 ||
                                                    memcmp(fused, fused + n, n * sizeof *fused) != 0))) {
        fprintf(stderr, "threads: request %lu differs\n", (unsigned long)k);
        return 1;
      }
      ranked += status == PKR_OK;
    }
    free(orders);
    free(fused);
  }
  printf("%lu requests by two threads: orders and bits of one\n", (unsigned long)ranked);
  return requests.bad || ranked == 0;
}

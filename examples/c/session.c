/*
 * Shows feeds and ranks what is left after each item: item sums are made once, what the user does goes into the session's
 * state, and every new order is held against a fresh request: the same order, the same bits.
 *
 *   cc -std=c99 -O2 -I include examples/c/session.c libpocketrank.a -o session && ./session MODEL.pkr REQUESTS.req
 */
#include "common.h"

enum { SHOWN = 3 }; /* items of each feed */

/* One ranking of up to `n` candidates. */
typedef struct {
  pkr_result result;
  uint32_t *order;
  float *fused, *scores;
} ranking;

static int make_ranking(ranking *r, size_t n, size_t num_tasks) {
  memset(&r->result, 0, sizeof r->result);
  r->result.struct_size = sizeof r->result;
  r->result.order = r->order = malloc(n * sizeof *r->order + 1);
  r->result.fused = r->fused = malloc(n * sizeof *r->fused + 1);
  r->result.scores = r->scores = malloc(n * num_tasks * sizeof *r->scores + 1);
  r->result.order_len = r->result.fused_len = n;
  r->result.scores_len = n * num_tasks;
  return r->order != NULL && r->fused != NULL && r->scores != NULL;
}

static void free_ranking(ranking *r) {
  free(r->order);
  free(r->fused);
  free(r->scores);
}

static int same(const ranking *a, const ranking *b) {
  return memcmp(a->order, b->order, a->result.order_len * sizeof *a->order) == 0 &&
         memcmp(a->fused, b->fused, a->result.fused_len * sizeof *a->fused) == 0 &&
         memcmp(a->scores, b->scores, a->result.scores_len * sizeof *a->scores) == 0;
}

/* The user liked, or whatever the model's label 0 is, what was shown; nothing is known of its ids here. */
static pkr_status feed_back(const pkr_model *model, pkr_session *session, int64_t time) {
  pkr_event event;
  memset(&event, 0, sizeof event);
  event.struct_size = sizeof event;
  event.time = time;
  event.value = 1.0f;
  return pkr_session_feedback(model, session, &event, NULL);
}

/* One feed. 0: all as it should be; 1: a difference; 2: the request is refused. */
static int show(const pkr_model *model, const pkr_model_information *info, pkr_scratch *scratch, const pkr_request *request) {
  size_t n = request->num_candidates, num_left = n, bytes = 0, i, step;
  uint32_t *left = malloc(n * sizeof *left + 1);
  unsigned char *state = malloc(info->state_bytes + 1);
  void *memory = NULL;
  pkr_session *session = NULL;
  pkr_request stateless = *request, fresh = *request;
  ranking by_session, by_rank;
  pkr_status status;
  int outcome = 2;
  if (!make_ranking(&by_session, n, info->num_tasks) || !make_ranking(&by_rank, n, info->num_tasks)) return 1;
  stateless.state = NULL;
  stateless.state_bytes = 0;
  for (i = 0; i < n; i++) left[i] = (uint32_t)i;
  if (pkr_session_bytes(model, request->num_candidates, &bytes) != PKR_OK) goto done;
  memory = malloc(bytes);
  if (pkr_session_begin(model, scratch, request, memory, bytes, &session, NULL) != PKR_OK) goto done;
  for (step = 0; step <= SHOWN && num_left > 0; step++) {
    status = pkr_session_rerank(model, session, scratch, &stateless, &by_session.result, NULL);
    if (pkr_session_state(session, state, info->state_bytes) != PKR_OK) break;
    fresh.only = left;
    fresh.num_only = num_left;
    fresh.state = info->state_bytes == 0 ? NULL : state;
    fresh.state_bytes = info->state_bytes;
    if (pkr_rank(model, scratch, &fresh, &by_rank.result, NULL) != status) outcome = 1;
    if (outcome == 1 || status != PKR_OK) goto done;
    if (!same(&by_session, &by_rank)) {
      outcome = 1;
      goto done;
    }
    /* The best one is shown; the user does something. */
    if (pkr_session_shown(session, by_session.order[0]) != PKR_OK) break;
    for (i = 0; left[i] != by_session.order[0]; i++) continue;
    memmove(left + i, left + i + 1, (num_left - i - 1) * sizeof *left);
    num_left--;
    if (info->num_labels > 0 && feed_back(model, session, request->time + (int64_t)step) != PKR_OK) break;
  }
  outcome = step <= SHOWN && num_left > 0; /* left by `break`? */
done:
  if (session != NULL && pkr_session_close(session) != PKR_OK) outcome = 1;
  free(memory);
  free(state);
  free(left);
  free_ranking(&by_session);
  free_ranking(&by_rank);
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
  uint32_t count = 0, k, shown = 0;
  reader requests;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) {
    fprintf(stderr, "usage: session MODEL.pkr REQUESTS.req\n");
    return 2;
  }
  info.struct_size = sizeof info;
  if (open_model(bytes, model_len, PKR_CPU_AUTO, &model, &model_memory) != PKR_OK ||
      pkr_model_info(model, &info) != PKR_OK ||
      make_scratch(model, info.candidates_max, &scratch, &scratch_memory) != PKR_OK)
    return 3;
  for (k = 0; k < count && next_request(&requests, &request, columns); k++) {
    int outcome = show(model, &info, scratch, &request);
    if (outcome == 1) {
      fprintf(stderr, "session: request %lu differs\n", (unsigned long)k);
      return 1;
    }
    shown += outcome == 0;
  }
  printf("%lu feeds, ranked again after each of %d items: orders and bits of fresh requests\n", (unsigned long)shown, SHOWN);
  return requests.bad || shown == 0;
}

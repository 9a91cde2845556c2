/*
 * Threads rank while models are swapped: every result has the bits of the model that the thread had, never of another or a mix.
 *
 *   swap_test FOLDER FEED.req THREADS SWAPS ORIGIN...
 *
 * ORIGINs are folders of three files each: the first two are good and differ, the others must be refused. FOLDER has the first
 * installed. Each of SWAPS updates copies an origin to FOLDER/incoming as a download would; every third one is a bad one.
 */
#define _POSIX_C_SOURCE 200809L
#include "hot_swap.h"

#include "../c/common.h"

#include <stdatomic.h>
#include <time.h>

enum { REQUESTS = 40, MOST = 64 };

/* What a model makes of a request. */
typedef struct {
  pkr_status status;
  uint32_t order[MOST];
  float fused[MOST];
} outcome;

static pkr_column columns[REQUESTS][MAX_COLUMNS];
static pkr_request requests[REQUESTS];
static unsigned num_requests;
static uint64_t digests[2];
static outcome expected[2][REQUESTS];
static holder models;
static atomic_int stop;
static atomic_ulong ranked, by_model[2];

static void die(const char *what) {
  fprintf(stderr, "swap_test: %s\n", what);
  exit(1);
}

static void rank(const pkr_model *model, pkr_scratch *scratch, unsigned which, outcome *out) {
  pkr_result result;
  memset(&result, 0, sizeof result);
  memset(out, 0, sizeof *out);
  result.struct_size = sizeof result;
  result.order = out->order;
  result.fused = out->fused;
  result.order_len = result.fused_len = requests[which].num_candidates;
  out->status = pkr_rank(model, scratch, &requests[which], &result, NULL);
}

/* Scratch of one thread, made again for a model that needs more. */
typedef struct {
  void *memory;
  size_t bytes;
  pkr_scratch *scratch;
} thread_scratch;

static void drop(thread_scratch *t) {
  if (t->scratch != NULL) pkr_scratch_close(t->scratch);
  free(t->memory);
  memset(t, 0, sizeof *t);
}

static pkr_scratch *fit(thread_scratch *t, const pkr_model *model) {
  size_t bytes = 0;
  if (pkr_scratch_bytes(model, MOST, &bytes) != PKR_OK) die("scratch");
  if (bytes > t->bytes) {
    drop(t);
    t->memory = malloc(bytes);
    t->bytes = bytes;
    if (t->memory == NULL || pkr_scratch_init(model, MOST, t->memory, bytes, &t->scratch) != PKR_OK) die("scratch");
  }
  return t->scratch;
}

static void *reader_thread(void *argument) {
  unsigned state = *(const unsigned *)argument;
  thread_scratch own = {0};
  while (!atomic_load(&stop)) {
    loaded_model *it = holder_acquire(&models);
    unsigned which, k = it->info.digest == digests[1];
    outcome got;
    state = state * 1664525u + 1013904223u;
    which = state >> 8 & 0xffff;
    which %= num_requests;
    rank(it->model, fit(&own, it->model), which, &got);
    if (it->info.digest != digests[k]) die("a model that is neither");
    if (memcmp(&got, &expected[k][which], sizeof got) != 0) die("a result that is not its model's");
    holder_release(&models, it);
    atomic_fetch_add(&ranked, 1);
    atomic_fetch_add(&by_model[k], 1);
  }
  drop(&own);
  return NULL;
}

static void copy_file(const char *from, const char *to, const char *name) {
  char path[600];
  size_t len = 0;
  unsigned char *bytes;
  FILE *file;
  snprintf(path, sizeof path, "%s/%s", from, name);
  bytes = read_file(path, &len);
  snprintf(path, sizeof path, "%s/%s", to, name);
  file = fopen(path, "wb");
  if (bytes == NULL || file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) die(path);
  free(bytes);
}

int main(int argc, char **argv) {
  const struct timespec moment = {0, 50000};
  size_t len = 0;
  unsigned char *file = argc > 6 ? read_file(argv[2], &len) : NULL;
  unsigned threads, swaps, i, k, good = 0, refused = 0, seeds[64];
  char incoming[512], slot = 'a';
  pthread_t ids[64];
  loaded_model *it = NULL;
  uint32_t count = 0;
  reader r;
  if (argc < 7 || !open_requests(&r, file, len, &count)) die("usage: FOLDER FEED.req THREADS SWAPS ORIGIN ORIGIN...");
  threads = (unsigned)atoi(argv[3]);
  swaps = (unsigned)atoi(argv[4]);
  if (threads > 64) die("at most 64 threads");
  snprintf(incoming, sizeof incoming, "%s/incoming", argv[1]);
  while (num_requests < REQUESTS && next_request(&r, &requests[num_requests], columns[num_requests])) {
    if (requests[num_requests].num_candidates <= MOST) num_requests++;
  }
  for (k = 0; k < 2; k++) { /* what each model makes of each request, by itself */
    thread_scratch own = {0};
    if (check_folder(argv[5 + k], 0, &it) != GOOD) die("a good origin is not");
    digests[k] = it->info.digest;
    for (i = 0; i < num_requests; i++) rank(it->model, fit(&own, it->model), i, &expected[k][i]);
    drop(&own);
    close_loaded(it);
  }
  for (i = k = 0; i < num_requests; i++) k += memcmp(&expected[0][i], &expected[1][i], sizeof expected[0][i]) != 0;
  if (k < 5) die("the two models rank alike: nothing would be seen");

  if (open_slots(argv[1], 0, &it, &slot) != GOOD) die("nothing to start with");
  holder_init(&models, it);
  for (i = 0; i < threads; i++) {
    seeds[i] = i;
    if (pthread_create(&ids[i], NULL, reader_thread, &seeds[i]) != 0) die("no thread");
  }
  for (i = 1; i <= swaps; i++) {
    unsigned bad = argc > 7 && i % 3 == 0, from = bad ? 7 + i / 3 % (unsigned)(argc - 7) : 5 + i % 2;
    uint64_t before;
    unsigned long seen = atomic_load(&ranked);
    verdict v;
    copy_file(argv[from], incoming, "model.pkr");
    copy_file(argv[from], incoming, "selftest.req");
    copy_file(argv[from], incoming, "manifest");
    it = holder_acquire(&models);
    before = it->info.digest;
    holder_release(&models, it);
    v = update(argv[1], &models, &slot);
    it = holder_acquire(&models);
    if (bad ? v == GOOD || it->info.digest != before : v != GOOD || it->info.digest != digests[i % 2]) die(argv[from]);
    holder_release(&models, it);
    good += v == GOOD;
    refused += v != GOOD;
    while (threads > 0 && atomic_load(&ranked) == seen) nanosleep(&moment, NULL); /* requests between any two swaps */
  }
  atomic_store(&stop, 1);
  for (i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  if (models.closed != good) die("models were closed too early or not at all");
  holder_close(&models);
  printf("%u swaps, %u refused, %lu requests by %u threads (%lu and %lu by model): each with its model's bits\n", good, refused,
         atomic_load(&ranked), threads, atomic_load(&by_model[0]), atomic_load(&by_model[1]));
  free(file);
  return by_model[0] == 0 || by_model[1] == 0;
}

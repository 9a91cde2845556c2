/* Memory that ends, or begins, at an inaccessible page: model bytes, handles, columns, states and outputs. Inputs are
 * read-only. One byte read or written outside, or an input written, ends the program with a fault; a result that differs
 * from that in ordinary memory ends it with 1.
 *
 *   guard MODEL.pkr REQUESTS.req
 */
#define _GNU_SOURCE
#include "../../examples/c/common.h" /* its reader of requests */

#include <sys/mman.h>

#define PAGE 4096u
#define REGION_BYTES ((size_t)64 << 20)

static unsigned char *region, *next;

static void fail(const char *what) {
  fprintf(stderr, "guard: %s\n", what);
  exit(1);
}

/* Everything is inaccessible again. */
static void reset(void) {
  if (region != NULL) munmap(region, REGION_BYTES);
  region = mmap(NULL, REGION_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) fail("no memory");
  next = region + PAGE;
}

/* `bytes` bytes between inaccessible pages: `shift` bytes before the one behind them, or after the one before them. */
static void *place(const void *from, size_t bytes, size_t shift, int at_end) {
  size_t pages = (bytes + shift + PAGE - 1) / PAGE * PAGE;
  unsigned char *at;
  if (pages == 0) pages = PAGE;
  at = at_end ? next + pages - shift - bytes : next + shift;
  if (next + pages + PAGE > region + REGION_BYTES) fail("region too small");
  if (mprotect(next, pages, PROT_READ | PROT_WRITE) != 0) fail("mprotect");
  if (from != NULL) {
    memcpy(at, from, bytes);
    if (mprotect(next, pages, PROT_READ) != 0) fail("mprotect");
  }
  next += pages + PAGE;
  return at;
}

static const void *input(const void *from, size_t count, size_t size, size_t shift, int at_end) {
  return from == NULL ? NULL : place(from, count * size, shift / size * size, at_end);
}

/* Opening every shorter file and the whole one at every alignment. */
static void open_all(const unsigned char *bytes, size_t len, size_t model_bytes) {
  size_t n;
  for (n = 0; n <= len; n++) {
    size_t shift = n == len ? 0 : n % 64;
    pkr_requirements need = {sizeof need, 0, 0};
    pkr_model *model = NULL;
    pkr_status status;
    const unsigned char *at;
    if (n > 1024 && n + 64 < len && n % 61 != 0) continue; /* lengths 0..1024, the last 64, and some between */
    reset();
    at = n == 0 ? next : input(bytes, n, 1, shift, (int)(n / 64 % 2));
    status = pkr_model_query(at, n, &need);
    if (status == PKR_OK && n < 64) fail("a part of the envelope passes");
    status = pkr_model_open(at, n, place(NULL, model_bytes, 0, 1), model_bytes, NULL, &model, NULL);
    if ((status == PKR_OK) != (n == len)) fail("a part of a file opens, or the whole does not");
  }
  for (n = 0; n < 128; n++) {
    pkr_model *model = NULL;
    reset();
    if (pkr_model_open(input(bytes, len, 1, n % 64, (int)(n / 64)), len, place(NULL, model_bytes, n % 64 / 8 * 8, 1),
                       model_bytes, NULL, &model, NULL) != PKR_OK)
      fail("an alignment is refused");
  }
}

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS], guarded[MAX_COLUMNS];
  size_t len = 0, file_len = 0, scratch_bytes, guarded_scratch_bytes, i;
  unsigned char *bytes = argc == 3 ? read_file(argv[1], &len) : NULL;
  unsigned char *file = argc == 3 ? read_file(argv[2], &file_len) : NULL;
  pkr_requirements need = {sizeof need, 0, 0};
  pkr_model_information info = {sizeof info, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL, 0, 0};
  pkr_model *model;
  pkr_scratch *scratch;
  pkr_request request;
  uint32_t count, ranked = 0, kept = 0;
  reader requests;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) return 2;
  if (pkr_model_query(bytes, len, &need) != PKR_OK) return 2;
  open_all(bytes, len, need.model_bytes);
  if (pkr_model_open(bytes, len, malloc(need.model_bytes), need.model_bytes, NULL, &model, NULL) != PKR_OK) return 2;
  if (pkr_model_info(model, &info) != PKR_OK) return 2;
  if (pkr_scratch_bytes(model, info.candidates_max, &scratch_bytes) != PKR_OK) return 2;
  if (pkr_scratch_init(model, info.candidates_max, malloc(scratch_bytes), scratch_bytes, &scratch) != PKR_OK) return 2;
  for (i = 0; i < count && next_request(&requests, &request, columns); i++) {
    size_t n = request.num_candidates, shift = i % 64, k;
    int at_end = i / 64 % 2 == 0;
    static const size_t value_bytes[] = {0, 8, 1, 4, 4, 1};
    pkr_request inside = request;
    pkr_result want, got, *result;
    pkr_model *guarded_model;
    pkr_scratch *guarded_scratch;
    const unsigned char *at;
    pkr_status status, plain;
    memset(&want, 0, sizeof want);
    want.struct_size = sizeof want;
    want.order_len = want.fused_len = n;
    want.scores_len = n * info.num_tasks;
    got = want;
    want.order = malloc(n * 4 + 1);
    want.fused = malloc(n * 4 + 1);
    want.scores = malloc(n * info.num_tasks * 4 + 1);
    plain = pkr_rank(model, scratch, &request, &want, NULL);

    reset();
    at = input(bytes, len, 1, shift, at_end);
    if (pkr_model_open(at, len, place(NULL, need.model_bytes, shift / 8 * 8, at_end), need.model_bytes, NULL,
                       &guarded_model, NULL) != PKR_OK)
      fail("a guarded model does not open");
    if (n == 0 || pkr_scratch_bytes(guarded_model, (uint32_t)n, &guarded_scratch_bytes) != PKR_OK) return 2;
    /* Handles are aligned to 8: a length that is not a multiple leaves at most 7 bytes before the page. */
    guarded_scratch_bytes = (guarded_scratch_bytes + 7) / 8 * 8;
    if (pkr_scratch_init(guarded_model, (uint32_t)n, place(NULL, guarded_scratch_bytes, shift / 8 * 8, at_end),
                         guarded_scratch_bytes, &guarded_scratch) != PKR_OK)
      fail("a guarded scratch is refused");
    for (k = 0; k < request.num_columns; k++) {
      pkr_column c = columns[k];
      if (c.form != PKR_FORM_MISSING) c.values = input(c.values, c.count, value_bytes[c.form], shift, at_end);
      c.offsets = input(c.offsets, c.num_offsets, 4, shift, at_end);
      c.list_offsets = input(c.list_offsets, c.num_list_offsets, 4, shift, at_end);
      c.weights = input(c.weights, c.num_weights, 4, shift, at_end);
      guarded[k] = c;
    }
    inside.columns = input(guarded, request.num_columns, sizeof *guarded, 0, at_end);
    inside.state = input(request.state, request.state_bytes, 1, shift, at_end);
    inside.weights = input(request.weights, request.num_weights, 4, shift, at_end);
    /* Every other time with item sums, which are made and read between such pages. */
    if (i % 2 == 1 && info.item_sums_bytes != 0) {
      size_t sums_bytes = n * info.item_sums_bytes;
      unsigned char *sums = place(NULL, sums_bytes, shift, at_end);
      if (pkr_item_sums(guarded_model, guarded_scratch, &inside, sums, sums_bytes, NULL) == PKR_OK) {
        inside.item_sums = input(sums, sums_bytes, 1, shift, !at_end);
        inside.item_sums_bytes = sums_bytes;
        kept++;
      }
    }
    got.order = place(NULL, n * 4, shift / 4 * 4, at_end);
    got.fused = place(NULL, n * 4, shift / 4 * 4, at_end);
    got.scores = place(NULL, n * info.num_tasks * 4, shift / 4 * 4, at_end);
    result = place(NULL, sizeof got, shift / 8 * 8, at_end);
    *result = got;
    status = pkr_rank(guarded_model, guarded_scratch, input(&inside, 1, sizeof inside, 0, at_end), result, NULL);
    if (status != plain) fail("another status");
    if (status == PKR_OK) {
      ranked++;
      if (memcmp(want.order, got.order, n * 4) != 0 || memcmp(want.fused, got.fused, n * 4) != 0 ||
          memcmp(want.scores, got.scores, n * info.num_tasks * 4) != 0 ||
          (inside.item_sums == NULL && want.missing != result->missing))
        fail("other results");
    }
    if (pkr_scratch_close(guarded_scratch) != PKR_OK || pkr_model_close(guarded_model) != PKR_OK) fail("close");
    free(want.order);
    free(want.fused);
    free(want.scores);
  }
  if (i != count || ranked == 0) fail("requests cannot be read");
  printf("guard pages: %lu requests, %lu ranked, %lu by kept item sums\n", (unsigned long)i, (unsigned long)ranked,
         (unsigned long)kept);
  return 0;
}

/* Ranks one request of a file so many times, for a program that counts instructions: those of a warm request are what
 * one more time adds.
 *
 *   count MODEL.pkr REQUESTS.req INDEX TIMES ISA    exits with 1 if another instruction set runs
 */
#include "../../examples/c/common.h" /* its reader of requests */

int main(int argc, char **argv) {
  static pkr_column columns[MAX_COLUMNS];
  size_t len = 0, file_len = 0;
  unsigned char *bytes = argc == 6 ? read_file(argv[1], &len) : NULL;
  unsigned char *file = argc == 6 ? read_file(argv[2], &file_len) : NULL;
  const char *isa = argc == 6 ? argv[5] : NULL;
  void *model_memory = NULL, *scratch_memory = NULL;
  uint32_t cpu = PKR_CPU_AUTO;
  pkr_model *model;
  pkr_scratch *scratch;
  pkr_model_information info;
  pkr_request request;
  pkr_result result;
  reader requests;
  uint32_t count;
  long i;
  if (bytes == NULL || !open_requests(&requests, file, file_len, &count)) return 2;
  if (strcmp(isa, "portable") == 0) cpu = PKR_CPU_PORTABLE;
  if (strcmp(isa, "neon-dotprod") == 0) cpu = PKR_CPU_NEON_DOTPROD;
  if (strcmp(isa, "neon-i8mm") == 0) cpu = PKR_CPU_NEON_I8MM;
  for (i = 0; i <= atol(argv[3]); i++) {
    if (!next_request(&requests, &request, columns)) return 2;
  }
  info.struct_size = sizeof info;
  if (open_model(bytes, len, cpu, &model, &model_memory) != PKR_OK || pkr_model_info(model, &info) != PKR_OK ||
      make_scratch(model, request.num_candidates, &scratch, &scratch_memory) != PKR_OK)
    return 2;
  if (strlen(isa) != info.isa_bytes || memcmp(isa, info.isa, info.isa_bytes) != 0) {
    fprintf(stderr, "count: %.*s runs, not %s\n", (int)info.isa_bytes, info.isa, isa);
    return 1;
  }
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  result.order_len = result.fused_len = request.num_candidates;
  result.order = malloc(result.order_len * sizeof *result.order);
  result.fused = malloc(result.fused_len * sizeof *result.fused);
  for (i = 0; i < atol(argv[4]); i++) {
    if (pkr_rank(model, scratch, &request, &result, NULL) != PKR_OK) return 1;
  }
  return result.scored == request.num_candidates ? 0 : 1;
}

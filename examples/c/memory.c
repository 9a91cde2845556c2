/*
 * Prints what memory an app needs for a model: the handle, what a thread and what a feed take, by number of candidates.
 *
 *   cc -std=c99 -O2 -I include examples/c/memory.c libpocketrank.a -o memory && ./memory MODEL.pkr [CANDIDATES]
 */
#include "common.h"

int main(int argc, char **argv) {
  size_t len = 0, scratch_bytes = 0, session_bytes = 0, rerank_bytes = 0;
  unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 200;
  unsigned char *bytes = argc == 2 || argc == 3 ? read_file(argv[1], &len) : NULL;
  void *memory = NULL;
  pkr_model *model = NULL;
  pkr_model_information info;
  pkr_requirements need;
  pkr_status status;

  if (bytes == NULL) {
    fprintf(stderr, "usage: memory MODEL.pkr [CANDIDATES]\n");
    return 2;
  }
  need.struct_size = sizeof need;
  info.struct_size = sizeof info;
  status = open_model(bytes, len, PKR_CPU_AUTO, &model, &memory);
  if (status == PKR_OK) status = pkr_model_query(bytes, len, &need);
  if (status == PKR_OK) status = pkr_model_info(model, &info);
  if (status == PKR_OK) status = pkr_scratch_bytes(model, (uint32_t)n, &scratch_bytes);
  if (status == PKR_OK) status = pkr_session_bytes(model, (uint32_t)n, &session_bytes);
  if (status == PKR_OK) status = pkr_rerank_bytes((uint32_t)n, 10, 16, &rerank_bytes);
  if (status == PKR_OK) {
    printf("file            %8lu bytes, borrowed\n", (unsigned long)len);
    printf("model           %8lu bytes\n", (unsigned long)need.model_bytes);
    printf("formula         %8lu bytes for one that is shipped apart\n", (unsigned long)pkr_formula_bytes());
    printf("scratch         %8lu bytes a thread for %lu candidates\n", (unsigned long)scratch_bytes, n);
    printf("session         %8lu bytes a feed of %lu candidates\n", (unsigned long)session_bytes, n);
    printf("list            %8lu bytes for 10 of %lu, with vectors of 16\n", (unsigned long)rerank_bytes, n);
    printf("state           %8lu bytes a user\n", (unsigned long)info.state_bytes);
    printf("item sums       %8lu bytes an item that the app keeps\n", (unsigned long)info.item_sums_bytes);
    status = pkr_model_close(model);
  }
  if (status != PKR_OK) fprintf(stderr, "memory: %s\n", pkr_status_name(status));
  free(memory);
  free(bytes);
  return status == PKR_OK ? 0 : 1;
}

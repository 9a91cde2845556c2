/*
 * Loads a shared library for another system's loader (Android's) by name, as an app does, and ranks with it: prints the lines of
 * ../../examples/c/rank.c. With one argument it says only that the library loads and that it has JNI_OnLoad.
 *
 *   aarch64-linux-gnu-gcc -std=gnu99 -O2 -I include tests/abi/dlopen.c -ldl -o dlopen
 *   qemu-aarch64 -L /usr/aarch64-linux-gnu dlopen LIBRARY.so [MODEL.pkr REQUESTS.req]
 */
#include <dlfcn.h>

#include "pocketrank.h"

static void *library;

/* rank.c calls functions by name: here each name is looked up in the library. */
#define FROM_LIBRARY(name) ((__typeof__(&name))look_up(#name))
#include <stdio.h>
#include <stdlib.h>

static void *look_up(const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "dlopen: no %s: %s\n", name, dlerror());
    exit(3);
  }
  return found;
}

#define pkr_abi_version FROM_LIBRARY(pkr_abi_version)
#define pkr_status_name FROM_LIBRARY(pkr_status_name)
#define pkr_model_query FROM_LIBRARY(pkr_model_query)
#define pkr_model_open FROM_LIBRARY(pkr_model_open)
#define pkr_model_info FROM_LIBRARY(pkr_model_info)
#define pkr_model_close FROM_LIBRARY(pkr_model_close)
#define pkr_scratch_bytes FROM_LIBRARY(pkr_scratch_bytes)
#define pkr_scratch_init FROM_LIBRARY(pkr_scratch_init)
#define pkr_scratch_close FROM_LIBRARY(pkr_scratch_close)
#define pkr_rank FROM_LIBRARY(pkr_rank)

#define main rank_main
#include "../../examples/c/rank.c"
#undef main

int main(int argc, char **argv) {
  library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (library == NULL) {
    fprintf(stderr, "dlopen: %s\n", argc > 1 ? dlerror() : "usage: dlopen LIBRARY.so [MODEL.pkr REQUESTS.req [ISA]]");
    return 2;
  }
  if (argc == 2) {
    int (*loaded)(void *, void *) = (int (*)(void *, void *))look_up("JNI_OnLoad");
    printf("JNI_OnLoad %#x\n", (unsigned)loaded(NULL, NULL));
    return dlclose(library);
  }
  return rank_main(argc - 1, argv + 1);
}

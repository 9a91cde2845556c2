/*
 *   hot-swap manifest MODEL.pkr SELFTEST.req   what the publisher writes beside a model
 *   hot-swap start FOLDER                      opens what is there, as an app does when it starts: prints slot and digest
 *   hot-swap update FOLDER                     takes FOLDER/incoming
 */
#include "hot_swap.h"

#include <stdio.h>
#include <string.h>

static void say(const loaded_model *it, char slot) {
  printf("slot %c digest %016llx\n", slot, (unsigned long long)it->info.digest);
}

int main(int argc, char **argv) {
  loaded_model *it = NULL;
  char slot = 'a';
  verdict v;
  if (argc == 4 && strcmp(argv[1], "manifest") == 0) return !print_manifest(argv[2], argv[3]);
  if (argc != 3 || (strcmp(argv[1], "start") != 0 && strcmp(argv[1], "update") != 0)) {
    fprintf(stderr, "usage: hot-swap manifest MODEL SELFTEST | start FOLDER | update FOLDER\n");
    return 2;
  }
  v = open_slots(argv[2], 0, &it, &slot);
  if (v == GOOD && argv[1][0] == 'u') {
    holder h;
    holder_init(&h, it);
    v = update(argv[2], &h, &slot);
    say(h.current, slot);
    holder_close(&h);
  } else if (v == GOOD) {
    say(it, slot);
    close_loaded(it);
  }
  if (v != GOOD) fprintf(stderr, "hot-swap: %s\n", verdict_name(v));
  return v != GOOD;
}

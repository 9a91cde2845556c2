/*
 * What a request pays to hold its model: nanoseconds of one holder_acquire and holder_release, by one thread and by each of two
 * that do nothing else.
 */
#define _POSIX_C_SOURCE 200809L
#include "hot_swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TIMES = 1000000 };

static holder models;

static void *hold(void *ns) {
  struct timespec from, to;
  int i;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (i = 0; i < TIMES; i++) holder_release(&models, holder_acquire(&models));
  clock_gettime(CLOCK_MONOTONIC, &to);
  *(double *)ns = (1e9 * (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec)) / TIMES;
  return NULL;
}

int main(void) {
  loaded_model *none = calloc(1, sizeof *none);
  double alone, each[2];
  pthread_t other;
  if (none == NULL) return 1;
  holder_init(&models, none);
  hold(&alone); /* warms up */
  hold(&alone);
  if (pthread_create(&other, NULL, hold, &each[1]) != 0) return 1;
  hold(&each[0]);
  pthread_join(other, NULL);
  holder_close(&models);
  printf("a request holds its model for %.0f ns by one thread, %.0f and %.0f ns by two\n", alone, each[0], each[1]);
  return 0;
}

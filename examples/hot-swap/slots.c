/*
 * Two slots and a name. A slot that does not rank is emptied (its manifest first), filled (its manifest last), and then named;
 * the name is replaced by a rename, which is whole or not at all. Whatever comes in between, the slot that ranks was not touched.
 *
 * Each change is brought to the medium (fsync of the file, then of its folder) before the next that relies on it.
 */
#define _POSIX_C_SOURCE 200809L
#include "hot_swap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Test: with PKR_KILL_AT=n the process ends, as by kill -9, before the n-th change of an installation. */
static void step(void) {
  static int steps;
  const char *at = getenv("PKR_KILL_AT");
  if (at != NULL && ++steps == atoi(at)) raise(SIGKILL);
}

/* 0 on success, as all below. */
static int sync_path(const char *path) {
  int outcome, file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  step();
  outcome = fsync(file);
  return close(file) | outcome;
}

static int move(const char *from_folder, const char *to_folder, const char *name) {
  char from[600], to[600];
  if (snprintf(from, sizeof from, "%s/%s", from_folder, name) >= (int)sizeof from ||
      snprintf(to, sizeof to, "%s/%s", to_folder, name) >= (int)sizeof to)
    return -1;
  if (sync_path(from) != 0) return -1;
  step();
  return rename(from, to);
}

static int write_current(const char *folder, char slot) {
  char next[600], current[600];
  const char text[] = {slot, '\n'};
  int file, bad;
  snprintf(next, sizeof next, "%s/current.next", folder);
  snprintf(current, sizeof current, "%s/current", folder);
  step();
  file = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  step();
  bad = write(file, text, sizeof text) != sizeof text;
  step();
  bad |= fsync(file) != 0;
  bad |= close(file) != 0;
  if (bad) return -1;
  step();
  if (rename(next, current) != 0) return -1;
  return sync_path(folder);
}

static char read_current(const char *folder) {
  char path[600];
  int slot = 'a';
  FILE *file;
  snprintf(path, sizeof path, "%s/current", folder);
  file = fopen(path, "r");
  if (file != NULL) {
    slot = fgetc(file);
    fclose(file);
  }
  return slot == 'b' ? 'b' : 'a';
}

static int slot_path(char *to, size_t size, const char *folder, char slot) {
  return snprintf(to, size, "%s/%c", folder, slot) < (int)size;
}

verdict open_slots(const char *folder, uint64_t layout, loaded_model **out, char *slot) {
  char path[512];
  verdict v = NO_FILES;
  int k;
  for (k = 0, *slot = read_current(folder); k < 2; k++) {
    if (!slot_path(path, sizeof path, folder, *slot)) return NO_FILES;
    if ((v = check_folder(path, layout, out)) == GOOD) return GOOD;
    if (k == 0) *slot = *slot == 'a' ? 'b' : 'a';
  }
  return v;
}

verdict install(const char *folder, char ranking, char *slot) {
  char incoming[512], to[512], manifest[600];
  const char other = ranking == 'a' ? 'b' : 'a';
  if (snprintf(incoming, sizeof incoming, "%s/incoming", folder) >= (int)sizeof incoming ||
      !slot_path(to, sizeof to, folder, other))
    return NOT_WRITTEN;
  snprintf(manifest, sizeof manifest, "%s/manifest", to);
  step();
  if (mkdir(to, 0700) != 0 && errno != EEXIST) return NOT_WRITTEN;
  step();
  if (unlink(manifest) != 0 && errno != ENOENT) return NOT_WRITTEN;
  if (sync_path(to) != 0 || move(incoming, to, "model.pkr") != 0 || move(incoming, to, "selftest.req") != 0 ||
      sync_path(to) != 0 || move(incoming, to, "manifest") != 0 || sync_path(to) != 0 || sync_path(folder) != 0 ||
      write_current(folder, other) != 0)
    return NOT_WRITTEN;
  *slot = other;
  return GOOD;
}

/*
 * An update: is it good, is it on the disk, and only then does it rank. What was checked is what runs: the open model stays
 * mapped while its file is moved.
 */
#include "hot_swap.h"

#include <stdio.h>

verdict update(const char *folder, holder *h, char *slot) {
  char incoming[512];
  loaded_model *next = NULL, *now = holder_acquire(h);
  verdict v = NO_FILES;
  if (snprintf(incoming, sizeof incoming, "%s/incoming", folder) < (int)sizeof incoming)
    v = check_folder(incoming, now->layout, &next);
  if (v == GOOD) v = install(folder, *slot, slot);
  if (v == GOOD) holder_swap(h, next);
  else close_loaded(next);
  holder_release(h, now);
  return v;
}

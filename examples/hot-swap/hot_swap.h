/*
 * A model that is replaced while it ranks: how an app updates it, and why there is always one. docs/hot-swap.md tells the whole.
 *
 *   FOLDER/incoming/   what was downloaded: model.pkr, selftest.req, manifest
 *   FOLDER/a/, b/      two slots of the same three files; a slot without a manifest is being written
 *   FOLDER/current     "a" or "b"
 *
 * Three parts, each by itself: model_file.c (is this file good?), slots.c (files survive a crash), holder.c (threads go on).
 */
#ifndef PKR_HOT_SWAP_H
#define PKR_HOT_SWAP_H

#include "pocketrank.h"

#include <pthread.h>

/* ---- model_file.c: a folder of three files, and whether its model may rank. Any thread. ---- */

/* An open model and all that it needs. It is immutable but for `readers`. */
typedef struct {
  unsigned char *bytes; /* the mapped file */
  size_t len;
  void *memory;
  pkr_model *model;
  pkr_model_information info;
  uint64_t layout;  /* names what the app has to know of it: features, tasks, labels, state */
  unsigned readers; /* the holder's */
} loaded_model;

typedef enum {
  GOOD,
  NO_FILES,     /* a file is not there or cannot be read */
  BAD_MANIFEST, /* not the text that it should be */
  BAD_FILE,     /* the library refuses it: truncated, changed, of a later format */
  OTHER_DIGEST, /* a sound file, but not the one that the manifest names */
  OTHER_LAYOUT, /* columns, tasks or state that this app does not know */
  SELF_TEST,    /* it ranks its own requests otherwise than where it was published, or not at all */
  NOT_WRITTEN,  /* the file system failed: full, read-only */
} verdict;

const char *verdict_name(verdict v);

/* Opens the model of a folder and holds it against its manifest. `layout` 0: any. What is not GOOD is closed again. */
verdict check_folder(const char *folder, uint64_t layout, loaded_model **out);
void close_loaded(loaded_model *it);

/* What the publisher writes beside a model: "digest HEX\nbits HEX\n", from the model and the requests of a self-test. */
int print_manifest(const char *model, const char *requests);

/* ---- slots.c: files. One thread at a time. ---- */

/* Opens the current slot's model or, if it is not good, the other's. `*slot` says which. */
verdict open_slots(const char *folder, uint64_t layout, loaded_model **out, char *slot);
/* Moves incoming/ into the slot that does not rank, and makes it the current one. A crash at any point leaves one that ranks. */
verdict install(const char *folder, char ranking, char *slot);

/* ---- holder.c: the model that ranks now, for any number of threads ---- */

typedef struct {
  pthread_mutex_t lock;
  loaded_model *current;
  unsigned long closed; /* for tests: models that their last reader has let go */
} holder;

void holder_init(holder *h, loaded_model *first);
/* The model for one request. It stays open until `holder_release`, whatever is swapped in meanwhile. */
loaded_model *holder_acquire(holder *h);
void holder_release(holder *h, loaded_model *it);
/* Takes `next` for all requests that begin from now on. The one before is closed when its last reader lets go; nobody waits. */
void holder_swap(holder *h, loaded_model *next);
/* When no thread ranks any more. */
void holder_close(holder *h);

/* ---- update.c: all three ---- */

/* Checks incoming/, installs it, and swaps it in. On anything but GOOD the model before ranks on. One thread at a time. */
verdict update(const char *folder, holder *h, char *slot);

#endif

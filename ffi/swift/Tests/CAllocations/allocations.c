/* Takes the place of glibc's allocation functions, and counts. */
#include "allocations.h"

#include <stdatomic.h>
#include <stddef.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

static atomic_ulong count;

unsigned long num_allocations(void) { return count; }

void *malloc(size_t bytes) {
  count++;
  return __libc_malloc(bytes);
}

void *calloc(size_t len, size_t bytes) {
  count++;
  return __libc_calloc(len, bytes);
}

void *realloc(void *from, size_t bytes) {
  count++;
  return __libc_realloc(from, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  count++;
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes) {
  *out = aligned_alloc(alignment, bytes);
  return *out == NULL;
}

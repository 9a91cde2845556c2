/* Linked beside examples/c/rank.c: the host flushes subnormals to zero before main, as audio and game engines do, and
 * still does after it. */
#include <stdio.h>
#include <stdlib.h>

static void flush(void) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); /* FTZ, DAZ */
#elif defined(__aarch64__)
  unsigned long fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  __asm__ volatile("msr fpcr, %0" ::"r"(fpcr | 1ul << 24)); /* FZ */
#elif defined(__arm__)
  unsigned fpscr;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(fpscr));
  __asm__ volatile("vmsr fpscr, %0" ::"r"(fpscr | 1u << 24)); /* FZ */
#else
#error "how does this CPU flush subnormals?"
#endif
}

/* Subnormal results and operands count as 0. */
static void check(void) {
  volatile float least = 1.17549435e-38f, half = 0.5f, subnormal = 1e-40f, large = 1e30f;
  volatile float result = least * half, operand = subnormal * large;
  if (result != 0.0f || operand != 0.0f) {
    fprintf(stderr, "flush: subnormals are not flushed\n");
    abort();
  }
}

__attribute__((constructor)) static void before(void) {
  flush();
  check();
}

__attribute__((destructor)) static void after(void) { check(); }

/* Counts the file operations of a process on paths under one folder, and lets the n-th of them go wrong.
 *
 * LD_PRELOAD this. Environment:
 *   FAULT_ROOT    the folder, absolute
 *   FAULT_LOG     file that gets one line an operation: "OPERATION PATH"
 *   FAULT_AT      n, from 1; 0: only count
 *   FAULT_ACTION  "kill": SIGKILL before the operation; or an errno that the operation fails with, as a number
 *   FAULT_EVER    "1": the n-th and all later ones fail
 *   FAULT_SET     operations that count, e.g. "write,fsync"; all without it
 *
 * Everything is done with bare system calls, so nothing here is counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long counted;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

/* Whether `path` is the root or under it; relative paths are of the working directory. */
static int inside(const char *path) {
    const char *root = setting("FAULT_ROOT");
    char whole[8192];
    if (!*root || !path) return 0;
    if (path[0] != '/') {
        long n = syscall(SYS_getcwd, whole, 4096);
        if (n <= 0) return 0;
        snprintf(whole + n - 1, sizeof whole - (size_t)n, "/%s", path);
        path = whole;
    }
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == 0 || path[n] == '/');
}

/* 1 if the operation must fail; errno is then set. Does not return if the process must die. */
static int strikes(const char *operation, const char *path) {
    const char *set = setting("FAULT_SET");
    if (!inside(path)) return 0;
    if (*set) {
        const char *at = strstr(set, operation);
        if (!at) return 0;
    }
    long n = atomic_fetch_add(&counted, 1) + 1, at = atol(setting("FAULT_AT"));
    int hit = at > 0 && (n == at || (n > at && *setting("FAULT_EVER") == '1'));
    const char *log = setting("FAULT_LOG");
    if (*log) {
        char line[9000];
        int bytes = snprintf(line, sizeof line, "%s %s%s\n", operation, path, hit ? " <-" : "");
        long fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0) {
            syscall(SYS_write, fd, line, (size_t)bytes);
            syscall(SYS_close, fd);
        }
    }
    if (!hit) return 0;
    const char *action = setting("FAULT_ACTION");
    if (strcmp(action, "kill") == 0) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
        for (;;) syscall(SYS_pause);
    }
    errno = atoi(action);
    return 1;
}

static int strikes_fd(const char *operation, int fd) {
    char link[64], path[4096];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = before;
    if (n <= 0) return 0;
    path[n] = 0;
    return strikes(operation, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                             \
    int name(const char *path, int flags, ...) {               \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                          \
        if (strikes("open", path)) return -1;                  \
        return REAL(name)(path, flags, mode);                  \
    }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) { return strikes("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }
int unlink(const char *path) { return strikes("unlink", path) ? -1 : REAL(unlink)(path); }
int rename(const char *from, const char *to) { return strikes("rename", to) ? -1 : REAL(rename)(from, to); }
ssize_t write(int fd, const void *bytes, size_t n) { return strikes_fd("write", fd) ? -1 : REAL(write)(fd, bytes, n); }
ssize_t writev(int fd, const struct iovec *v, int n) { return strikes_fd("write", fd) ? -1 : REAL(writev)(fd, v, n); }
ssize_t read(int fd, void *bytes, size_t n) { return strikes_fd("read", fd) ? -1 : REAL(read)(fd, bytes, n); }
int fsync(int fd) { return strikes_fd("fsync", fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return strikes_fd("fsync", fd) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { return strikes_fd("ftruncate", fd) ? -1 : REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { return strikes_fd("ftruncate", fd) ? -1 : REAL(ftruncate64)(fd, n); }
int flock(int fd, int operation) { return strikes_fd("flock", fd) ? -1 : REAL(flock)(fd, operation); }
/* A failed close still closes. */
int close(int fd) {
    int fails = strikes_fd("close", fd), error = errno, done = REAL(close)(fd);
    if (!fails) return done;
    errno = error;
    return -1;
}

#include "tests/proof/inject.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The names of libc are given by labels: with 64-bit file offsets the headers rename functions,
 * and with fortified ones they are inline. */
#define STANDS_FOR(name) __asm__(name) __attribute__((visibility("default"), noinline, used))

static struct inject own;
struct inject *inject = &own;

/* Whether this thread runs what is tested. What happens in a new one before that is the affair of
 * libc, and of the sanitizers, which do not expect to be without memory there. */
static _Thread_local bool has_begun __attribute__((tls_model("initial-exec")));

/* Whether this call is the one to fail. */
static bool inject_hits(enum inject_call call)
{
    if (atomic_load_explicit(&inject->call, memory_order_relaxed) != (int)call || !has_begun)
        return false;
    const int64_t n = atomic_fetch_add(&inject->n_calls, 1) + 1;
    const int64_t nth = atomic_load(&inject->nth);
    if (n != nth && !(n > nth && atomic_load(&inject->sticky)))
        return false;
    atomic_fetch_add(&inject->n_failed, 1);
    errno = atomic_load(&inject->errnum);
    return true;
}

static bool is_event(int fd);

/* The same for reading and writing, which may also be cut short; but not where the number of an
 * event is written or read: that is taken from memory, whole, and nobody waits for it. */
static bool inject_hits_bytes(enum inject_call call, int fd, size_t *len)
{
    if (atomic_load_explicit(&inject->call, memory_order_relaxed) != (int)call)
        return false;
    if ((*len == sizeof(uint64_t) && is_event(fd)) || !inject_hits(call))
        return false;
    if (atomic_load(&inject->errnum) != INJECT_SHORT)
        return true;
    *len = *len > 1 ? 1 : *len;
    return false;
}

/* The function behind ours. */
static void *next_of(void **cached, const char *name)
{
    void *found = __atomic_load_n(cached, __ATOMIC_ACQUIRE);
    if (found == NULL) {
        found = dlsym(RTLD_NEXT, name);
        if (found == NULL)
            abort();
        __atomic_store_n(cached, found, __ATOMIC_RELEASE);
    }
    return found;
}

#define NEXT(name, type, ...)                                                                      \
    ({                                                                                             \
        static void *cached;                                                                       \
        type (*next)(__VA_ARGS__);                                                                 \
        void *found = next_of(&cached, name);                                                      \
        memcpy(&next, &found, sizeof(next));                                                       \
        next;                                                                                      \
    })

static bool is_event(int fd)
{
    static const char event[] = "anon_inode:[eventfd]";
    char path[32], target[sizeof(event)];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const ssize_t len =
        NEXT("readlink", ssize_t, const char *, char *, size_t)(path, target, sizeof(target));
    return len == sizeof(event) - 1 && memcmp(target, event, sizeof(event) - 1) == 0;
}

/* Memory. dlsym() may ask for some before it can tell where the rest comes from; the compiler
 * believes that it does not call anything here, hence the volatile. */
static _Alignas(16) char arena[16384];
static atomic_size_t arena_used;
static _Thread_local volatile bool looking_up __attribute__((tls_model("initial-exec")));

static void *arena_take(size_t size)
{
    const size_t at = atomic_fetch_add(&arena_used, (size + 15) & ~(size_t)15);
    return at + size <= sizeof(arena) ? arena + at : NULL;
}

static bool arena_owns(const void *data)
{
    return (uintptr_t)data - (uintptr_t)arena < sizeof(arena);
}

static void *memory_next(void **cached, const char *name)
{
    if (*cached != NULL)
        return *cached;
    if (looking_up)
        return NULL;
    looking_up = true;
    void *found = next_of(cached, name);
    looking_up = false;
    return found;
}

static void *memory_counted(void *data)
{
    if (data != NULL)
        atomic_fetch_add_explicit(&inject->n_live, 1, memory_order_relaxed);
    return data;
}

void *inject_malloc(size_t size) STANDS_FOR("malloc");
void *inject_malloc(size_t size)
{
    static void *cached;
    void *(*next)(size_t);
    void *found = memory_next(&cached, "malloc");
    if (found == NULL)
        return arena_take(size);
    memcpy(&next, &found, sizeof(next));
    return inject_hits(INJECT_MEMORY) ? NULL : memory_counted(next(size));
}

void *inject_calloc(size_t n, size_t size) STANDS_FOR("calloc");
void *inject_calloc(size_t n, size_t size)
{
    static void *cached;
    void *(*next)(size_t, size_t);
    void *found = memory_next(&cached, "calloc");
    if (found == NULL)
        return arena_take(n * size);
    memcpy(&next, &found, sizeof(next));
    return inject_hits(INJECT_MEMORY) ? NULL : memory_counted(next(n, size));
}

void *inject_realloc(void *data, size_t size) STANDS_FOR("realloc");
void *inject_realloc(void *data, size_t size)
{
    static void *cached;
    void *(*next)(void *, size_t);
    void *found = memory_next(&cached, "realloc");
    memcpy(&next, &found, sizeof(next));
    if (inject_hits(INJECT_MEMORY))
        return NULL;
    void *grown = next(data, size);
    return data == NULL ? memory_counted(grown) : grown;
}

void *inject_reallocarray(void *data, size_t n, size_t size) STANDS_FOR("reallocarray");
void *inject_reallocarray(void *data, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return inject_realloc(data, total);
}

void inject_free(void *data) STANDS_FOR("free");
void inject_free(void *data)
{
    static void *cached;
    void (*next)(void *);
    if (data == NULL || arena_owns(data))
        return;
    void *found = memory_next(&cached, "free");
    if (found == NULL)
        return; /* dlsym() asks, within our question to it */
    memcpy(&next, &found, sizeof(next));
    atomic_fetch_sub_explicit(&inject->n_live, 1, memory_order_relaxed);
    next(data);
}

void *inject_mmap(void *, size_t, int, int, int, off_t) STANDS_FOR("mmap64");
void *inject_mmap(void *start, size_t len, int access, int flags, int fd, off_t offset)
{
    if (fd >= 0 && inject_hits(INJECT_MMAP))
        return MAP_FAILED;
    return NEXT("mmap64", void *, void *, size_t, int, int, int, off_t)(
        start, len, access, flags, fd, offset);
}

/* Files. */
static int open_next(const char *path, int flags, mode_t mode)
{
    if (inject_hits(INJECT_OPEN))
        return -1;
    return NEXT("open64", int, const char *, int, ...)(path, flags, mode);
}

int inject_open(const char *path, int flags, ...) STANDS_FOR("open64");
int inject_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return open_next(path, flags, mode);
}

int inject_open_2(const char *path, int flags) STANDS_FOR("__open64_2");
int inject_open_2(const char *path, int flags)
{
    return open_next(path, flags, 0);
}

ssize_t inject_read(int, void *, size_t) STANDS_FOR("read");
ssize_t inject_read(int fd, void *data, size_t len)
{
    if (inject_hits_bytes(INJECT_READ, fd, &len))
        return -1;
    return NEXT("read", ssize_t, int, void *, size_t)(fd, data, len);
}

ssize_t inject_read_chk(int, void *, size_t, size_t) STANDS_FOR("__read_chk");
ssize_t inject_read_chk(int fd, void *data, size_t len, size_t room)
{
    (void)room;
    return inject_read(fd, data, len);
}

ssize_t inject_pread(int, void *, size_t, off_t) STANDS_FOR("pread64");
ssize_t inject_pread(int fd, void *data, size_t len, off_t offset)
{
    if (inject_hits_bytes(INJECT_PREAD, fd, &len))
        return -1;
    return NEXT("pread64", ssize_t, int, void *, size_t, off_t)(fd, data, len, offset);
}

ssize_t inject_pread_chk(int, void *, size_t, off_t, size_t) STANDS_FOR("__pread64_chk");
ssize_t inject_pread_chk(int fd, void *data, size_t len, off_t offset, size_t room)
{
    (void)room;
    return inject_pread(fd, data, len, offset);
}

ssize_t inject_write(int, const void *, size_t) STANDS_FOR("write");
ssize_t inject_write(int fd, const void *data, size_t len)
{
    if (fd != STDERR_FILENO && inject_hits_bytes(INJECT_WRITE, fd, &len))
        return -1;
    return NEXT("write", ssize_t, int, const void *, size_t)(fd, data, len);
}

ssize_t inject_send(int, const void *, size_t, int) STANDS_FOR("send");
ssize_t inject_send(int fd, const void *data, size_t len, int flags)
{
    if (inject_hits_bytes(INJECT_WRITE, fd, &len))
        return -1;
    return NEXT("send", ssize_t, int, const void *, size_t, int)(fd, data, len, flags);
}

ssize_t inject_pwrite(int, const void *, size_t, off_t) STANDS_FOR("pwrite64");
ssize_t inject_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (inject_hits_bytes(INJECT_PWRITE, fd, &len))
        return -1;
    return NEXT("pwrite64", ssize_t, int, const void *, size_t, off_t)(fd, data, len, offset);
}

int inject_posix_fallocate(int, off_t, off_t) STANDS_FOR("posix_fallocate64");
int inject_posix_fallocate(int fd, off_t offset, off_t len)
{
    if (inject_hits(INJECT_ALLOCATE))
        return errno;
    return NEXT("posix_fallocate64", int, int, off_t, off_t)(fd, offset, len);
}

int inject_fcntl(int, int, ...) STANDS_FOR("fcntl64");
int inject_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    /* copying a descriptor never waits, so no signal interrupts it */
    const bool waits = command != F_DUPFD_CLOEXEC && command != F_GETFD;
    if ((waits || atomic_load(&inject->errnum) != EINTR) && inject_hits(INJECT_FCNTL))
        return -1;
    return NEXT("fcntl64", int, int, int, ...)(fd, command, arg);
}

/* Functions that just fail or not: name, kind, parameters, arguments. */
#define FAILS(name, id, kind, type, failure, parameters, arguments)                                \
    type inject_##id parameters STANDS_FOR(name);                                                  \
    type inject_##id parameters                                                                    \
    {                                                                                              \
        static void *cached;                                                                       \
        type(*next) parameters;                                                                    \
        if (inject_hits(kind))                                                                     \
            return failure;                                                                        \
        void *found = next_of(&cached, name);                                                      \
        memcpy(&next, &found, sizeof(next));                                                       \
        return next arguments;                                                                     \
    }

FAILS("fstat64", fstat, INJECT_STAT, int, -1, (int fd, struct stat *status), (fd, status))
FAILS("stat64", stat, INJECT_STAT, int, -1, (const char *path, struct stat *status), (path, status))
FAILS("fstatat64", fstatat, INJECT_STAT, int, -1,
    (int fd, const char *path, struct stat *status, int flags), (fd, path, status, flags))
FAILS("flock", flock, INJECT_FLOCK, int, -1, (int fd, int operation), (fd, operation))
FAILS("link", link, INJECT_NAME, int, -1, (const char *from, const char *to), (from, to))
FAILS("linkat", linkat, INJECT_NAME, int, -1,
    (int from_fd, const char *from, int to_fd, const char *to, int flags),
    (from_fd, from, to_fd, to, flags))
FAILS("rename", rename, INJECT_NAME, int, -1, (const char *from, const char *to), (from, to))
FAILS("unlink", unlink, INJECT_UNLINK, int, -1, (const char *path), (path))
FAILS("mkdir", mkdir, INJECT_NAME, int, -1, (const char *path, mode_t mode), (path, mode))
FAILS("fchmod", fchmod, INJECT_NAME, int, -1, (int fd, mode_t mode), (fd, mode))
FAILS("fsync", fsync, INJECT_SYNC, int, -1, (int fd), (fd))
FAILS("fdatasync", fdatasync, INJECT_SYNC, int, -1, (int fd), (fd))
FAILS("syncfs", syncfs, INJECT_SYNC, int, -1, (int fd), (fd))
FAILS("poll", poll, INJECT_POLL, int, -1, (struct pollfd * fds, nfds_t n, int timeout_ms),
    (fds, n, timeout_ms))
FAILS("ppoll", ppoll, INJECT_POLL, int, -1,
    (struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
    (fds, n, timeout, mask))
FAILS("nanosleep", nanosleep, INJECT_POLL, int, -1,
    (const struct timespec *pause, struct timespec *left), (pause, left))
FAILS("inotify_init1", inotify_init1, INJECT_WATCH, int, -1, (int flags), (flags))
FAILS("inotify_add_watch", inotify_add_watch, INJECT_WATCH, int, -1,
    (int fd, const char *path, uint32_t mask), (fd, path, mask))
FAILS("pipe2", pipe2, INJECT_START, int, -1, (int fds[2], int flags), (fds, flags))
FAILS("eventfd", eventfd, INJECT_START, int, -1, (unsigned count, int flags), (count, flags))
FAILS("posix_spawnp", posix_spawnp, INJECT_START, int, errno,
    (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
        const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]),
    (pid, file, actions, attributes, argv, environment))
FAILS("access", access, INJECT_LOOK, int, -1, (const char *path, int mode), (path, mode))
FAILS("opendir", opendir, INJECT_LOOK, DIR *, NULL, (const char *path), (path))
FAILS("readdir64", readdir, INJECT_LOOK, struct dirent *, NULL, (DIR * dir), (dir))
FAILS("readlink", readlink, INJECT_LOOK, ssize_t, -1, (const char *path, char *target, size_t size),
    (path, target, size))
FAILS("getcwd", getcwd, INJECT_LOOK, char *, NULL, (char *path, size_t size), (path, size))
FAILS("fstatfs64", fstatfs, INJECT_LOOK, int, -1, (int fd, struct statfs *status), (fd, status))
FAILS("getrandom", getrandom, INJECT_LOOK, ssize_t, -1, (void *data, size_t len, unsigned flags),
    (data, len, flags))

/* What a new thread is to run. So many do not begin at the same moment. */
static struct start {
    void *(*run)(void *);
    void *arg;
} starts[64];

static void *start_run(void *start)
{
    const struct start own_start = *(struct start *)start;
    has_begun = true;
    return own_start.run(own_start.arg);
}

int inject_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)
    STANDS_FOR("pthread_create");
int inject_pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
    static atomic_uint n_starts;
    struct start *start = &starts[atomic_fetch_add(&n_starts, 1) % 64];
    if (inject_hits(INJECT_START))
        return errno;
    *start = (struct start){run, arg};
    return NEXT("pthread_create", int, pthread_t *, const pthread_attr_t *, void *(*)(void *),
        void *)(thread, attributes, start_run, start);
}

/* Waking neither waits nor asks for anything: it cannot fail. */
long inject_syscall(long, long, long, long, long, long, long) STANDS_FOR("syscall");
long inject_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    const bool wakes = number == SYS_futex && (b & FUTEX_CMD_MASK) == FUTEX_WAKE;
    if (!wakes && inject_hits(INJECT_FUTEX))
        return -1;
    return NEXT("syscall", long, long, long, long, long, long, long, long)(
        number, a, b, c, d, e, f);
}

/* Only a signal keeps it from telling. */
int inject_waitid(idtype_t, id_t, siginfo_t *, int) STANDS_FOR("waitid");
int inject_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    if (atomic_load(&inject->errnum) == EINTR && inject_hits(INJECT_POLL))
        return -1;
    return NEXT("waitid", int, idtype_t, id_t, siginfo_t *, int)(type, id, info, options);
}

/* Builds for coverage call this at the end of a process (tests/support/coverage.h): what writes
 * down the counts then is no part of what is tested. */
__attribute__((visibility("default"))) void inject_end(void);
void inject_end(void)
{
    inject_disarm();
}

/* The main thread's beginning. Preloaded: the steering program's file. Programs that this one starts are left alone. */
__attribute__((constructor)) static void inject_attach(void)
{
    has_begun = true;
    const char *path = getenv("PLSM_INJECT");
    if (path == NULL)
        return;
    const int fd = open_next(path, O_RDWR | O_CLOEXEC, 0);
    void *map = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED)
        abort();
    close(fd);
    unsetenv("PLSM_INJECT");
    unsetenv("LD_PRELOAD");
    inject = map;
}

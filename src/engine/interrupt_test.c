/* Calls that the system breaks off: interrupted by a signal, as file systems may that wait for a
 * server, or done in part. The C library's are replaced for this program by ones that give up at
 * each first try. */
#include "engine/child_test.h"
#include "engine/handle.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>

/* The names of libc are given by labels: with 64-bit file offsets the headers rename functions, and
 * with fortified ones they are inline. */
#define STANDS_FOR(name) __asm__(name) __attribute__((visibility("default"), noinline, used))

enum call { CALL_OPEN, CALL_FCNTL, CALL_FSYNC, CALL_FDATASYNC, CALL_SYNCFS, N_CALLS };

static bool interrupting;
static bool refusing_unnamed; /* as some file systems refuse files without a name */
static bool reading_short;
static bool refusing_locks;    /* as a file system without locks does */
static unsigned failing_write; /* which of the writes fails; 0: none */
static bool writing_short;
static bool closing_stdin; /* another thread closes it, just before a descriptor is copied */
static unsigned n_calls[N_CALLS];
static unsigned n_short;

/* Every second call succeeds. */
static bool interrupted(enum call call)
{
    if (!interrupting || n_calls[call]++ % 2 != 0)
        return false;
    errno = EINTR;
    return true;
}

#define NEXT(name, type, ...)                                                                      \
    ({                                                                                             \
        type (*next)(__VA_ARGS__);                                                                 \
        void *found = dlsym(RTLD_NEXT, name);                                                      \
        assert_non_null(found);                                                                    \
        memcpy(&next, &found, sizeof(next));                                                       \
        next;                                                                                      \
    })

int test_open_at(const char *path, int flags, ...) STANDS_FOR("open64");
int test_open_at(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (refusing_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return interrupted(CALL_OPEN) ? -1
                                  : NEXT("open64", int, const char *, int, ...)(path, flags, mode);
}

int test_fcntl(int fd, int command, ...) STANDS_FOR("fcntl64");
int test_fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    if (refusing_locks && (command == F_OFD_SETLK || command == F_OFD_GETLK)) {
        errno = ENOLCK;
        return -1;
    }
    if (closing_stdin && command == F_DUPFD_CLOEXEC)
        assert_int_equal(close(STDIN_FILENO), 0);
    return interrupted(CALL_FCNTL) ? -1 : NEXT("fcntl64", int, int, int, ...)(fd, command, arg);
}

int fsync(int fd)
{
    (void)fd;
    return interrupted(CALL_FSYNC) ? -1 : 0; /* nothing needs to reach a disk here */
}

int fdatasync(int fd)
{
    (void)fd;
    return interrupted(CALL_FDATASYNC) ? -1 : 0;
}

int syncfs(int fd)
{
    (void)fd;
    return interrupted(CALL_SYNCFS) ? -1 : 0;
}

ssize_t test_pread(int, void *, size_t, off_t) STANDS_FOR("pread64");
ssize_t test_pread(int fd, void *data, size_t len, off_t offset)
{
    if (reading_short && n_short++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return NEXT("pread64", ssize_t, int, void *, size_t, off_t)(
        fd, data, reading_short && len > 7 ? 7 : len, offset);
}

ssize_t test_pread_chk(int, void *, size_t, off_t, size_t) STANDS_FOR("__pread64_chk");
ssize_t test_pread_chk(int fd, void *data, size_t len, off_t offset, size_t room)
{
    assert_true(len <= room);
    return test_pread(fd, data, len, offset);
}

ssize_t test_pwrite(int, const void *, size_t, off_t) STANDS_FOR("pwrite64");
ssize_t test_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (failing_write != 0 && --failing_write == 0) {
        errno = EIO;
        return -1;
    }
    return NEXT("pwrite64", ssize_t, int, const void *, size_t, off_t)(
        fd, data, writing_short && len > 4001 ? 4001 : len, offset);
}

static void interrupt(void)
{
    memset(n_calls, 0, sizeof(n_calls));
    interrupting = true;
}

/* Returns how often this call was made, at least once in vain. */
static void check_interrupted(enum call call)
{
    interrupting = false;
    assert_true(n_calls[call] >= 2);
}

static void check_creates(const char *name)
{
    static const struct pool_create_options options = {
        .size_bytes = 65536, .index_capacity = POOL_INDEX_DEFAULT};
    struct pool *pool = NULL;
    const char *path = test_path(name);

    interrupt();
    check_ok(pool_create(path, &options, &test_error));
    check_ok(pool_open(path, POOL_WRITE, NULL, &pool, &test_error));
    check_interrupted(CALL_OPEN);
    assert_int_equal(test_append(pool, "{}"), 1);
    pool_close(pool);
}

static void test_interrupt_of_creating_and_opening_is_no_error(void **state)
{
    (void)state;
    check_creates("unnamed");
    refusing_unnamed = true;
    check_creates("temporary");
    refusing_unnamed = false;
}

static void test_interrupt_of_taking_a_lease_is_no_error(void **state)
{
    (void)state;
    pool_close(test_pool("lease", 65536));
    interrupt();
    struct pool *pool = test_open(test_path("lease"), POOL_WRITE);
    check_interrupted(CALL_FCNTL);
    pool_close(pool);
}

/* Whoever asks once alone must be told, too. */
static void test_interrupt_of_asking_for_a_lease_makes_no_dead_owner_live(void **state)
{
    (void)state;
    pool_close(test_pool("dead", 65536));
    scoped(pool_close) struct pool *pool = test_open_patient(test_path("dead"), 0);
    atomic_store(&pool->control->lock, FORMAT_LEASE_MAX - 1); /* nobody's */
    interrupt();
    test_append(pool, "{}");
    check_interrupted(CALL_FCNTL);
}

/* A failed sync is made good by the first who opens the pool alone. */
static void test_interrupt_of_asking_for_all_leases_delays_no_recovery(void **state)
{
    (void)state;
    struct pool *pool = test_pool("alone", 65536);
    test_append(pool, "{}");
    atomic_store(&pool->control->flush_failed, 1);
    pool_close(pool);

    struct pool *reader = NULL;
    interrupt();
    check_ok(pool_open(test_path("alone"), POOL_READ, NULL, &reader, &test_error));
    check_interrupted(CALL_FCNTL);
    assert_int_equal(reader->control->flush_failed, 0);
    pool_close(reader);
}

static void check_flushes(struct pool *pool, enum call call)
{
    test_append(pool, "{}");
    interrupt();
    check_ok(pool_flush(pool, &test_error));
    check_interrupted(call);
    assert_int_equal(pool->control->flush_failed, 0);
}

static void test_interrupt_of_a_sync_is_no_failed_sync(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("sync", 65536);
    check_flushes(pool, CALL_FSYNC); /* at first with the name */
    assert_int_equal(n_calls[CALL_FSYNC], 4);
    check_flushes(pool, CALL_FDATASYNC);

    pool_close(test_pool("moved", 65536));
    assert_int_equal(chdir(test_folder), 0);
    scoped(pool_close) struct pool *moved = test_open("moved", POOL_WRITE);
    assert_int_equal(chdir("/"), 0);
    check_flushes(moved, CALL_SYNCFS); /* its folder is another by now */
}

static void test_interrupt_leaves_a_superblock_read_in_part(void **state)
{
    (void)state;
    pool_close(test_pool("short", 65536));
    reading_short = true;
    n_short = 0;
    struct pool *pool = test_open(test_path("short"), POOL_READ);
    reading_short = false;
    assert_true(n_short > 2);
    pool_close(pool);
}

/* The copy of the pool's descriptor is then 0, and one like any other. */
static void test_interrupt_of_standard_input_amid_a_repair(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    struct pool *pool = test_pool("stdin", 65536);
    test_append(pool, "{\"a\":1}");
    pool->ring[sizeof(struct frame_header)] ^= 1;
    pool_close(pool);
    const int kept = dup(STDIN_FILENO);
    assert_true(kept > 0);
    closing_stdin = true;
    const int r = pool_repair(test_path("stdin"), NULL, &repaired, &test_error);
    closing_stdin = false;
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1); /* and was given back */
    assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(close(kept), 0);
    check_ok(r);
    assert_int_equal(repaired.n_lost, 1);
}

/* Locks that cannot be had are told, and never taken for granted. */
static void test_interrupt_by_a_file_system_without_locks(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    pool_close(test_pool("locks", 65536));
    refusing_locks = true;
    const int written = pool_open(test_path("locks"), POOL_WRITE, NULL, &pool, &test_error);
    refusing_locks = false;
    assert_int_equal(written, -1);
    assert_string_equal(test_error->message, "failed to take a lease on the pool");
    assert_string_equal(test_error->path, test_path("locks"));
    check_fails(written, PLSM_ERROR_IO);

    /* nor is an owner dead of whom nobody can ask */
    const struct pool_open_options options = {.busy_timeout_ms = 30};
    const struct message message = test_message("{}");
    struct appended appended;
    struct pool *owner = test_open(test_path("locks"), POOL_WRITE);
    check_ok(pool_open(test_path("locks"), POOL_WRITE, &options, &pool, &test_error));
    owner->control->lock = owner->lease;
    refusing_locks = true;
    const int appending = pool_append(pool, &message, 1, &appended, &test_error);
    refusing_locks = false;
    assert_int_equal(appending, POOL_BUSY);
    owner->control->lock = 0;
    pool_close(owner);
    assert_int_equal(test_append(pool, "{}"), 1);
    pool_close(pool);
}

static size_t count_files(void)
{
    size_t n = 0;
    DIR *folder = opendir(test_folder);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

/* Each write of a repair fails in turn: it is told, nothing is changed, and nothing left behind. */
static void check_writes_amid_a_repair(void)
{
    char path[256];
    unsigned n_failed = 0;
    snprintf(path, sizeof(path), "%s", test_path("writes"));
    struct pool *pool = test_pool("writes", 65536);
    const size_t n_files = count_files();
    test_append(pool, "{\"a\":1}");
    test_append(pool, "{\"a\":2}");
    pool->ring[sizeof(struct frame_header)] ^= 1;
    pool_close(pool);
    for (unsigned n = 1; n < 100; n++) {
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        writing_short = n > 2;
        failing_write = n > 2 ? 0 : n;
        const int r = pool_repair(path, NULL, &repaired, &test_error);
        writing_short = false;
        if (n > 2) { /* in parts it is as good */
            check_ok(r);
            assert_int_equal(repaired.n_kept, 1);
            assert_int_equal(count_files(), n_files + 1);
            assert_int_equal(unlink(repaired.copy_path), 0);
            break;
        }
        assert_int_equal(count_files(), n_files);
        assert_int_equal(failing_write, 0);
        assert_int_equal(r, -1);
        assert_string_equal(test_error->message, "failed to copy the pool");
        check_fails(r, PLSM_ERROR_IO);
        n_failed++;
    }
    assert_int_equal(n_failed, 2);
    pool = test_open(path, POOL_WRITE);
    assert_int_equal(test_append(pool, "{}"), 3);
    pool_close(pool);
}

static void test_interrupt_of_a_write_amid_a_repair(void **state)
{
    (void)state;
    check_writes_amid_a_repair();
    refusing_unnamed = true; /* the copies have names from the start then */
    check_writes_amid_a_repair();
    refusing_unnamed = false;
}

TESTS(test_interrupt_of_creating_and_opening_is_no_error,
    test_interrupt_of_taking_a_lease_is_no_error,
    test_interrupt_of_asking_for_a_lease_makes_no_dead_owner_live,
    test_interrupt_of_asking_for_all_leases_delays_no_recovery,
    test_interrupt_of_a_sync_is_no_failed_sync, test_interrupt_leaves_a_superblock_read_in_part,
    test_interrupt_of_standard_input_amid_a_repair, test_interrupt_by_a_file_system_without_locks,
    test_interrupt_of_a_write_amid_a_repair)

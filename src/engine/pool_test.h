/* Support for the engine's tests: pools in a folder of their own, and short ways to use them. */
#ifndef ENGINE_POOL_TEST_H
#define ENGINE_POOL_TEST_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/test.h"
#include "engine/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char test_folder[] = "/tmp/plasmite-test-XXXXXX";

static int test_remove(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void test_folder_remove(void)
{
    nftw(test_folder, test_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* For tests that write and sync thousands of files. Before the first path is asked for. */
static inline void test_folder_in_memory(void)
{
    static const char memory[] = "/dev/shm/plasmite-XXXXXX";
    static_assert(sizeof(memory) <= sizeof(test_folder), "it takes the other's place");
    if (access("/dev/shm", W_OK) == 0)
        memcpy(test_folder, memory, sizeof(memory));
}

/* A path in this test program's folder, for the running program only. */
static inline const char *test_path(const char *name)
{
    static char path[256];
    static pid_t owner;
    if (owner == 0) {
        owner = getpid();
        assert_non_null(mkdtemp(test_folder));
        atexit(test_folder_remove);
    }
    snprintf(path, sizeof(path), "%s/%s", test_folder, name);
    return path;
}

/* Fails the test with the error's text. */
#define check_ok(call) check_ok_at((call), &test_error, #call, __FILE__, __LINE__)

static plsm_error_t *test_error;

static inline void check_ok_at(
    int result, plsm_error_t **err, const char *call, const char *file, int line)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s:%d: %s gave %d: %s\n", file, line, call, result,
        *err != NULL ? (*err)->message : "no error");
    fail();
}

/* Fails the test unless the call fails with this kind; frees the error. */
#define check_fails(call, expected_kind)                                                           \
    do {                                                                                           \
        assert_int_equal((call), -1);                                                              \
        assert_non_null(test_error);                                                               \
        assert_int_equal(test_error->kind, (expected_kind));                                       \
        plsm_error_free(test_error);                                                               \
        test_error = NULL;                                                                         \
    } while (0)

static inline struct pool *test_open(const char *path, enum pool_mode mode)
{
    struct pool *pool = NULL;
    check_ok(pool_open(path, mode, NULL, &pool, &test_error));
    return pool;
}

static inline struct pool *test_pool_with(const char *name, struct pool_create_options options)
{
    const char *path = test_path(name);
    unlink(path);
    check_ok(pool_create(path, &options, &test_error));
    return test_open(path, POOL_WRITE);
}

static inline struct pool *test_pool(const char *name, uint64_t size_bytes)
{
    return test_pool_with(name, (struct pool_create_options){.size_bytes = size_bytes,
                                    .index_capacity = POOL_INDEX_DEFAULT});
}

static inline struct message test_message(const char *data)
{
    return (struct message){.data = view_str(data)};
}

static inline uint64_t test_append(struct pool *pool, const char *data)
{
    const struct message message = test_message(data);
    struct appended appended;
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    return appended.first_seq;
}

/* Deterministic random numbers: splitmix64 (Steele, Lea, Flood, 2014). */
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}

/* PLSM_SEED= repeats a run; the seed is printed so that a failing one can be. */
static inline struct rng rng_seeded(const char *name)
{
    const char *text = getenv("PLSM_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : clock_wall_ns();
    fprintf(stderr, "# %s: PLSM_SEED=%llu\n", name, (unsigned long long)seed);
    return (struct rng){seed};
}

#endif

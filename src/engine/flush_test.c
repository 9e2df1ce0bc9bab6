/* Flushing: who shares a sync, and what a failed one means. The C library's fdatasync and fsync
 * are replaced for this program: they count, wait, fail, and keep what a disk would hold. */
#include "engine/child_test.h"
#include "engine/handle.h"

#include <pthread.h>
#include <sys/resource.h>

static atomic_uint n_syncs;
static atomic_int fail_with;   /* an errno, once */
static atomic_int gate_closed; /* while not 0, a sync waits */
static atomic_uint n_at_gate;

static int sync_in_our_place(void)
{
    atomic_fetch_add(&n_syncs, 1);
    atomic_fetch_add(&n_at_gate, 1);
    while (atomic_load(&gate_closed) != 0)
        poll(NULL, 0, 1);
    errno = atomic_exchange(&fail_with, 0);
    return errno == 0 ? 0 : -1;
}

int fdatasync(int fd)
{
    (void)fd;
    return sync_in_our_place();
}

static ino_t synced_folder; /* the last one; 0: none */
static atomic_uint n_syncs_of_all;

int fsync(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    if (S_ISDIR(status.st_mode))
        synced_folder = status.st_ino;
    return sync_in_our_place();
}

int syncfs(int fd)
{
    (void)fd;
    atomic_fetch_add(&n_syncs_of_all, 1);
    return sync_in_our_place();
}

/* A pool that has been flushed once, so that its name is durable and each flush is one sync. */
static struct pool *start(const char *name, uint64_t size_bytes)
{
    atomic_store(&gate_closed, 0);
    atomic_store(&fail_with, 0);
    struct pool *pool = test_pool(name, size_bytes);
    test_append(pool, "{}");
    check_ok(pool_flush(pool, &test_error));
    atomic_store(&n_syncs, 0);
    atomic_store(&n_at_gate, 0);
    return pool;
}

static uint64_t append_one(struct pool *pool)
{
    const struct message message = test_message("{\"a\":\"message\"}");
    struct appended appended;
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    return appended.end_pos;
}

static void test_flush_makes_durable_what_was_appended(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("durable", 65536);
    const uint64_t first = append_one(pool);
    assert_true(pool->control->durable < first);
    const uint64_t second = append_one(pool);
    assert_int_equal(n_syncs, 0);
    check_ok(pool_flush_to(pool, first, &test_error));
    assert_int_equal(n_syncs, 1);
    assert_int_equal(pool->control->durable, second); /* a sync is for all */
    check_ok(pool_flush_to(pool, second, &test_error));
    check_ok(pool_flush(pool, &test_error));
    assert_int_equal(n_syncs, 1); /* nothing left to do */

    struct pool *reader = test_open(test_path("durable"), POOL_READ);
    check_fails(pool_flush(reader, &test_error), PLSM_ERROR_USAGE);
    pool_close(reader);
}

#define N_FLUSHERS 16

struct flusher {
    struct pool *pool;
    pthread_t thread;
    uint64_t end_pos;
    int result;
    plsm_error_t *err;
};

static atomic_uint n_begun;

static void *flush_run(void *arg)
{
    struct flusher *flusher = arg;
    atomic_fetch_add(&n_begun, 1);
    flusher->result = pool_flush_to(flusher->pool, flusher->end_pos, &flusher->err);
    return NULL;
}

static void flushers_start(struct pool *pool, struct flusher *flushers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        flushers[i] = (struct flusher){.pool = pool, .end_pos = append_one(pool)};
        assert_int_equal(pthread_create(&flushers[i].thread, NULL, flush_run, &flushers[i]), 0);
    }
}

static void wait_for(atomic_uint *what, unsigned least)
{
    const uint64_t deadline_ns = clock_deadline_ns(CHILD_PATIENCE_MS);
    while (atomic_load(what) < least) {
        assert_true(clock_monotonic_ns() < deadline_ns);
        poll(NULL, 0, 1);
    }
}

static void test_flush_is_shared_by_who_waits_for_it(void **state)
{
    (void)state;
    static struct flusher flushers[N_FLUSHERS];
    scoped(pool_close) struct pool *pool = start("group", 65536);

    atomic_store(&gate_closed, 1);
    atomic_store(&n_begun, 0);
    flushers_start(pool, flushers, 1); /* leads, and stands in its sync */
    wait_for(&n_at_gate, 1);
    flushers_start(pool, flushers + 1, N_FLUSHERS - 1);
    wait_for(&n_begun, N_FLUSHERS);
    atomic_store(&gate_closed, 0);
    for (size_t i = 0; i < N_FLUSHERS; i++) {
        pthread_join(flushers[i].thread, NULL);
        assert_int_equal(flushers[i].result, POOL_OK);
        assert_true(pool->control->durable >= flushers[i].end_pos);
    }
    /* one for the first, one for the others; a thread may have come late */
    assert_in_range(n_syncs, 2, 4);
}

static void check_io(struct flusher *flusher)
{
    pthread_join(flusher->thread, NULL);
    assert_int_equal(flusher->result, -1);
    assert_int_equal(flusher->err->kind, PLSM_ERROR_IO);
    plsm_error_free(flusher->err);
}

static void test_flush_failure_reaches_every_flusher_until_all_have_closed(void **state)
{
    (void)state;
    static const int errnos[] = {EIO, ENOSPC, EDQUOT};
    static struct flusher flushers[N_FLUSHERS];
    for (size_t e = 0; e < 3; e++) {
        struct pool *pool = start("failed", 65536);
        struct pool *other = test_open(test_path("failed"), POOL_WRITE);
        const uint64_t durable = pool->control->durable;

        atomic_store(&gate_closed, 1);
        atomic_store(&n_begun, 0);
        atomic_store(&fail_with, errnos[e]);
        flushers_start(pool, flushers, 1);
        wait_for(&n_at_gate, 1);
        flushers_start(other, flushers + 1, N_FLUSHERS - 1);
        wait_for(&n_begun, N_FLUSHERS);
        atomic_store(&gate_closed, 0);
        for (size_t i = 0; i < N_FLUSHERS; i++)
            check_io(&flushers[i]);
        assert_int_equal(pool->control->durable, durable);

        /* the disk would say yes now, and must not be believed */
        append_one(pool);
        check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO);
        check_fails(pool_flush(other, &test_error), PLSM_ERROR_IO);
        pool_close(pool);
        pool = test_open(test_path("failed"), POOL_WRITE);
        check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO); /* other still has it open */
        pool_close(pool);
        pool_close(other);

        pool = test_open(test_path("failed"), POOL_WRITE);
        struct pool_report report;
        check_ok(pool_verify(pool, &report, &test_error));
        assert_int_equal(report.n_issues, 0);
        assert_int_equal(report.n_messages, 1 + N_FLUSHERS + 1); /* nothing was lost */
        append_one(pool);
        check_ok(pool_flush(pool, &test_error));
        pool_close(pool);
    }
}

static void test_flush_that_a_failing_recovery_needs_fails_the_open(void **state)
{
    (void)state;
    struct pool *pool = start("twice", 65536);
    append_one(pool);
    atomic_store(&fail_with, EIO);
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO);
    pool_close(pool);
    struct pool *reopened = NULL;
    atomic_store(&fail_with, EIO);
    check_fails(
        pool_open(test_path("twice"), POOL_WRITE, NULL, &reopened, &test_error), PLSM_ERROR_IO);
    reopened = test_open(test_path("twice"), POOL_WRITE);
    check_ok(pool_flush(reopened, &test_error));
    pool_close(reopened);
}

/* A lap over flushed messages may begin only when the disk knows that they were flushed. */
static void test_flush_precedes_a_lap_over_what_was_flushed(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("lap", 65536);
    const struct control *control = pool->control;
    append_one(pool);
    check_ok(pool_flush(pool, &test_error));
    const uint64_t flushed = control->durable;
    assert_true(control->durable_known < flushed);
    atomic_store(&n_syncs, 0);
    uint64_t end_pos = 0;
    while (end_pos < flushed + 4 * pool_ring_size(pool)) {
        end_pos = append_one(pool);
        if (end_pos - flushed > pool_ring_size(pool))
            assert_true(control->durable_known >= flushed);
    }
    assert_in_range(n_syncs, 1, 2); /* and then none for the laps to come */
}

static void test_flush_failing_before_a_lap_fails_the_append_once(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("lap-failed", 8192);
    const struct message message = test_message("{\"a\":\"message\"}");
    struct appended appended;
    unsigned n_failed = 0;
    atomic_store(&fail_with, EIO);
    for (int i = 0; i < 1000; i++) {
        if (pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK)
            continue;
        assert_int_equal(test_error->kind, PLSM_ERROR_IO);
        plsm_error_free(test_error);
        test_error = NULL;
        n_failed++;
    }
    assert_int_equal(n_failed, 1); /* after that nothing is durable, and fast appends go on */
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO);
}

/* What was durable before a sync failed still is, and a lap over it must not begin either while
 * the disk does not know that. */
static void test_flush_precedes_a_lap_also_after_one_has_failed(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("lap-after", 65536);
    const struct control *control = pool->control;
    append_one(pool);
    check_ok(pool_flush(pool, &test_error));
    const uint64_t flushed = control->durable;
    append_one(pool);
    atomic_store(&fail_with, EIO);
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO);
    assert_true(control->durable_known < flushed);
    atomic_store(&n_syncs, 0);
    uint64_t end_pos = 0;
    while (end_pos < flushed + 4 * pool_ring_size(pool)) {
        end_pos = append_one(pool);
        if (end_pos - flushed > pool_ring_size(pool))
            assert_int_equal(control->durable_known, flushed);
    }
    assert_int_equal(n_syncs, 1);
    assert_int_equal(control->durable, flushed);
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO);
}

/* A pool that was never flushed, opened by this path. */
static struct pool *start_nameless(const char *name, const char *path)
{
    pool_close(test_pool(name, 65536));
    struct pool *pool = test_open(path, POOL_WRITE);
    append_one(pool);
    synced_folder = 0;
    atomic_store(&n_syncs_of_all, 0);
    return pool;
}

static void check_flushes(struct pool *pool, ino_t folder, unsigned n_of_all)
{
    check_ok(pool_flush(pool, &test_error));
    assert_int_equal(synced_folder, folder);
    assert_int_equal(n_syncs_of_all, n_of_all);
    assert_int_equal(pool->control->name_durable, 1);
}

static void test_flush_at_first_syncs_the_name_too(void **state)
{
    (void)state;
    struct stat folder;
    assert_int_equal(stat(test_folder, &folder), 0);
    scoped(pool_close) struct pool *pool = start_nameless("named", test_path("named"));
    check_flushes(pool, folder.st_ino, 0);
}

/* A relative path says nothing once the process has moved. */
static void test_flush_never_takes_another_folder_for_its_own(void **state)
{
    (void)state;
    assert_int_equal(chdir(test_folder), 0);
    scoped(pool_close) struct pool *pool = start_nameless("moved", "moved");
    assert_int_equal(chdir("/"), 0);
    check_flushes(pool, 0, 1);
}

static void test_flush_through_a_symbolic_link_syncs_where_the_file_is(void **state)
{
    (void)state;
    char link[4096];
    snprintf(link, sizeof(link), "%s/link.plasmite", test_folder);
    assert_int_equal(symlink(test_path("linked"), link), 0);
    scoped(pool_close) struct pool *pool = start_nameless("linked", link);
    check_flushes(pool, 0, 1);
}

/* Too many open files is no failure of the disk. */
static void test_flush_without_descriptors_is_no_failed_sync(void **state)
{
    (void)state;
    struct rlimit limit;
    scoped(pool_close) struct pool *pool = start_nameless("many", test_path("many"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    check_flushes(pool, 0, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TESTS(test_flush_makes_durable_what_was_appended, test_flush_is_shared_by_who_waits_for_it,
    test_flush_failure_reaches_every_flusher_until_all_have_closed,
    test_flush_that_a_failing_recovery_needs_fails_the_open,
    test_flush_precedes_a_lap_over_what_was_flushed,
    test_flush_failing_before_a_lap_fails_the_append_once,
    test_flush_precedes_a_lap_also_after_one_has_failed, test_flush_at_first_syncs_the_name_too,
    test_flush_never_takes_another_folder_for_its_own,
    test_flush_through_a_symbolic_link_syncs_where_the_file_is,
    test_flush_without_descriptors_is_no_failed_sync)

/* Recoveries whose syncs fail. The C library's fdatasync is replaced for this program. */
#include "engine/handle.h"
#include "engine/pool_test.h"

static unsigned n_syncs;
static unsigned failing; /* the sync that fails; 0: none */

static int sync_in_our_place(void)
{
    errno = EIO;
    return ++n_syncs == failing ? -1 : 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return sync_in_our_place();
}

int fsync(int fd)
{
    (void)fd;
    return sync_in_our_place();
}

static size_t count_failed_syncs(struct pool *pool)
{
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_true(report.n_issues <= 1);
    return report.n_issues == 1 && strstr(report.issues[0].message, "a sync failed") != NULL;
}

/* What a sync left unwritten stays so, for the next one too, until the pages are touched: so all
 * who have the pool open are told, and whoever opens it next recovers it again. */
static void test_recover_tells_all_of_a_sync_that_failed(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("failed"));
    for (unsigned n = 1; n <= 2; n++) {
        struct pool *pool = NULL;
        failing = 0;
        pool_close(test_pool("failed", 65536));
        pool = test_open(path, POOL_WRITE);
        test_append(pool, "{\"a\":1}");
        check_ok(pool_flush(pool, &test_error));
        test_append(pool, "{\"a\":2}");
        const uint64_t tail = pool->control->tail;
        struct pool *watcher = test_open(path, POOL_READ);
        pool->control->boot_id[0] ^= 0x55;
        pool_close(pool);

        n_syncs = 0;
        failing = n;
        pool = NULL;
        check_fails(pool_open(path, POOL_WRITE, NULL, &pool, &test_error), PLSM_ERROR_IO);
        assert_int_equal(n_syncs, n);
        assert_null(pool);
        assert_int_equal(count_failed_syncs(watcher), 1);
        assert_true(watcher->control->durable_known < tail);
        assert_int_equal(watcher->control->lock, 0);

        failing = n_syncs = 0;
        pool = test_open(path, POOL_WRITE);
        assert_int_equal(n_syncs, 2);
        assert_int_equal(count_failed_syncs(watcher), 0);
        assert_int_equal(pool->control->durable, tail);
        assert_int_equal(pool->control->durable_known, tail);
        assert_int_equal(test_append(pool, "{}"), 3);
        pool_close(watcher);
        pool_close(pool);
    }
}

/* The same said to a reader, whose short-lived writer meets the failure. */
static void test_recover_for_a_reader_hands_on_what_failed(void **state)
{
    (void)state;
    char path[256];
    struct pool *reader = NULL;
    snprintf(path, sizeof(path), "%s", test_path("reader"));
    failing = 0;
    struct pool *pool = test_pool("reader", 65536);
    test_append(pool, "{\"a\":1}");
    pool->control->boot_id[0] ^= 0x55;
    pool_close(pool);
    n_syncs = 0;
    failing = 1;
    assert_int_equal(pool_open(path, POOL_READ, NULL, &reader, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_IO);
    assert_string_equal(test_error->message, "failed to flush the pool file");
    assert_string_equal(test_error->path, path);
    plsm_error_free(test_error);
    test_error = NULL;
    assert_null(reader);
}

TESTS(test_recover_tells_all_of_a_sync_that_failed, test_recover_for_a_reader_hands_on_what_failed)

/* Recoveries whose syncs fail, and those that have to choose. The C library's fdatasync is replaced
 * for this program. */
#include "engine/frame.h"
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

/* Two runs of messages meet just where the pool is durable, and do not follow each other, as no
 * writer leaves them: both hold that place, so the longer one is kept. */
static void check_meeting_runs(int n_before, int n_behind, uint64_t oldest_seq, uint64_t next_seq)
{
    char path[256];
    struct pool_info info;
    snprintf(path, sizeof(path), "%s", test_path("meeting"));
    struct pool *pool = test_pool_with(
        "meeting", (struct pool_create_options){.size_bytes = 8192, .index_capacity = 0});
    for (int i = 0; i < n_before; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    check_ok(pool_flush(pool, &test_error));
    const uint64_t durable = pool->control->durable;
    for (int i = 0; i < n_behind; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    for (uint64_t pos = durable; pos < pool->control->tail; pos += 64) {
        struct frame_header header;
        memcpy(&header, pool->ring + pos, sizeof(header));
        header.seq += 10;
        header.crc = frame_header_crc(pool->seed, pos, &header);
        memcpy(pool->ring + pos, &header, sizeof(header));
    }
    for (int i = 0; i < 2; i++) {
        struct commit_record *record = &pool->control->commits[i];
        record->next_seq += 10;
        pool->control->commit_checks[i] =
            commit_check(record->end_pos, record->next_seq, record->time_ns);
    }
    pool->control->boot_id[0] ^= 0x55;
    pool_close(pool);
    failing = 0;
    pool = test_open(path, POOL_WRITE);
    check_ok(pool_info(pool, &info, &test_error));
    assert_int_equal(info.oldest_seq, oldest_seq);
    assert_int_equal(info.next_seq, next_seq);
    pool_close(pool);
}

static void test_recover_keeps_the_longer_of_two_runs_that_meet(void **state)
{
    (void)state;
    check_meeting_runs(3, 5, 14, 19);
    check_meeting_runs(5, 3, 1, 6);
}

TESTS(test_recover_tells_all_of_a_sync_that_failed, test_recover_for_a_reader_hands_on_what_failed,
    test_recover_keeps_the_longer_of_two_runs_that_meet)

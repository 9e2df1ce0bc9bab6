/* Files that are cut while they are mapped: with the guard installed, readers and writers are
 * told so, and nobody dies by SIGBUS. */
#include "engine/bell.h"
#include "engine/child_test.h"
#include "os/guard.h"

#include <poll.h>

#define POOL_BYTES 65536

static char pool_file[256];

static struct pool *start(void)
{
    assert_int_equal(guard_install(), 0);
    snprintf(pool_file, sizeof(pool_file), "%s", test_path("cut"));
    struct pool *pool = test_pool("cut", POOL_BYTES);
    for (int i = 0; i < 2000; i++)
        test_append(pool, "{\"some\":\"message of a usual size, sixty bytes or more\"}");
    return pool;
}

static bool failed_as_corrupt(int result)
{
    if (result != -1)
        return false;
    assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
    plsm_error_free(test_error);
    test_error = NULL;
    return true;
}

static bool reading_is_refused(struct pool *pool)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    cursor_oldest(&cursor, pool);
    for (;;) {
        const int r = cursor_next(&cursor, &frame, &gap, &test_error);
        if (r == CURSOR_EMPTY)
            return false;
        if (r == -1)
            return failed_as_corrupt(r);
    }
}

/* The follower that slept is told by the wait, or by the look that it wakes up for. */
static bool following_is_refused(struct cursor *cursor)
{
    struct frame frame;
    struct gap gap;
    int r = follow_wait(cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error);
    if (r == FOLLOW_READY)
        r = cursor_next(cursor, &frame, &gap, &test_error);
    return failed_as_corrupt(r);
}

static void test_truncate_any_length_is_noticed_by_reader_writer_and_follower(void **state)
{
    (void)state;
    for (size_t len = 0; len < POOL_BYTES; len += 4096) {
        struct pool *writer = start();
        struct pool *reader = test_open(pool_file, POOL_READ);
        struct pool_info info;
        struct pool_report report;
        struct cursor cursor;
        struct frame frame;

        cursor_newest(&cursor, reader);
        assert_int_equal(truncate(pool_file, (off_t)len), 0);
        assert_true(reading_is_refused(reader) || len == 0);
        if (pool_info(reader, &info, &test_error) != POOL_OK)
            failed_as_corrupt(-1);
        check_ok(pool_verify(reader, &report, &test_error));
        assert_true(report.n_issues > 0);
        for (uint64_t seq = 1; seq <= 2000; seq += 50)
            failed_as_corrupt(pool_get(reader, seq, &frame, &test_error));
        assert_true(following_is_refused(&cursor));

        const struct message message = test_message("{\"another\":\"message of a usual size\"}");
        struct appended appended;
        bool refused = false;
        for (int i = 0; i < 2000 && !refused; i++) /* it goes round the ring once */
            refused = failed_as_corrupt(pool_append(writer, &message, 1, &appended, &test_error));
        assert_true(refused);
        assert_true(failed_as_corrupt(pool_append(writer, &message, 1, &appended, &test_error)));
        pool_close(reader);
        pool_close(writer);
    }
}

static void append_until_refused(const struct child_side *side)
{
    struct pool *pool = NULL;
    const struct message message = test_message("{\"another\":\"message of a usual size\"}");
    struct appended appended;
    int r;
    child_must(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error) == POOL_OK);
    child_say(side, 's');
    while ((r = pool_append(pool, &message, 1, &appended, &test_error)) == POOL_OK)
        continue;
    child_must(r == -1 && test_error->kind == PLSM_ERROR_CORRUPT);
    child_say(side, 'c');
}

static void read_until_refused(const struct child_side *side)
{
    struct pool *pool = NULL;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    int r;
    child_must(pool_open(pool_file, POOL_READ, NULL, &pool, &test_error) == POOL_OK);
    cursor_oldest(&cursor, pool);
    child_say(side, 's');
    do {
        r = cursor_next(&cursor, &frame, &gap, &test_error);
        if (r == CURSOR_EMPTY)
            r = follow_wait(&cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error);
    } while (r >= 0);
    child_must(test_error->kind == PLSM_ERROR_CORRUPT);
    child_say(side, 'c');
}

static void test_truncate_amid_work_ends_every_process_with_corrupt(void **state)
{
    (void)state;
    for (size_t len = 0; len < POOL_BYTES; len += 12288) {
        struct child children[4];
        pool_close(start());
        for (int i = 0; i < 4; i++) {
            children[i] = child_start(i < 2 ? append_until_refused : read_until_refused, NULL);
            child_expect(&children[i], 's');
        }
        assert_int_equal(truncate(pool_file, (off_t)len), 0);
        for (int i = 0; i < 4; i++) {
            child_expect(&children[i], 'c');
            child_join(&children[i]);
        }
    }
}

static void test_truncate_of_one_pool_leaves_others_alone(void **state)
{
    (void)state;
    struct pool *cut = start();
    scoped(pool_close) struct pool *other = test_pool("other", POOL_BYTES);
    assert_int_equal(truncate(pool_file, 4096), 0);
    assert_true(reading_is_refused(cut));
    assert_int_equal(test_append(other, "{}"), 1);
    assert_false(reading_is_refused(other));
    pool_close(cut);
}

/* Zeros that were read in the place of a message are not taken for it; what is whole still is. */
static void test_truncate_is_seen_by_whoever_reads_in_place(void **state)
{
    (void)state;
    struct pool *writer = start();
    scoped(pool_close) struct pool *reader = test_open(pool_file, POOL_READ);
    struct frame first, last;
    struct cursor cursor;
    struct gap gap;
    struct pool_info info;

    check_ok(pool_info(reader, &info, &test_error));
    uint64_t seq = info.oldest_seq; /* one that lies in the first pages of the ring */
    do
        check_ok(pool_get(reader, seq++, &first, &test_error));
    while (first.pos % pool_ring_size(reader) > 4096);
    cursor_oldest(&cursor, reader);
    do
        assert_int_equal(cursor_next(&cursor, &last, &gap, &test_error), CURSOR_FRAME);
    while (last.pos % pool_ring_size(reader) < pool_ring_size(reader) - 8192);
    assert_true(frame_still_valid(reader, &first) && frame_still_valid(reader, &last));
    assert_int_equal(truncate(pool_file, POOL_BYTES - 3 * 4096), 0);
    assert_int_equal(*(const volatile uint8_t *)last.data.data, 0);
    assert_false(frame_still_valid(reader, &last));
    assert_int_equal(first.data.data[0], '{');
    assert_true(frame_still_valid(reader, &first));
    pool_close(writer);
}

/* A thread that takes no signals looks at the control words; they are gone. */
static void test_truncate_is_survived_by_the_listener_of_bells(void **state)
{
    (void)state;
    struct bell *bell = NULL;
    struct pool *pool = start();
    struct cursor cursor;

    cursor_newest(&cursor, pool);
    check_ok(bell_new(pool, cursor.pos, &bell, &test_error));
    assert_int_equal(truncate(pool_file, 0), 0);
    struct pollfd wait = {.fd = bell_fd(bell), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, CHILD_PATIENCE_MS), 1);
    bell_free(bell);
    pool_close(pool);
}

/* The file is as long as it must be, and had a page refused all the same: nothing says that what is
 * in it is bad. (tests/proof/disk_space.c has a file system that does so.) */
static void test_truncate_is_not_what_a_refused_page_is_called(void **state)
{
    (void)state;
    const struct message message = test_message("{}");
    struct appended appended;
    struct pool *pool = start();
    assert_int_equal(truncate(pool_file, 4096), 0);
    assert_true(reading_is_refused(pool));
    assert_int_equal(truncate(pool_file, POOL_BYTES), 0);
    check_fails(pool_append(pool, &message, 1, &appended, &test_error), PLSM_ERROR_IO);
    pool_close(pool);
}

TESTS(test_truncate_any_length_is_noticed_by_reader_writer_and_follower,
    test_truncate_amid_work_ends_every_process_with_corrupt,
    test_truncate_of_one_pool_leaves_others_alone, test_truncate_is_seen_by_whoever_reads_in_place,
    test_truncate_is_survived_by_the_listener_of_bells,
    test_truncate_is_not_what_a_refused_page_is_called)

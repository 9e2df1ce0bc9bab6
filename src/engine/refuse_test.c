/* What the engine refuses, and what it says then; and the ends of what it takes. */
#include "base/limits.h"
#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"

#include <sys/file.h>
#include <sys/resource.h>

static bool hint_says(const char *text)
{
    return error_hint_of(test_error) != NULL && strstr(error_hint_of(test_error), text) != NULL;
}

static void forget_error(void)
{
    plsm_error_free(test_error);
    test_error = NULL;
}

static void test_refuse_writing_through_a_readers_handle(void **state)
{
    (void)state;
    pool_close(test_pool("reader", 8192));
    scoped(pool_close) struct pool *pool = test_open(test_path("reader"), POOL_READ);
    const struct message message = test_message("{}");
    struct appended appended = {.first_seq = 77};

    check_fails(pool_append(pool, &message, 1, &appended, &test_error), PLSM_ERROR_USAGE);
    assert_int_equal(appended.first_seq, 77);
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_USAGE);
}

static void test_refuse_batches_of_none_and_of_too_many(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("many", 1 << 20);
    static struct message messages[LIMIT_BATCH_MESSAGES + 1];
    struct appended appended;
    struct pool_info info;

    for (size_t i = 0; i <= LIMIT_BATCH_MESSAGES; i++)
        messages[i] = test_message("{}");
    check_fails(pool_append(pool, messages, 0, &appended, &test_error), PLSM_ERROR_USAGE);
    check_fails(pool_append(pool, messages, LIMIT_BATCH_MESSAGES + 1, &appended, &test_error),
        PLSM_ERROR_USAGE);
    check_ok(pool_append(pool, messages, LIMIT_BATCH_MESSAGES, &appended, &test_error));
    check_ok(pool_info(pool, &info, &test_error));
    assert_int_equal(info.n_messages, LIMIT_BATCH_MESSAGES);
}

static void test_refuse_tags_that_are_too_long(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("tags", 1 << 20);
    static char tags[LIMIT_TAGS_BYTES + 1];
    struct message message = {.tags = view_of(tags, sizeof(tags)), .data = view_str("{}")};
    struct appended appended;
    struct frame frame;

    check_fails(pool_append(pool, &message, 1, &appended, &test_error), PLSM_ERROR_USAGE);
    message.tags.len--;
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    check_ok(pool_get(pool, 1, &frame, &test_error));
    assert_int_equal(frame.tags.len, LIMIT_TAGS_BYTES);
}

/* Sum of the frames and the largest one: just what the ring holds, and one frame more. */
static void test_refuse_batch_that_might_not_fit_wherever_the_tail_is(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("batch", 8192);
    const uint64_t ring = pool_ring_size(pool);
    static char data[8192];
    const uint64_t larger = (ring - 1024) / 2; /* counts twice */
    const struct message messages[3] = {{.data = view_of(data, 1024 - sizeof(struct frame_header))},
        {.data = view_of(data, larger - sizeof(struct frame_header))}, {.data = view_of(data, 32)}};
    struct appended appended;

    assert_int_equal(message_footprint(&messages[0]) + 2 * message_footprint(&messages[1]), ring);
    check_fails(pool_append(pool, messages, 3, &appended, &test_error), PLSM_ERROR_USAGE);
    for (int i = 0; i < 300; i++) { /* wherever the tail is */
        check_ok(pool_append(pool, messages, 2, &appended, &test_error));
        test_append(pool, "{\"moves the tail by\":64}");
    }

    assert_int_equal(pool_append(pool, messages, 3, &appended, &test_error), -1);
    assert_string_equal(test_error->message, "payload exceeds ring capacity");
    assert_true(hint_says("batch of 3 messages"));
    char needed[64];
    snprintf(needed, sizeof(needed), "up to %llu bytes", (unsigned long long)(ring + 64));
    assert_true(hint_says(needed));
    forget_error();
}

/* Three messages, the last of which does not fit before the ring's end: the pad is before that. */
static void test_refuse_nothing_of_a_batch_that_crosses_the_end(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("cross", 8192);
    const struct message messages[3] = {test_message("{\"n\":1}"),
        test_message("{\"n\":\"of another length than the rest\"}"), test_message("{\"n\":3}")};
    struct appended appended;
    struct frame frame;
    struct pool_report report;

    for (int i = 0; i < 400; i++) {
        check_ok(pool_append(pool, messages, 3, &appended, &test_error));
        for (uint64_t n = 0; n < 3; n++) {
            check_ok(pool_get(pool, appended.first_seq + n, &frame, &test_error));
            assert_true(view_equal(frame.data, messages[n].data));
        }
        if (i % 3 == 0)
            test_append(pool, "{}");
    }
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
}

static void test_refuse_nothing_to_seeks_before_the_first_and_behind_the_last(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("seek", 8192);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    check_ok(cursor_seek_seq(&cursor, pool, 0, &test_error));
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
    test_append(pool, "{}");
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 1);

    check_ok(cursor_seek_seq(&cursor, pool, 3, &test_error)); /* in the future */
    test_append(pool, "{}");
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
    test_append(pool, "{}");
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 3);
}

static void test_refuse_to_seek_by_damaged_control_words(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("damaged", 8192);
    const struct message message = test_message("{}");
    struct appended appended;
    struct cursor cursor;
    struct cursor behind;
    struct frame frame;
    struct gap gap;
    struct pool_info info;

    test_append(pool, "{}");
    cursor_newest(&behind, pool);
    pool->control->tail += 32; /* no record says that it ends there */
    check_fails(cursor_seek_seq(&cursor, pool, 1, &test_error), PLSM_ERROR_CORRUPT);
    check_fails(cursor_seek_time(&cursor, pool, 1, &test_error), PLSM_ERROR_CORRUPT);
    check_fails(pool_info(pool, &info, &test_error), PLSM_ERROR_CORRUPT);
    check_fails(pool_get(pool, 1, &frame, &test_error), PLSM_ERROR_CORRUPT);
    check_fails(pool_append(pool, &message, 1, &appended, &test_error), PLSM_ERROR_CORRUPT);
    cursor_oldest(&cursor, pool); /* has no error to give: it stands at 0, and next reports it */
    assert_int_equal(cursor.pos, 0);
    cursor_newest(&cursor, pool);
    assert_int_equal(cursor.pos, 0);
    assert_int_equal(cursor_next(&behind, &frame, &gap, &test_error), -1);
    forget_error();
    behind.expected_seq = 2;
    const uint64_t pos = behind.pos;
    cursor_skip_damage(&behind, &gap);
    assert_int_equal(behind.pos, pos);
    assert_int_equal(gap.first_seq, 2);
    assert_int_equal(gap.next_seq, 2);
}

/* A repair may take back messages that a reader has seen already. */
static void test_refuse_nothing_to_a_cursor_beyond_the_tail(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("beyond", 8192);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    test_append(pool, "{}");
    cursor_newest(&cursor, pool);
    cursor.pos += 320;
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
    test_append(pool, "{\"next\":1}");
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_true(view_equal(frame.data, view_str("{\"next\":1}")));

    cursor.pos += 320;
    cursor_skip_damage(&cursor, &gap); /* no place of this pool: begins at the oldest message */
    assert_int_equal(cursor.pos, 0);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
    test_append(pool, "{}");
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 3);
}

/* Overtaken while nothing is retained but a pad: the seq that comes next tells what was lost. */
static void test_refuse_nothing_to_a_cursor_that_lost_everything(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("lost", 8192);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    test_append(pool, "{}");
    cursor_oldest(&cursor, pool);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    for (int i = 0; i < 50; i++)
        test_append(pool, "{}");
    pool->control->head = pool->control->tail; /* as a recovery leaves it that kept nothing */
    memset(pool->ring, 0, pool->ring_size);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_GAP);
    assert_int_equal(gap.first_seq, 2);
    assert_int_equal(gap.next_seq, 52);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
    test_append(pool, "{}");
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 52);
}

static void test_refuse_what_no_pool_can_be_made_from(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    check_fails(pool_create(test_path("no/such/folder"), NULL, &test_error), PLSM_ERROR_NOT_FOUND);
    check_fails(
        pool_open(test_path("nothing"), POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_NOT_FOUND);
    assert_int_equal(mkdir(test_path("folder"), 0700), 0);
    check_fails(
        pool_open(test_path("folder"), POOL_WRITE, NULL, &pool, &test_error), PLSM_ERROR_IO);
    assert_null(pool);
}

/* A file that may grow no further than this: no pool, and nothing left of it. */
static void test_refuse_to_leave_half_a_pool_behind(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {16384, before.rlim_max};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction old;
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("half"));

    assert_int_equal(sigaction(SIGXFSZ, &ignore, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int r = pool_create(path, NULL, &test_error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &old, NULL), 0);

    assert_int_equal(r, -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_IO);
    assert_string_equal(test_error->path, path);
    forget_error();
    assert_int_equal(access(path, F_OK), -1);
    check_ok(pool_create(path, NULL, &test_error));
}

/* Each with a checksum that is right: only the sizes do not fit each other. */
static void test_refuse_superblocks_that_contradict_themselves(void **state)
{
    (void)state;
    struct superblock sound;
    char path[256];
    pool_close(test_pool("sizes", 65536));
    snprintf(path, sizeof(path), "%s", test_path("sizes"));
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &sound, sizeof(sound), 0), sizeof(sound));
    struct superblock cases[14];
    size_t n = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cases[i] = sound;
    cases[n++].header_size++;
    cases[n++].index_offset += 32;
    cases[n++].file_size = LIMIT_POOL_BYTES_MAX + 1;
    cases[n++].index_capacity++;
    cases[n].index_capacity = cases[n].file_size / FORMAT_SLOT_SIZE + 1;
    cases[n].ring_offset = FORMAT_HEADER_SIZE + cases[n].index_capacity * FORMAT_SLOT_SIZE;
    n++;
    cases[n++].ring_offset += 32;
    cases[n++].ring_size = FORMAT_RING_MIN - 32;
    cases[n++].ring_size -= 8;
    cases[n++].ring_size = sound.file_size + 32;
    cases[n++].ring_size = sound.file_size - sound.ring_offset + 32;
    cases[n++].block_shift = 4;
    cases[n++].block_shift = 64;
    cases[n++].block_shift--; /* more blocks than slots */
    for (size_t i = 0; i <= n; i++) {
        struct pool *pool = NULL;
        cases[i].crc = crc32c(0, &cases[i], offsetof(struct superblock, crc));
        assert_int_equal(pwrite(fd, &cases[i], sizeof(cases[i]), 0), sizeof(cases[i]));
        const int r = pool_open(path, POOL_READ, NULL, &pool, &test_error);
        if (i == n) { /* the last is sound */
            assert_int_equal(r, 0);
            pool_close(pool);
            break;
        }
        if (r != -1)
            fail_msg("case %zu was opened", i);
        assert_string_equal(test_error->message, "impossible sizes in the superblock");
        assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
        forget_error();
    }
    close(fd);
}

static void append_busy(const struct child_side *side)
{
    const struct pool_open_options options = {.busy_timeout_ms = 30};
    const struct message message = test_message("{}");
    struct appended appended;
    struct pool *pool = NULL;
    child_must(pool_open(side->arg, POOL_WRITE, &options, &pool, &test_error) == POOL_OK);
    child_say(side, 'o');
    child_must(child_listen(side) == 'l');
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_BUSY);
    child_must(pool_flush(pool, &test_error) == POOL_BUSY);
    child_say(side, 'b');
    child_must(child_listen(side) == 'u');
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
    child_must(appended.first_seq == 2);
    child_must(pool_flush(pool, &test_error) == POOL_OK);
}

/* The lock's owner lives and does not let go: who waits gives up, for appends and for flushes. */
static void test_refuse_with_busy_while_the_lock_is_held(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("busy", 8192);
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("busy"));
    struct child child = child_start(append_busy, path);

    child_expect(&child, 'o');
    test_append(pool, "{}");
    pool->control->lock = pool->lease;
    child_tell(&child, 'l');
    child_expect(&child, 'b');
    pool->control->lock = 0;
    child_tell(&child, 'u');
    child_join(&child);
}

/* A foreign exclusive flock, and a child that was forked from the handle's owner. */
static void append_after_fork(const struct child_side *side)
{
    struct pool *pool = *(struct pool *const *)side->arg;
    const struct message message = test_message("{}");
    struct appended appended;
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_BUSY);
    child_say(side, 'b');
    child_must(child_listen(side) == 'u');
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
    child_must(appended.first_seq == 1);
}

static void test_refuse_with_busy_while_a_foreign_flock_is_held(void **state)
{
    (void)state;
    const struct pool_open_options options = {.busy_timeout_ms = 30};
    struct pool *pool = NULL;
    struct pool *refused = NULL;
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("flock"));
    check_ok(pool_create(path, NULL, &test_error));
    check_ok(pool_open(path, POOL_READ, NULL, &pool, &test_error));
    pool_close(pool);

    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    check_ok(pool_open(path, POOL_WRITE, &options, &pool, &test_error));
    atomic_store(&pool->lease, 0); /* as in a child after fork() */
    assert_int_equal(flock(pool->fd, LOCK_UN), 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(pool_open(path, POOL_WRITE, &options, &refused, &test_error), POOL_BUSY);
    struct child child = child_start(append_after_fork, &pool);
    child_expect(&child, 'b');
    assert_int_equal(flock(fd, LOCK_UN), 0);
    child_tell(&child, 'u');
    child_join(&child);
    close(fd);
    pool_close(pool);
}

static void test_refuse_to_append_in_a_child_whose_file_is_gone(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("unreachable", 8192);
    const struct message message = test_message("{}");
    struct appended appended;
    const int fd = pool->fd;

    pool->fd = -1; /* as fork leaves it where the file cannot be reopened */
    atomic_store(&pool->lease, 0);
    check_fails(pool_append(pool, &message, 1, &appended, &test_error), PLSM_ERROR_IO);
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_IO);
    check_fails(pool_check_file(pool, &test_error), PLSM_ERROR_IO);
    pool->fd = fd;
    test_append(pool, "{}");
}

static void test_refuse_no_permission_bits_that_are_asked_for(void **state)
{
    (void)state;
    struct stat status;
    umask(0);
    scoped(pool_close) struct pool *pool =
        test_pool_with("mode", (struct pool_create_options){.size_bytes = 8192, .mode = 0640});
    assert_int_equal(stat(test_path("mode"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_false(pool_is_remote(pool));
}

TESTS(test_refuse_superblocks_that_contradict_themselves,
    test_refuse_writing_through_a_readers_handle, test_refuse_batches_of_none_and_of_too_many,
    test_refuse_tags_that_are_too_long, test_refuse_batch_that_might_not_fit_wherever_the_tail_is,
    test_refuse_nothing_of_a_batch_that_crosses_the_end,
    test_refuse_nothing_to_seeks_before_the_first_and_behind_the_last,
    test_refuse_to_seek_by_damaged_control_words, test_refuse_nothing_to_a_cursor_beyond_the_tail,
    test_refuse_nothing_to_a_cursor_that_lost_everything, test_refuse_what_no_pool_can_be_made_from,
    test_refuse_to_leave_half_a_pool_behind, test_refuse_with_busy_while_the_lock_is_held,
    test_refuse_with_busy_while_a_foreign_flock_is_held,
    test_refuse_to_append_in_a_child_whose_file_is_gone,
    test_refuse_no_permission_bits_that_are_asked_for)

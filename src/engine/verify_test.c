/* What a verification says of each thing that can be wrong, and reading on where it is. */
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/index.h"
#include "engine/pool_test.h"

#define N_MESSAGES 6
#define FRAME_LEN  64

/* Six messages of one length, at positions 0, 64, 128... */
static struct pool *make_pool(const char *name, uint64_t index_capacity)
{
    struct pool *pool = test_pool_with(
        name, (struct pool_create_options){.size_bytes = 8192, .index_capacity = index_capacity});
    struct message message = test_message("{\"some\":\"message\"}");
    struct appended appended;
    for (uint64_t i = 1; i <= N_MESSAGES; i++) {
        message.time_ns = 1000 * i;
        check_ok(pool_append(pool, &message, 1, &appended, &test_error));
        assert_int_equal(appended.end_pos, i * FRAME_LEN);
    }
    return pool;
}

/* Writes a header anew, with a checksum that is right. */
static void forge(struct pool *pool, uint64_t pos, struct frame_header header)
{
    header.crc = frame_header_crc(pool->seed, pos, &header);
    memcpy(pool->ring + pos, &header, sizeof(header));
}

static struct frame_header header_at(const struct pool *pool, uint64_t pos)
{
    struct frame_header header;
    memcpy(&header, pool->ring + pos, sizeof(header));
    return header;
}

static void expect_issue(struct pool *pool, size_t n_issues, const char *code, uint64_t offset,
    uint64_t seq, const char *text)
{
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, n_issues);
    for (size_t i = 0; i < n_issues && i < POOL_ISSUES_MAX; i++) {
        const struct pool_issue *issue = &report.issues[i];
        if (strcmp(issue->code, code) == 0 && issue->offset == offset && issue->seq == seq &&
            strstr(issue->message, text) != NULL)
            return;
    }
    for (size_t i = 0; i < n_issues && i < POOL_ISSUES_MAX; i++)
        print_error("%s at %llu, seq %llu: %s\n", report.issues[i].code,
            (unsigned long long)report.issues[i].offset, (unsigned long long)report.issues[i].seq,
            report.issues[i].message);
    fail_msg("no %s at %llu, seq %llu: %s", code, (unsigned long long)offset,
        (unsigned long long)seq, text);
}

static void test_verify_says_what_is_there(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("sound", POOL_INDEX_DEFAULT);
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    assert_int_equal(report.n_messages, N_MESSAGES);
    assert_int_equal(report.oldest_seq, 1);
    assert_int_equal(report.newest_seq, N_MESSAGES);
    assert_int_equal(report.last_good_seq, N_MESSAGES);
}

static void test_verify_finds_seqs_out_of_order(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("seq", 0);
    struct frame_header header = header_at(pool, 2 * FRAME_LEN);
    header.seq = 9;
    forge(pool, 2 * FRAME_LEN, header);
    expect_issue(pool, 2, "frame", pool_file_offset(pool, 2 * FRAME_LEN), 9, "seq 9 follows seq 2");
    expect_issue(pool, 2, "frame", pool_file_offset(pool, 3 * FRAME_LEN), 4, "seq 4 follows seq 9");
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.last_good_seq, 2);
}

static void test_verify_takes_a_hole_for_what_it_is(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("hole", 0);
    struct frame_header header = {.time_ns = 3000,
        .seq = 4,
        .data_len = FRAME_LEN - sizeof(header),
        .type = FRAME_PAD,
        .encoding = PAD_HOLE};
    struct pool_report report;
    forge(pool, 2 * FRAME_LEN, header);
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    assert_int_equal(report.n_messages, N_MESSAGES - 1);

    header.encoding = PAD_FILL; /* a pad says nothing about what is missing */
    forge(pool, 2 * FRAME_LEN, header);
    expect_issue(pool, 1, "frame", pool_file_offset(pool, 2 * FRAME_LEN), 4, "seq 4 follows seq 2");
    header.encoding = PAD_HOLE; /* nor is one that goes back */
    header.seq = 2;
    forge(pool, 2 * FRAME_LEN, header);
    expect_issue(pool, 2, "frame", pool_file_offset(pool, 2 * FRAME_LEN), 2, "seq 2 follows seq 2");
}

static void test_verify_finds_times_that_go_back(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("time", 0);
    struct frame_header header = header_at(pool, 3 * FRAME_LEN);
    header.time_ns = 2999;
    forge(pool, 3 * FRAME_LEN, header);
    expect_issue(pool, 1, "frame", pool_file_offset(pool, 3 * FRAME_LEN), 4,
        "its time is before the message before");
    header.time_ns = 3000; /* as late is well */
    forge(pool, 3 * FRAME_LEN, header);
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
}

static void test_verify_finds_a_next_seq_that_is_none(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("next", 0);
    struct control *control = pool->control;
    for (int i = 0; i < 2; i++) {
        if (control->commits[i].end_pos != control->tail)
            continue;
        control->commits[i].next_seq = 20;
        control->commit_checks[i] = commit_check(control->tail, 20, control->commits[i].time_ns);
    }
    expect_issue(pool, 1, "control", FORMAT_CONTROL_OFFSET, 7, "the next seq should be 7, not 20");
}

static void test_verify_counts_more_than_it_describes(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool_with(
        "many", (struct pool_create_options){.size_bytes = 65536, .index_capacity = 0});
    struct pool_report report;
    const size_t n = 2 * POOL_ISSUES_MAX + 3;
    for (size_t i = 0; i < 2 * n; i++)
        test_append(pool, "{\"some\":\"message\"}");
    for (size_t i = 0; i < n; i++) /* every second one */
        pool->ring[2 * i * FRAME_LEN + sizeof(struct frame_header)] ^= 1;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, n);
    assert_int_equal(report.n_messages, n);
    assert_int_equal(report.oldest_seq, 2);
    assert_int_equal(report.newest_seq, 2 * n);
    assert_int_equal(report.last_good_seq, 0);
    for (size_t i = 0; i < POOL_ISSUES_MAX; i++) {
        assert_string_equal(report.issues[i].message, "damaged message");
        assert_int_equal(report.issues[i].offset, pool_file_offset(pool, 2 * i * FRAME_LEN));
    }
}

static void test_verify_finds_index_slots_that_name_others(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("index", POOL_INDEX_DEFAULT);
    const uint64_t block = UINT64_C(1) << pool->block_shift;
    const uint64_t slot =
        4 * FRAME_LEN / block; /* that of message 5's block, or of the one before */
    struct frame_header header;
    uint64_t pos = pool->index[slot].pos;
    const uint64_t seq = pool->index[slot].seq;
    assert_true(slot > 0);
    assert_true(index_read_header(pool, pos, pool->control->tail, &header));
    assert_int_equal(header.seq, seq);

    struct pool_report report;
    pool->index[slot].seq = seq + 100;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 1);
    assert_string_equal(report.issues[0].code, "index");
    assert_int_equal(
        report.issues[0].offset, pool->superblock.index_offset + slot * FORMAT_SLOT_SIZE);
    pool->index[slot].seq = seq;
    pool->index[slot].pos = pos + 32;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 1);
    pool->index[slot].pos = pos;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
}

/* All that a search may be told, right or wrong, and it finds what is there. */
static void test_verify_searches_find_in_spite_of_any_index(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("search", 65536);
    struct rng rng = {7};
    struct frame frame;
    struct cursor cursor;
    struct gap gap;
    struct message message = test_message("{\"some\":\"message\"}");
    struct appended appended;
    for (uint64_t i = 1; i <= 700; i++) {
        message.time_ns = 10 * i;
        check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    }
    for (int round = 0; round < 30; round++) {
        for (uint64_t i = 0; i < pool->n_blocks; i++) {
            if (rng_below(&rng, 3) == 0) {
                pool->index[i].pos = rng_below(&rng, 700) * FRAME_LEN;
                pool->index[i].seq = rng_below(&rng, 800);
            }
        }
        for (uint64_t seq = 1; seq <= 700; seq += 1 + rng_below(&rng, 40)) {
            check_ok(pool_get(pool, seq, &frame, &test_error));
            assert_int_equal(frame.seq, seq);
            check_ok(cursor_seek_time(&cursor, pool, 10 * seq - 9, &test_error));
            assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
            assert_int_equal(frame.seq, seq);
        }
    }
}

/* A pool that could not be recovered: what is damaged is stepped over, and told as a gap. */
static void test_verify_readers_of_an_unrecovered_pool_take_what_is_intact(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("unrecovered", 0);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    pool->ring[2 * FRAME_LEN + 40] ^= 1;
    cursor_oldest(&cursor, pool);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
        assert_int_equal(frame.seq, seq);
    }
    check_fails(cursor_next(&cursor, &frame, &gap, &test_error), PLSM_ERROR_CORRUPT);

    pool->unrecovered = true;
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_GAP);
    assert_int_equal(gap.first_seq, 3);
    assert_int_equal(gap.next_seq, 4);
    for (uint64_t seq = 4; seq <= N_MESSAGES; seq++) {
        assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
        assert_int_equal(frame.seq, seq);
    }
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);

    pool->ring[40] ^= 1; /* the oldest: no seq is missed, as none was expected */
    cursor_oldest(&cursor, pool);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 2);
}

/* Where a caller steps over damage himself, he is told what he lost. */
static void test_verify_skipping_damage_tells_what_was_lost(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("skip", 0);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    pool->ring[FRAME_LEN + 40] ^= 1;
    pool->ring[2 * FRAME_LEN + 40] ^= 1;
    pool->ring[5 * FRAME_LEN + 40] ^= 1;
    cursor_oldest(&cursor, pool);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    check_fails(cursor_next(&cursor, &frame, &gap, &test_error), PLSM_ERROR_CORRUPT);
    cursor_skip_damage(&cursor, &gap);
    assert_int_equal(gap.first_seq, 2);
    assert_int_equal(gap.next_seq, 4);
    for (uint64_t seq = 4; seq <= 5; seq++) {
        assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
        assert_int_equal(frame.seq, seq);
    }
    check_fails(cursor_next(&cursor, &frame, &gap, &test_error), PLSM_ERROR_CORRUPT);
    cursor_skip_damage(&cursor, &gap); /* nothing intact behind it */
    assert_int_equal(gap.first_seq, 6);
    assert_int_equal(gap.next_seq, 7);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
    assert_int_equal(test_append(pool, "{}"), 7);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 7);
}

/* After a power loss only a run of seqs and times that rise is believed: the one in which
 * what was flushed ends. */
static void test_verify_recovery_keeps_one_run(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct pool *pool = make_pool("runs", POOL_INDEX_DEFAULT);
        struct pool_info info;
        struct frame_header header = header_at(pool, 4 * FRAME_LEN);
        if (what == 0)
            header.seq = 9; /* of no writer of this lap */
        if (what == 1)
            header.time_ns = 3999; /* before the message before */
        if (what >= 2)
            pool->ring[2 * FRAME_LEN + 40] ^= 1;
        forge(pool, 4 * FRAME_LEN, header);
        if (what == 2)
            pool->control->durable = 4 * FRAME_LEN; /* flushed: within the second run */
        if (what == 3)
            pool->control->durable = 2 * FRAME_LEN; /* the end of the first one */
        pool->control->boot_id[0] ^= 1;
        pool_close(pool);
        pool = test_open(test_path("runs"), POOL_WRITE);
        check_ok(pool_info(pool, &info, &test_error));
        static const uint64_t oldest[] = {1, 1, 4, 1};
        static const uint64_t newest[] = {4, 4, 6, 2};
        assert_int_equal(info.oldest_seq, oldest[what]);
        assert_int_equal(info.newest_seq, newest[what]);
        struct pool_report report;
        check_ok(pool_verify(pool, &report, &test_error));
        assert_int_equal(report.n_issues, 0);
        pool_close(pool);
    }
}

/* Errors may be of no interest. */
static void test_verify_failing_recovery_fails_readers_too(void **state)
{
    (void)state;
    struct pool *pool = make_pool("beyond-recovery", 0);
    pool->control->boot_id[0] ^= 1;
    pool->control->tail += 32;
    pool_close(pool);
    const char *path = test_path("beyond-recovery");
    assert_int_equal(pool_open(path, POOL_READ, NULL, &pool, NULL), -1);
    assert_int_equal(pool_open(path, POOL_WRITE, NULL, &pool, NULL), -1);
    check_fails(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT);
}

static void test_verify_cursors_skip_to_what_is_left(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("left", 0);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    cursor_oldest(&cursor, pool);
    pool->control->head = 3 * FRAME_LEN;
    cursor_skip_damage(&cursor, &gap); /* what it stood at was given free */
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 4);

    cursor = (struct cursor){.pool = pool, .pos = FRAME_LEN, .tail = 6 * FRAME_LEN};
    pool->ring[FRAME_LEN] ^= 1; /* overtaken there; no seq was expected, so none is missed */
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 4);

    pool->ring[3 * FRAME_LEN + 9] ^= 1; /* overtaken, and the oldest is damaged */
    cursor = (struct cursor){.pool = pool, .pos = FRAME_LEN, .tail = 6 * FRAME_LEN};
    check_fails(cursor_next(&cursor, &frame, &gap, &test_error), PLSM_ERROR_CORRUPT);
    check_fails(pool_get(pool, 4, &frame, &test_error), PLSM_ERROR_CORRUPT);
}

/* The oldest and the only ones: what info says. */
static void test_verify_info_of_pads_and_damage(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make_pool("info", 0);
    struct pool_info info;
    check_ok(pool_info(pool, &info, &test_error));
    assert_int_equal(info.used_bytes, N_MESSAGES * FRAME_LEN);
    assert_int_equal(info.n_messages, N_MESSAGES);
    assert_int_equal(info.newest_seq, N_MESSAGES);
    assert_int_equal(info.next_seq, N_MESSAGES + 1);
    assert_int_equal(info.oldest_time_ns, 1000);
    assert_int_equal(info.newest_time_ns, 1000 * N_MESSAGES);

    struct frame_header pad = {
        .seq = 2, .time_ns = 1000, .data_len = FRAME_LEN - sizeof(pad), .type = FRAME_PAD};
    forge(pool, 0, pad);
    check_ok(pool_info(pool, &info, &test_error));
    assert_int_equal(info.oldest_seq, 2);
    assert_int_equal(info.n_messages, N_MESSAGES - 1);

    pool->control->head = (N_MESSAGES - 1) * FRAME_LEN; /* nothing but a pad */
    pad.seq = N_MESSAGES + 1;
    forge(pool, (N_MESSAGES - 1) * FRAME_LEN, pad);
    check_ok(pool_info(pool, &info, &test_error));
    assert_int_equal(info.n_messages, 0);
    assert_int_equal(info.oldest_seq, 0);
    assert_int_equal(info.next_seq, N_MESSAGES + 1);

    pool->ring[(N_MESSAGES - 1) * FRAME_LEN + 9] ^= 1;
    check_fails(pool_info(pool, &info, &test_error), PLSM_ERROR_CORRUPT);
}

TESTS(test_verify_says_what_is_there, test_verify_finds_seqs_out_of_order,
    test_verify_takes_a_hole_for_what_it_is, test_verify_finds_times_that_go_back,
    test_verify_finds_a_next_seq_that_is_none, test_verify_counts_more_than_it_describes,
    test_verify_finds_index_slots_that_name_others, test_verify_searches_find_in_spite_of_any_index,
    test_verify_readers_of_an_unrecovered_pool_take_what_is_intact,
    test_verify_skipping_damage_tells_what_was_lost, test_verify_info_of_pads_and_damage,
    test_verify_recovery_keeps_one_run, test_verify_cursors_skip_to_what_is_left,
    test_verify_failing_recovery_fails_readers_too)

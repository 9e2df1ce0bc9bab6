#include "engine/pool_test.h"

#include "engine/format.h"
#include "engine/handle.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

static void test_pool_gives_back_what_was_appended(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("basic", 65536);
    struct frame frame;
    struct gap gap;
    struct cursor cursor;
    struct appended appended;

    assert_int_equal(test_append(pool, "{\"a\":1}"), 1);
    const struct message tagged = {.tags = view_str("[\"x\"]"), .data = view_str("{}")};
    check_ok(pool_append(pool, &tagged, 1, &appended, &test_error));
    assert_int_equal(appended.first_seq, 2);

    cursor_oldest(&cursor, pool);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 1);
    assert_true(view_equal(frame.data, view_str("{\"a\":1}")));
    assert_int_equal(frame.tags.len, 0);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 2);
    assert_int_equal(frame.time_ns, appended.time_ns);
    assert_true(view_equal(frame.tags, view_str("[\"x\"]")));
    assert_true(frame_still_valid(pool, &frame));
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);

    assert_int_equal(pool_get(pool, 1, &frame, &test_error), POOL_OK);
    assert_true(view_equal(frame.data, view_str("{\"a\":1}")));
    assert_int_equal(pool_get(pool, 3, &frame, &test_error), POOL_MISSING);
    assert_int_equal(pool_get(pool, 0, &frame, &test_error), POOL_MISSING);
}

static void test_pool_batch_is_visible_as_a_whole_and_in_order(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("batch", 65536);
    const struct message messages[3] = {test_message("{\"n\":1}"), test_message("{\"n\":2}"),
        {.data = view_str(""), .encoding = ENCODING_LITE3}};
    struct appended appended;
    struct frame frame;

    test_append(pool, "{}");
    check_ok(pool_append(pool, messages, 3, &appended, &test_error));
    assert_int_equal(appended.first_seq, 2);
    assert_int_equal(appended.n_messages, 3);
    check_ok(pool_get(pool, 4, &frame, &test_error));
    assert_int_equal(frame.data.len, 0);
    assert_int_equal(frame.encoding, ENCODING_LITE3);
}

static void test_pool_sizes_are_those_of_the_contract(void **state)
{
    (void)state;
    struct pool_info info;

    scoped(pool_close) struct pool *standard = test_pool("1M", 0);
    check_ok(pool_info(standard, &info, &test_error));
    assert_int_equal(info.file_size, 1048576);
    assert_int_equal(info.index_capacity, 4096);
    assert_int_equal(info.index_offset, 4096);
    assert_int_equal(info.ring_offset, 4096 + 65536);
    assert_int_equal(info.ring_size, 956 * 1024);
    assert_int_equal(info.n_messages, 0);

    scoped(pool_close) struct pool *plain = test_pool_with(
        "plain", (struct pool_create_options){.size_bytes = 100001, .index_capacity = 0});
    check_ok(pool_info(plain, &info, &test_error));
    assert_int_equal(info.file_size, 100001);
    assert_int_equal(info.ring_offset, 4096);

    scoped(pool_close) struct pool *tiny = test_pool("tiny", 8192);
    test_append(tiny, "{\"small\":true}");
}

static void test_pool_create_refuses_impossible_sizes(void **state)
{
    (void)state;
    struct pool_create_options options = {.size_bytes = 5000, .index_capacity = POOL_INDEX_DEFAULT};
    check_fails(pool_create(test_path("x"), &options, &test_error), PLSM_ERROR_USAGE);
    options = (struct pool_create_options){.size_bytes = 65536, .index_capacity = 2049};
    check_fails(pool_create(test_path("x"), &options, &test_error), PLSM_ERROR_USAGE);
    options = (struct pool_create_options){.size_bytes = UINT64_MAX};
    check_fails(pool_create(test_path("x"), &options, &test_error), PLSM_ERROR_USAGE);
    assert_int_equal(access(test_path("x"), F_OK), -1);
}

static void test_pool_create_leaves_an_existing_file_alone(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("there", 0);
    test_append(pool, "{\"keep\":1}");
    check_fails(pool_create(test_path("there"), NULL, &test_error), PLSM_ERROR_ALREADY_EXISTS);
    struct frame frame;
    check_ok(pool_get(pool, 1, &frame, &test_error));
}

static void test_pool_files_are_private(void **state)
{
    (void)state;
    struct stat status;
    umask(0);
    scoped(pool_close) struct pool *pool = test_pool("private", 0);
    assert_non_null(pool);
    assert_int_equal(stat(test_path("private"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(status.st_size, 1048576);
    assert_true((uint64_t)status.st_blocks * 512 >= 1048576); /* fully allocated */
}

/* The limit would raise a signal that ends the process. */
static void test_pool_beyond_the_limit_of_file_sizes_is_an_error(void **state)
{
    (void)state;
    const char *path = test_path("limited");
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit limit = {65536, 65536};
        const struct pool_create_options options = {
            .size_bytes = 1 << 20, .index_capacity = POOL_INDEX_DEFAULT};
        const struct sigaction fallback = {.sa_handler = SIG_DFL};
        plsm_error_t *err = NULL;
        if (sigaction(SIGXFSZ, &fallback, NULL) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        _exit(pool_create(path, &options, &err) == -1 && err->kind == PLSM_ERROR_IO ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_pool_message_of_the_rings_size_fits_and_one_more_byte_does_not(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("large", 65536);
    const uint64_t room = pool_ring_size(pool) - sizeof(struct frame_header);
    char *data = calloc(1, room + 2);
    struct frame frame;
    struct appended appended;

    memset(data, 'x', room + 1);
    for (int round = 0; round < 5; round++) { /* at every offset the ring may stand at */
        for (int i = 0; i < round; i++)
            test_append(pool, "{\"filler\":\"some bytes to move the tail along\"}");
        const struct message message = {.data = view_of(data, room)};
        check_ok(pool_append(pool, &message, 1, &appended, &test_error));
        check_ok(pool_get(pool, appended.first_seq, &frame, &test_error));
        assert_true(view_equal(frame.data, message.data));
        struct pool_report report;
        check_ok(pool_verify(pool, &report, &test_error));
        assert_int_equal(report.n_issues, 0);
        assert_int_equal(report.n_messages, 1);
    }
    const struct message too_large = {.data = view_of(data, room + 1)};
    assert_int_equal(pool_append(pool, &too_large, 1, &appended, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_USAGE);
    assert_string_equal(test_error->message, "payload exceeds ring capacity");
    char sizes[64];
    snprintf(sizes, sizeof(sizes), "the ring holds %llu", (unsigned long long)pool_ring_size(pool));
    assert_non_null(strstr(error_hint_of(test_error), sizes));
    plsm_error_free(test_error);
    test_error = NULL;
    free(data);
}

static void test_pool_overtaken_cursor_is_told_what_it_lost(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("gap", 8192);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    test_append(pool, "{}");
    cursor_oldest(&cursor, pool);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    for (int i = 0; i < 500; i++)
        test_append(pool, "{\"n\":\"something longer than a line\"}");
    assert_false(frame_still_valid(pool, &frame));
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_GAP);
    assert_int_equal(gap.first_seq, 2);
    struct pool_info info;
    check_ok(pool_info(pool, &info, &test_error));
    assert_int_equal(gap.next_seq, info.oldest_seq);
    for (uint64_t seq = info.oldest_seq; seq <= 501; seq++) {
        assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
        assert_int_equal(frame.seq, seq);
    }
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
}

static void test_pool_numbers_may_be_large(void **state)
{
    (void)state;
    static const uint64_t edges[] = {
        UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 53, (UINT64_C(1) << 63) - 4000000};
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        scoped(pool_close) struct pool *pool =
            test_pool_with("edges", (struct pool_create_options){.size_bytes = 65536,
                                        .index_capacity = POOL_INDEX_DEFAULT,
                                        .first_seq = edges[i] - 1000,
                                        .first_pos = edges[i] - 200000});
        struct frame frame;
        struct pool_report report;
        for (uint64_t seq = edges[i] - 1000; seq < edges[i] + 4000; seq++) {
            assert_int_equal(
                test_append(pool, "{\"some\":\"message of sixty-four bytes or so\"}"), seq);
            check_ok(pool_get(pool, seq, &frame, &test_error));
            assert_int_equal(frame.seq, seq);
        }
        check_ok(pool_get(pool, edges[i] + 3900, &frame, &test_error));
        check_ok(pool_verify(pool, &report, &test_error));
        assert_int_equal(report.n_issues, 0);
    }
}

static void test_pool_times_never_go_back(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("times", 65536);
    struct message message = test_message("{}");
    struct appended appended;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    message.time_ns = 5000;
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    message.time_ns = 4000; /* the clock was set back */
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    assert_int_equal(appended.time_ns, 5000);
    message.time_ns = 6000;
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));

    check_ok(cursor_seek_time(&cursor, pool, 5001, &test_error));
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 3);
    check_ok(cursor_seek_time(&cursor, pool, 5000, &test_error));
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 1);
    check_ok(cursor_seek_time(&cursor, pool, 6001, &test_error));
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_EMPTY);
}

/* The seqs that a flipped bit would make readers and writers believe. */
static void test_pool_damaged_next_seq_is_refused_not_followed(void **state)
{
    (void)state;
    const struct message message = test_message("{}");
    for (unsigned bit = 0; bit < 64; bit++) {
        scoped(pool_close) struct pool *pool = test_pool("next-seq", 8192);
        struct appended appended;
        struct pool_info info;
        struct pool_report report;
        test_append(pool, "{}");
        pool->control->commits[0].next_seq ^= UINT64_C(1) << bit;
        pool->control->commits[1].next_seq ^= UINT64_C(1) << bit;
        check_fails(pool_append(pool, &message, 1, &appended, &test_error), PLSM_ERROR_CORRUPT);
        check_fails(pool_info(pool, &info, &test_error), PLSM_ERROR_CORRUPT);
        check_ok(pool_verify(pool, &report, &test_error));
        assert_int_equal(report.n_issues, 1);
    }
}

static void test_pool_durable_beyond_the_tail_promises_nothing(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("durable", 8192);
    struct pool_report report;
    test_append(pool, "{}");
    pool->control->durable = UINT64_C(1) << 40;
    check_fails(pool_flush(pool, &test_error), PLSM_ERROR_CORRUPT);
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 1);
}

struct told {
    uint64_t done;
    uint64_t total;
    size_t n;
};

static void told_more(void *context, uint64_t done, uint64_t total)
{
    struct told *told = context;
    assert_true(done >= told->done);
    assert_true(told->n == 0 || total == told->total);
    *told = (struct told){done, total, told->n + 1};
}

static void test_pool_verify_tells_how_far_it_is(void **state)
{
    (void)state;
    static char data[100000];
    scoped(pool_close) struct pool *pool = test_pool("progress", 8 << 20);
    struct told told = {0};
    const struct pool_progress progress = {told_more, &told};
    struct pool_report report;

    snprintf(data, sizeof(data), "{\"fill\":\"%0*d\"}", 90000, 0);
    for (int i = 0; i < 60; i++)
        test_append(pool, data);
    check_ok(pool_verify_telling(pool, &progress, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    assert_true(told.n >= 5);
    assert_int_equal(told.done, told.total);
    assert_true(told.total >= 60 * 90000);
}

static unsigned test_names(void)
{
    unsigned n = 0;
    DIR *folder = opendir(test_folder);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

static void test_pool_without_a_name_appears_when_it_is_published(void **state)
{
    (void)state;
    const struct pool_create_options options = {
        .size_bytes = 65536, .index_capacity = POOL_INDEX_DEFAULT, .first_seq = 700};
    const char *path = test_path("unnamed");
    const unsigned n_names = test_names();
    struct pool *pool = NULL;
    struct frame frame;

    check_ok(pool_create_unnamed(path, &options, &pool, &test_error));
    assert_int_equal(test_append(pool, "{\"n\":1}"), 700);
    assert_int_equal(test_names(), n_names);
    check_ok(pool_publish(pool, &test_error));
    assert_int_equal(test_append(pool, "{\"n\":2}"), 701); /* it may go on */
    pool_close(pool);
    assert_int_equal(test_names(), n_names + 1);

    pool = test_open(path, POOL_READ);
    check_ok(pool_get(pool, 701, &frame, &test_error));
    assert_true(view_equal(frame.data, view_str("{\"n\":2}")));
    pool_close(pool);
}

static void test_pool_without_a_name_is_gone_with_its_handle(void **state)
{
    (void)state;
    const char *path = test_path("taken");
    const unsigned n_names = test_names();
    struct pool *pool = NULL;

    check_ok(pool_create_unnamed(path, NULL, &pool, &test_error));
    pool_close(pool);
    assert_int_equal(test_names(), n_names);

    check_ok(pool_create_unnamed(path, NULL, &pool, &test_error));
    pool_close(test_pool("taken", 65536)); /* somebody else is faster */
    check_fails(pool_publish(pool, &test_error), PLSM_ERROR_ALREADY_EXISTS);
    pool_close(pool);
    assert_int_equal(test_names(), n_names + 1);
    check_fails(pool_create_unnamed(path, NULL, &pool, &test_error), PLSM_ERROR_ALREADY_EXISTS);
}

TESTS(test_pool_gives_back_what_was_appended, test_pool_batch_is_visible_as_a_whole_and_in_order,
    test_pool_sizes_are_those_of_the_contract, test_pool_create_refuses_impossible_sizes,
    test_pool_create_leaves_an_existing_file_alone, test_pool_files_are_private,
    test_pool_beyond_the_limit_of_file_sizes_is_an_error,
    test_pool_message_of_the_rings_size_fits_and_one_more_byte_does_not,
    test_pool_overtaken_cursor_is_told_what_it_lost, test_pool_numbers_may_be_large,
    test_pool_times_never_go_back, test_pool_damaged_next_seq_is_refused_not_followed,
    test_pool_durable_beyond_the_tail_promises_nothing, test_pool_verify_tells_how_far_it_is,
    test_pool_without_a_name_appears_when_it_is_published,
    test_pool_without_a_name_is_gone_with_its_handle)

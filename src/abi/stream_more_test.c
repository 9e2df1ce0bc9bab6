/* What streams can do beyond the interface of 0.8.0. */
#include "abi/abi_test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define PATIENCE_MS 20000

static plsm_stream_t *stream_of(plsm_pool_t *pool)
{
    plsm_stream_t *stream = NULL;
    check_ok(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, &stream, &test_error));
    return stream;
}

static void append_tagged(plsm_pool_t *pool, const char *json, const char *tag)
{
    plsm_buf_t message = {0};
    check_ok(plsm_pool_append_json(
        pool, (const uint8_t *)json, strlen(json), &tag, 1, PLSM_FAST, &message, &test_error));
    plsm_buf_free(&message);
}

static uint64_t next_seq(plsm_stream_t *stream)
{
    plsm_buf_t message = {0};
    const int r = plsm_stream_next(stream, &message, &test_error);
    if (r < 0)
        fail_msg("%s", test_error->message);
    if (r == 0)
        return 0;
    const uint64_t seq = test_seq(&message);
    plsm_buf_free(&message);
    return seq;
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, timeout_ms) == 1;
}

static void test_append_seq_gives_seq_and_time(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("seq", 0);
    uint64_t seq = 0, time_ns = 0, later_ns = 0;
    const uint8_t *json = (const uint8_t *)"{\"a\": 1}";

    check_ok(
        plsm_pool_append_json_seq(pool, json, 8, NULL, 0, PLSM_FAST, &seq, &time_ns, &test_error));
    assert_int_equal(seq, 1);
    assert_true(time_ns > 0);
    check_ok(plsm_pool_append_json_seq(
        pool, json, 8, NULL, 0, PLSM_FLUSH, NULL, &later_ns, &test_error));
    assert_true(later_ns >= time_ns);
    check_ok(plsm_pool_append_json_seq(pool, json, 8, NULL, 0, PLSM_FAST, &seq, NULL, &test_error));
    assert_int_equal(seq, 3);
    check_fails(plsm_pool_append_json_seq(NULL, json, 8, NULL, 0, 0, &seq, NULL, &test_error),
        PLSM_ERROR_USAGE, "pool is null");
    check_fails(plsm_pool_append_json_seq(pool, json, 7, NULL, 0, 0, &seq, NULL, &test_error),
        PLSM_ERROR_USAGE, "invalid json");
    plsm_pool_free(pool);
}

static void test_seek_last_and_time(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("seek", 0);
    uint64_t times_ns[6] = {0};
    for (uint64_t n = 1; n <= 5; n++)
        check_ok(plsm_pool_append_json_seq(
            pool, (const uint8_t *)"{}", 2, NULL, 0, PLSM_FAST, NULL, &times_ns[n], &test_error));
    plsm_stream_t *stream = stream_of(pool);
    static const uint64_t last[] = {1, 2, 5, 99};
    static const uint64_t first[] = {5, 4, 1, 1};
    assert_int_equal(plsm_stream_position(stream), 0);
    for (size_t i = 0; i < 4; i++) {
        check_ok(plsm_stream_seek_last(stream, last[i], &test_error));
        assert_int_equal(plsm_stream_position(stream), first[i]);
        assert_int_equal(next_seq(stream), first[i]);
        assert_int_equal(plsm_stream_position(stream), first[i] + 1);
    }
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1); /* and that is forgotten */
    check_ok(plsm_stream_seek_last(stream, 0, &test_error));
    assert_int_equal(plsm_stream_position(stream), 6);
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 0);
    test_append(pool, 6);
    assert_int_equal(next_seq(stream), 6);

    check_ok(plsm_stream_seek_time(stream, times_ns[1], &test_error));
    assert_int_equal(next_seq(stream), 1);
    check_ok(plsm_stream_seek_time(stream, UINT64_MAX / 2, &test_error));
    assert_int_equal(plsm_stream_position(stream), 7);
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 0);
    check_fails(plsm_stream_seek_last(NULL, 1, &test_error), PLSM_ERROR_USAGE, "stream is null");
    check_fails(plsm_stream_seek_time(NULL, 1, &test_error), PLSM_ERROR_USAGE, "stream is null");
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_tags_and_filters_select(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("select", 0);
    for (int n = 1; n <= 9; n++) {
        char json[32];
        snprintf(json, sizeof(json), "{\"n\":%d}", n);
        append_tagged(pool, json, n % 3 == 0 ? "third" : "other");
    }
    plsm_stream_t *stream = NULL;
    const char *tags[] = {"third"};
    check_ok(plsm_stream_open(pool, 1, 1, 2, 1, 0, 0, &stream, &test_error));
    check_ok(plsm_stream_require_tags(stream, tags, 1, &test_error));
    check_ok(plsm_stream_filter(stream, ".data.n > 3", &test_error));
    assert_int_equal(next_seq(stream), 6);
    assert_int_equal(next_seq(stream), 9); /* the maximum counts what was wanted */
    assert_int_equal(next_seq(stream), 0);
    plsm_stream_free(stream);

    stream = stream_of(pool);
    check_fails(plsm_stream_filter(stream, ".data.n >", &test_error), PLSM_ERROR_USAGE,
        "invalid filter expression");
    check_fails(
        plsm_stream_filter(stream, NULL, &test_error), PLSM_ERROR_USAGE, "expression is null");
    check_fails(plsm_stream_filter(NULL, ".", &test_error), PLSM_ERROR_USAGE, "stream is null");
    const char *bad[] = {"\xff"};
    const char *null[] = {NULL};
    check_fails(plsm_stream_require_tags(stream, bad, 1, &test_error), PLSM_ERROR_USAGE,
        "tags invalid UTF-8");
    check_fails(plsm_stream_require_tags(stream, null, 1, &test_error), PLSM_ERROR_USAGE,
        "tags contains null");
    check_fails(
        plsm_stream_require_tags(NULL, tags, 1, &test_error), PLSM_ERROR_USAGE, "stream is null");
    check_ok(plsm_stream_require_tags(stream, NULL, 5, &test_error));

    /* an output that is no boolean is an error for that message, and the next one is looked at */
    check_ok(plsm_stream_filter(stream, "if .data.n == 2 then 7 else true end", &test_error));
    plsm_buf_t message = {0};
    assert_int_equal(next_seq(stream), 1);
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_USAGE);
    plsm_error_free(test_error);
    assert_int_equal(next_seq(stream), 3);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_a_selection_does_not_hide_a_gap(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("hidden", 65536);
    const plsm_stream_options_t options = {.struct_size = sizeof(options),
        .gap_policy = PLSM_GAP_ERROR,
        .since_seq = 1,
        .has_since = 1};
    const char *tags[] = {"never"};
    plsm_stream_t *stream = NULL;
    plsm_buf_t message = {0};

    while (test_append(pool, 1) < 5000)
        continue;
    check_ok(plsm_stream_open_ex(pool, &options, &stream, &test_error));
    check_ok(plsm_stream_require_tags(stream, tags, 1, &test_error));
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_RETENTION_GAP);
    assert_int_equal(test_error->seq, 1);
    plsm_error_free(test_error);
    assert_true(plsm_stream_dropped(stream) > 0); /* counted once */
    plsm_pool_info_t info = {.struct_size = sizeof(info)};
    check_ok(plsm_pool_info(pool, &info, &test_error));
    assert_int_equal(plsm_stream_dropped(stream), info.oldest_seq - 1);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 0);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_batches(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("batch", 0);
    plsm_stream_t *stream = NULL;
    plsm_buf_t lines = {0};
    size_t n = 0;

    for (uint64_t i = 1; i <= 10; i++)
        test_append(pool, i);
    check_ok(plsm_stream_open(pool, 0, 0, 9, 1, 0, 0, &stream, &test_error));
    assert_int_equal(plsm_stream_next_batch(stream, 4, &lines, &n, &test_error), 1);
    assert_int_equal(n, 4);
    plsm_buf_t one = {0};
    check_ok(plsm_pool_get_json(pool, 1, &one, &test_error));
    assert_memory_equal(lines.data, one.data, one.len);
    assert_int_equal(lines.data[one.len], '\n');
    assert_int_equal(lines.data[lines.len - 1], '\n');
    plsm_buf_free(&one);
    plsm_buf_free(&lines);
    assert_int_equal(plsm_stream_next_batch(stream, 100, &lines, NULL, &test_error), 1);
    assert_memory_equal(lines.data, "{\"seq\":5,", 9);
    plsm_buf_free(&lines);
    assert_int_equal(plsm_stream_position(stream), 10);
    assert_int_equal(plsm_stream_next_batch(stream, 100, &lines, &n, &test_error), 0);
    assert_int_equal(plsm_stream_next_batch(stream, 0, &lines, &n, &test_error), 0);
    check_fails(plsm_stream_next_batch(NULL, 1, &lines, &n, &test_error), PLSM_ERROR_USAGE,
        "stream is null");
    check_fails(plsm_stream_next_batch(stream, 1, NULL, &n, &test_error), PLSM_ERROR_USAGE,
        "out_lines is null");
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_views(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("view", 65536);
    append_tagged(pool, "{\"n\":1}", "a");
    plsm_stream_t *stream = stream_of(pool);
    plsm_view_t view = {0};

    assert_int_equal(plsm_stream_next_view(stream, &view, &test_error), 1);
    assert_int_equal(view.seq, 1);
    assert_int_equal(view.data_len, 7);
    assert_memory_equal(view.data, "{\"n\":1}", 7);
    assert_int_equal(view.tags_len, 5);
    assert_memory_equal(view.tags, "[\"a\"]", 5);
    assert_int_equal(view.is_lite3, 0);
    assert_true(view.time_ns > 0);
    assert_int_equal(plsm_stream_view_valid(stream, &view), 1);
    while (test_append(pool, 1) < 5000)
        continue;
    assert_int_equal(plsm_stream_view_valid(stream, &view), 0);
    assert_int_equal(plsm_stream_view_valid(NULL, &view), 0);
    assert_int_equal(plsm_stream_view_valid(stream, NULL), 0);
    check_fails(
        plsm_stream_next_view(NULL, &view, &test_error), PLSM_ERROR_USAGE, "stream is null");
    check_fails(
        plsm_stream_next_view(stream, NULL, &test_error), PLSM_ERROR_USAGE, "out_view is null");
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_descriptor_tells_of_news(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("fd", 0);
    test_append(pool, 1);
    plsm_stream_t *stream = stream_of(pool);
    int fd = -1, same = -1;

    check_ok(plsm_stream_fd(stream, &fd, &test_error));
    check_ok(plsm_stream_fd(stream, &same, &test_error));
    assert_int_equal(fd, same);
    assert_true(is_readable(fd, PATIENCE_MS));
    assert_int_equal(next_seq(stream), 1);
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 0);
    assert_false(is_readable(fd, 0));
    for (uint64_t n = 2; n <= 5; n++) {
        test_append(pool, n);
        assert_true(is_readable(fd, PATIENCE_MS));
        assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
        assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
        assert_int_equal(next_seq(stream), n);
        assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 0);
    }
    plsm_stream_cancel(stream);
    assert_true(is_readable(fd, PATIENCE_MS));
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
    assert_int_equal(next_seq(stream), 0);
    check_fails(plsm_stream_fd(NULL, &fd, &test_error), PLSM_ERROR_USAGE, "stream is null");
    check_fails(plsm_stream_fd(stream, NULL, &test_error), PLSM_ERROR_USAGE, "out_fd is null");
    check_fails(plsm_stream_wait(NULL, 0, &test_error), PLSM_ERROR_USAGE, "stream is null");
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void *wait_for_a_message(void *stream)
{
    plsm_buf_t message = {0};
    plsm_error_t *err = NULL;
    const int r = plsm_stream_next(stream, &message, &err);
    return (void *)(intptr_t)r;
}

static void test_cancel_ends_a_wait_in_another_thread(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("cancel", 0);
    plsm_stream_t *stream = stream_of(pool);
    pthread_t thread;
    void *result = (void *)7;

    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_message, stream), 0);
    plsm_stream_cancel(stream);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, NULL);
    test_append(pool, 1);
    assert_int_equal(next_seq(stream), 0); /* for good */
    plsm_stream_cancel(NULL);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

struct canceller {
    plsm_stream_t *stream;
    atomic_bool go;
};

static void *cancel_when_told(void *argument)
{
    struct canceller *canceller = argument;
    while (!atomic_load(&canceller->go))
        ;
    plsm_stream_cancel(canceller->stream);
    return NULL;
}

/* Whether it comes before, while or after the stream's owner looks for the last time: the
 * descriptor tells of it, or that look does. */
static void test_cancel_is_not_lost_to_a_descriptor(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("race", 0);

    test_append(pool, 1);
    for (int i = 0; i < 2000; i++) {
        struct canceller canceller = {.stream = stream_of(pool)};
        pthread_t thread;
        int fd = -1;
        check_ok(plsm_stream_fd(canceller.stream, &fd, &test_error));
        assert_true(is_readable(fd, PATIENCE_MS));
        assert_int_equal(next_seq(canceller.stream), 1);
        assert_int_equal(pthread_create(&thread, NULL, cancel_when_told, &canceller), 0);
        atomic_store(&canceller.go, true);
        for (volatile int turn = 0; turn < i; turn++)
            ; /* another moment each time */
        if (plsm_stream_wait(canceller.stream, 0, &test_error) == 0)
            assert_true(is_readable(fd, PATIENCE_MS));
        pthread_join(thread, NULL);
        assert_int_equal(plsm_stream_wait(canceller.stream, 0, &test_error), 1);
        assert_int_equal(next_seq(canceller.stream), 0);
        plsm_stream_free(canceller.stream);
    }
    plsm_pool_free(pool);
}

static void test_idle_timeout_ends_after_silence(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("idle", 0);
    test_append(pool, 1);
    plsm_stream_t *stream = stream_of(pool);

    check_ok(plsm_stream_idle_timeout(stream, 20, &test_error));
    assert_int_equal(next_seq(stream), 1);
    assert_int_equal(next_seq(stream), 0);
    plsm_stream_free(stream);
    stream = stream_of(pool);
    check_ok(plsm_stream_idle_timeout(stream, UINT64_MAX, &test_error)); /* never */
    assert_int_equal(next_seq(stream), 1);
    assert_int_equal(plsm_stream_wait(stream, 5, &test_error), 0);
    plsm_stream_free(stream);
    stream = stream_of(pool);
    check_ok(plsm_stream_idle_timeout(stream, 0, &test_error));
    assert_int_equal(next_seq(stream), 1); /* what is there is given */
    assert_int_equal(next_seq(stream), 0);
    check_fails(plsm_stream_idle_timeout(NULL, 1, &test_error), PLSM_ERROR_USAGE, "stream is null");
    check_fails(plsm_stream_skip_damage(NULL, &test_error), PLSM_ERROR_USAGE, "stream is null");
    assert_int_equal(plsm_stream_position(NULL), 0);
    assert_int_equal(plsm_stream_dropped(NULL), 0);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static atomic_bool flood_ends;

/* Messages that nobody wants, without a pause. */
static void *flood(void *pool)
{
    while (!atomic_load(&flood_ends))
        test_append(pool, 1);
    return NULL;
}

static void test_unwanted_messages_keep_nobody_waiting(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("flood", 0);
    const char *tags[] = {"wanted"};
    plsm_stream_t *stream = stream_of(pool);
    pthread_t thread;

    test_append(pool, 1);
    append_tagged(pool, "{}", "wanted");
    check_ok(plsm_stream_require_tags(stream, tags, 1, &test_error));
    check_ok(plsm_stream_idle_timeout(stream, 0, &test_error));
    assert_int_equal(next_seq(stream), 2); /* what is there is given */
    plsm_stream_free(stream);

    stream = stream_of(pool);
    /* slower than the messages come */
    check_ok(plsm_stream_filter(stream, "[range(200)] | map(. * 2) | add < 0", &test_error));
    assert_int_equal(pthread_create(&thread, NULL, flood, pool), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(plsm_stream_wait(stream, (uint64_t)i % 2, &test_error), 0);
    check_ok(plsm_stream_idle_timeout(stream, 20, &test_error));
    assert_int_equal(next_seq(stream), 0);
    atomic_store(&flood_ends, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

/* The file is cut off while nobody but the listener looks at it. */
static void test_descriptor_tells_of_a_truncated_file(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("cut", 1 << 20);
    plsm_stream_t *stream = NULL;
    plsm_buf_t message = {0};
    int fd = -1;

    test_append(pool, 1);
    check_ok(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, &stream, &test_error));
    check_ok(plsm_stream_fd(stream, &fd, &test_error));
    assert_int_equal(next_seq(stream), 1);
    assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 0);
    assert_int_equal(truncate(test_path("cut"), 1 << 19), 0);
    assert_true(is_readable(fd, PATIENCE_MS));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
        check_fails(plsm_stream_next(stream, &message, &test_error), PLSM_ERROR_CORRUPT,
            "the file was truncated while in use");
    }
    assert_int_equal(truncate(test_path("cut"), 1 << 20), 0); /* as long as it was */
    test_append(pool, 2);
    assert_int_equal(next_seq(stream), 2);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

TESTS(test_append_seq_gives_seq_and_time, test_seek_last_and_time, test_tags_and_filters_select,
    test_a_selection_does_not_hide_a_gap, test_batches, test_views, test_descriptor_tells_of_news,
    test_cancel_ends_a_wait_in_another_thread, test_cancel_is_not_lost_to_a_descriptor,
    test_idle_timeout_ends_after_silence, test_unwanted_messages_keep_nobody_waiting,
    test_descriptor_tells_of_a_truncated_file)

/* Streams in one thread: where they start, when they end, what they say about gaps. */
#include "abi/abi_test.h"

#include <time.h>

static plsm_stream_t *open_stream(plsm_pool_t *pool, plsm_stream_options_t options)
{
    plsm_stream_t *stream = NULL;
    options.struct_size = sizeof(options);
    check_ok(plsm_stream_open_ex(pool, &options, &stream, &test_error));
    assert_non_null(stream);
    return stream;
}

static uint64_t next_seq(plsm_stream_t *stream)
{
    plsm_buf_t message = {0};
    const int r = plsm_stream_next(stream, &message, &test_error);
    if (r < 0)
        fail_msg("%s", test_error->message);
    assert_int_equal(r, 1);
    const uint64_t seq = test_seq(&message);
    plsm_buf_free(&message);
    return seq;
}

static void check_ended(plsm_stream_t *stream)
{
    plsm_buf_t message = {(uint8_t *)1, 2};
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 0);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 0);
    assert_ptr_equal(message.data, (uint8_t *)1);
}

static void test_open_checks_its_arguments_in_order(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("arguments", 0);
    plsm_stream_t *stream = NULL;
    plsm_stream_options_t options = {.struct_size = 47, .gap_policy = 2, .reserved = 1};

    check_fails(plsm_stream_open_ex(NULL, NULL, NULL, &test_error), PLSM_ERROR_USAGE,
        "stream options are null");
    check_fails(plsm_stream_open_ex(NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "stream options are too small: got 47 bytes, need at least 48");
    options.struct_size = 48;
    check_fails(plsm_stream_open_ex(NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "stream options reserved field must be zero");
    options.reserved = 0;
    check_fails(plsm_stream_open_ex(NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "invalid gap policy");
    options.gap_policy = PLSM_GAP_ERROR;
    check_fails(
        plsm_stream_open_ex(NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE, "pool is null");
    check_fails(plsm_stream_open_ex(pool, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "out_stream is null");
    check_fails(plsm_stream_open(NULL, 0, 0, 0, 0, 0, 0, &stream, &test_error), PLSM_ERROR_USAGE,
        "pool is null");
    check_fails(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, NULL, &test_error), PLSM_ERROR_USAGE,
        "out_stream is null");
    options.struct_size = 4096; /* of a later version */
    check_ok(plsm_stream_open_ex(pool, &options, &stream, &test_error));
    check_fails(
        plsm_stream_next(stream, NULL, &test_error), PLSM_ERROR_USAGE, "out_message is null");
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_stream_starts_at_the_oldest_or_where_told(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("start", 0);
    for (uint64_t n = 1; n <= 5; n++)
        test_append(pool, n);

    plsm_stream_t *oldest = open_stream(pool, (plsm_stream_options_t){.since_seq = 4});
    assert_int_equal(next_seq(oldest), 1); /* without has_since the number says nothing */
    assert_int_equal(next_seq(oldest), 2);
    plsm_stream_t *since =
        open_stream(pool, (plsm_stream_options_t){.since_seq = 4, .has_since = 7});
    assert_int_equal(next_seq(since), 4);
    assert_int_equal(next_seq(since), 5);
    plsm_stream_t *future =
        open_stream(pool, (plsm_stream_options_t){.since_seq = 7, .has_since = 1});
    test_append(pool, 6);
    test_append(pool, 7);
    assert_int_equal(next_seq(future), 7);
    assert_int_equal(next_seq(since), 6);
    plsm_stream_t *zero =
        open_stream(pool, (plsm_stream_options_t){.has_since = 1, .gap_policy = PLSM_GAP_ERROR});
    assert_int_equal(next_seq(zero), 1);

    plsm_stream_free(oldest);
    plsm_stream_free(since);
    plsm_stream_free(future);
    plsm_stream_free(zero);
    plsm_pool_free(pool);
}

static void test_stream_gives_the_bytes_of_get(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("bytes", 0);
    plsm_buf_t appended, streamed;
    check_ok(test_append_json(pool, "{\"a\": \"b\"}", &appended));
    plsm_stream_t *stream = open_stream(pool, (plsm_stream_options_t){0});
    assert_int_equal(plsm_stream_next(stream, &streamed, &test_error), 1);
    assert_int_equal(streamed.len, appended.len);
    assert_memory_equal(streamed.data, appended.data, appended.len);
    plsm_buf_free(&appended);
    plsm_buf_free(&streamed);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_stream_ends_after_its_count(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("count", 0);
    for (uint64_t n = 1; n <= 3; n++)
        test_append(pool, n);
    plsm_stream_t *two =
        open_stream(pool, (plsm_stream_options_t){.max_messages = 2, .has_max = 1});
    assert_int_equal(next_seq(two), 1);
    assert_int_equal(next_seq(two), 2);
    check_ended(two);
    plsm_stream_t *none = open_stream(pool, (plsm_stream_options_t){.has_max = 1});
    check_ended(none);
    plsm_stream_free(two);
    plsm_stream_free(none);
    plsm_pool_free(pool);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_stream_ends_at_its_time(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("time", 0);
    test_append(pool, 1);
    plsm_stream_t *at_once = open_stream(pool, (plsm_stream_options_t){.has_timeout = 1});
    check_ended(at_once); /* time is looked at before messages */
    const uint64_t started_ms = now_ms();
    plsm_stream_t *later =
        open_stream(pool, (plsm_stream_options_t){.timeout_ms = 300, .has_timeout = 1});
    assert_int_equal(next_seq(later), 1);
    check_ended(later);
    assert_true(now_ms() - started_ms >= 300); /* counted from opening */
    test_append(pool, 2);
    check_ended(later);
    plsm_stream_free(at_once);
    plsm_stream_free(later);
    plsm_pool_free(pool);
}

/* A pool of which the first messages are gone; gives the oldest seq that is left. */
static plsm_pool_t *overtaken_pool(uint64_t *out_oldest)
{
    plsm_pool_t *pool = test_pool("gap", 8192);
    for (uint64_t n = 1; n <= 400; n++)
        test_append(pool, n);
    plsm_stream_t *stream = open_stream(pool, (plsm_stream_options_t){0});
    *out_oldest = next_seq(stream);
    assert_true(*out_oldest > 1 && *out_oldest < 400);
    plsm_stream_free(stream);
    return pool;
}

static void check_gap(plsm_stream_t *stream, uint64_t first, uint64_t next)
{
    plsm_buf_t message = {0};
    char expected[128];
    snprintf(expected, sizeof(expected),
        "messages %llu-%llu are no longer retained; the next available message is %llu",
        (unsigned long long)first, (unsigned long long)next - 1, (unsigned long long)next);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), -1);
    assert_int_equal(test_error->has_seq, 1);
    assert_int_equal(test_error->seq, first);
    assert_null(test_error->path);
    check_error(PLSM_ERROR_RETENTION_GAP, expected);
    check_ended(stream);
}

static void test_gap_before_the_start_is_told_or_passed_over(void **state)
{
    (void)state;
    uint64_t oldest;
    plsm_pool_t *pool = overtaken_pool(&oldest);

    plsm_stream_t *error = open_stream(pool,
        (plsm_stream_options_t){.since_seq = 1, .has_since = 1, .gap_policy = PLSM_GAP_ERROR});
    check_gap(error, 1, oldest);
    plsm_stream_t *on = open_stream(pool, (plsm_stream_options_t){.since_seq = 1, .has_since = 1});
    assert_int_equal(next_seq(on), oldest);
    assert_int_equal(next_seq(on), oldest + 1);
    plsm_stream_t *whole = open_stream(
        pool, (plsm_stream_options_t){.gap_policy = PLSM_GAP_ERROR}); /* no since: no gap */
    assert_int_equal(next_seq(whole), oldest);
    plsm_stream_t *retained = open_stream(pool,
        (plsm_stream_options_t){.since_seq = oldest, .has_since = 1, .gap_policy = PLSM_GAP_ERROR});
    assert_int_equal(next_seq(retained), oldest);

    plsm_stream_free(error);
    plsm_stream_free(on);
    plsm_stream_free(whole);
    plsm_stream_free(retained);
    plsm_pool_free(pool);
}

static void test_gap_on_the_way_is_told_or_passed_over(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("overtaken", 8192);
    test_append(pool, 1);
    plsm_stream_t *error = open_stream(pool, (plsm_stream_options_t){.gap_policy = PLSM_GAP_ERROR});
    plsm_stream_t *on = open_stream(pool, (plsm_stream_options_t){0});
    assert_int_equal(next_seq(error), 1);
    assert_int_equal(next_seq(on), 1);
    for (uint64_t n = 2; n <= 400; n++)
        test_append(pool, n);
    const uint64_t oldest = next_seq(on);
    assert_true(oldest > 2);
    for (uint64_t seq = oldest + 1; seq <= 400; seq++)
        assert_int_equal(next_seq(on), seq);
    check_gap(error, 2, oldest);
    plsm_stream_free(error);
    plsm_stream_free(on);
    plsm_pool_free(pool);
}

static void test_damage_is_an_error_and_no_end(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("damage", 8192);
    plsm_buf_t message = {0};
    const uint8_t junk[64] = {0xa5};

    test_append(pool, 1);
    plsm_stream_t *stream = open_stream(pool, (plsm_stream_options_t){0});
    const int fd = open(test_path("damage"), O_RDWR | O_CLOEXEC);
    uint8_t file[8192];
    assert_int_equal(pread(fd, file, sizeof(file), 0), sizeof(file));
    const uint8_t *data = memmem(file, sizeof(file), "{\"n\":1}", 7);
    assert_non_null(data);
    assert_int_equal(pwrite(fd, junk, 4, data - file), 4);
    close(fd);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(plsm_stream_next(stream, &message, &test_error), -1);
        assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
        assert_string_equal(test_error->path, test_path("damage"));
        plsm_error_free(test_error);
    }
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

TESTS(test_open_checks_its_arguments_in_order, test_stream_starts_at_the_oldest_or_where_told,
    test_stream_gives_the_bytes_of_get, test_stream_ends_after_its_count,
    test_stream_ends_at_its_time, test_gap_before_the_start_is_told_or_passed_over,
    test_gap_on_the_way_is_told_or_passed_over, test_damage_is_an_error_and_no_end)

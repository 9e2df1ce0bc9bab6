#include "cli/pool_rate.h"

#include "base/clock.h"
#include "base/test.h"

#include <unistd.h>

#define NOW_NS (1000000 * NS_PER_SECOND)

static char path[64];

static struct pool *make(uint64_t size_bytes, uint64_t index_capacity)
{
    const struct pool_create_options options = {
        .size_bytes = size_bytes, .index_capacity = index_capacity};
    struct pool *pool = NULL;

    snprintf(path, sizeof(path), "/tmp/pool_rate_%d", (int)getpid());
    unlink(path);
    assert_int_equal(pool_create(path, &options, NULL), 0);
    assert_int_equal(pool_open(path, POOL_WRITE, NULL, &pool, NULL), POOL_OK);
    unlink(path);
    return pool;
}

/* n messages of so many bytes, written so long before now. */
static void append(struct pool *pool, size_t n, size_t len, uint64_t age_s)
{
    static uint8_t data[4096];
    const struct message message = {
        .data = view_of(data, len), .time_ns = NOW_NS - age_s * NS_PER_SECOND};
    struct appended appended;
    memset(data, '1', sizeof(data));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pool_append(pool, &message, 1, &appended, NULL), POOL_OK);
}

static struct pool_rate rate_of(struct pool *pool)
{
    struct pool_info info;
    struct pool_rate rate;
    assert_int_equal(pool_info(pool, &info, NULL), 0);
    pool_rate(pool, &info, NOW_NS, &rate);
    return rate;
}

static void check_text(const struct pool_rate *rate, const char *expected)
{
    scoped(text_fini) struct text text = {0};
    pool_rate_text(&text, rate);
    text_put(&text, "", 1);
    assert_string_equal((const char *)text.buf.data, expected);
}

static void test_only_the_last_minute_counts(void **state)
{
    (void)state;
    for (int indexed = 0; indexed < 2; indexed++) {
        scoped(pool_close) struct pool *pool = make(1 << 20, indexed ? POOL_INDEX_DEFAULT : 0);
        struct pool_rate rate = rate_of(pool);
        assert_false(rate.known);
        check_text(&rate, "—");

        append(pool, 500, 100, 61);
        rate = rate_of(pool);
        assert_true(rate.known && rate.n_messages == 0 && rate.bytes == 0);
        check_text(&rate, "nothing in the last minute");

        append(pool, 600, 100, 60);
        append(pool, 600, 100, 1);
        rate = rate_of(pool);
        const struct message message = {.data = view_of("", 100)};
        assert_int_equal(rate.n_messages, 1200);
        assert_int_equal(rate.bytes, 1200 * message_footprint(&message));
        assert_int_equal(rate.window_ns, 60 * NS_PER_SECOND);
        rate.bytes = 60 * 1536;
        check_text(&rate, "20/s, 1.5K/s over the last minute");
    }
}

static void test_a_pool_that_remembers_less_than_a_minute(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = make(65536, POOL_INDEX_DEFAULT);
    append(pool, 1000, 1000, 20);
    struct pool_rate rate = rate_of(pool);
    assert_true(rate.n_messages < 100 && rate.n_messages > 20);
    assert_int_equal(rate.window_ns, 20 * NS_PER_SECOND);
    rate.n_messages = 50;
    rate.bytes = 20 * 1024;
    check_text(&rate, "2.5/s, 1K/s over the last 20 s");

    append(pool, 1000, 1000, 0); /* a burst just now: not infinitely fast */
    assert_int_equal(rate_of(pool).window_ns, NS_PER_SECOND);
}

static void check_bar(double part, size_t width, bool utf8, const char *expected)
{
    scoped(text_fini) struct text text = {0};
    pool_bar(&text, part, width, utf8);
    text_put(&text, "", 1);
    assert_string_equal((const char *)text.buf.data, expected);
}

static void test_bars(void **state)
{
    (void)state;
    check_bar(0, 4, true, "░░░░");
    check_bar(1, 4, true, "████");
    check_bar(0.5, 4, true, "██░░");
    check_bar(0.53125, 4, true, "██▏░");
    check_bar(0.97, 4, true, "███▉");
    check_bar(-1, 2, true, "░░");
    check_bar(7, 2, true, "██");
    check_bar(0.5, 4, false, "[##..]");
    check_bar(0.99, 4, false, "[###.]");
    check_bar(1, 4, false, "[####]");
}

TESTS(test_only_the_last_minute_counts, test_a_pool_that_remembers_less_than_a_minute, test_bars)

#include "cli/extent.h"

#include "base/test.h"
#include "json/json.h"

static int feed(struct extent *extent, const char *text, size_t *out_used)
{
    return extent_feed(extent, (const uint8_t *)text, strlen(text), out_used);
}

static void check_extent(const char *text, int outcome, size_t used)
{
    struct extent extent;
    size_t got = 0;
    extent_init(&extent);
    assert_int_equal(feed(&extent, text, &got), outcome);
    assert_int_equal(got, used);
}

static void test_values_end_where_they_end(void **state)
{
    (void)state;
    check_extent("{}", EXTENT_DONE, 2);
    check_extent(" {\"a\":[1,{\"b\":\"}\"}]} x", EXTENT_DONE, 20);
    check_extent("[]{}", EXTENT_DONE, 2);
    check_extent("\"a\\\"b\" ", EXTENT_DONE, 6);
    check_extent("12 ", EXTENT_DONE, 2);
    check_extent("true{", EXTENT_DONE, 4);
    check_extent("12", EXTENT_MORE, 2);
    check_extent("{\"a\":", EXTENT_MORE, 5);
    check_extent("", EXTENT_MORE, 0);
}

static void test_what_can_never_be_json_is_dead(void **state)
{
    (void)state;
    check_extent("{bad", EXTENT_DEAD, 1);
    check_extent("{\"a\" 1", EXTENT_DEAD, 5);
    check_extent("{\"a\":}", EXTENT_DEAD, 5);
    check_extent("{\"a\":1,}", EXTENT_DEAD, 7);
    check_extent("[1,]", EXTENT_DEAD, 3);
    check_extent("[1}", EXTENT_DEAD, 2);
    check_extent("{\"a\":1]", EXTENT_DEAD, 6);
    check_extent("\"a\nb\"", EXTENT_DEAD, 2);
    check_extent("x", EXTENT_DEAD, 0);
    check_extent("]", EXTENT_DEAD, 0);
    check_extent("[1 2]", EXTENT_DEAD, 3);
}

static void test_scalars_may_end_with_the_text(void **state)
{
    (void)state;
    struct extent extent;
    size_t used = 0;
    extent_init(&extent);
    feed(&extent, "12", &used);
    assert_int_equal(extent_finish(&extent), EXTENT_DONE);
    extent_init(&extent);
    feed(&extent, "[12", &used);
    assert_int_equal(extent_finish(&extent), EXTENT_MORE);
    extent_init(&extent);
    assert_int_equal(extent_finish(&extent), EXTENT_MORE);
}

static void test_nesting_ends_at_the_limit(void **state)
{
    (void)state;
    struct extent extent;
    size_t used = 0;
    extent_init(&extent);
    for (int i = 0; i < LIMIT_JSON_DEPTH; i++)
        assert_int_equal(feed(&extent, i % 2 == 0 ? "[" : "{\"a\":", &used), EXTENT_MORE);
    assert_int_equal(feed(&extent, "[", &used), EXTENT_DEAD);
}

/* A small generator, so that a failure can be repeated. */
static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % n;
}

/* Text that is often nearly JSON. */
static size_t random_text(uint64_t *seed, uint8_t *out, size_t size)
{
    static const char *const parts[] = {"{", "}", "[", "]", ":", ",", "\"a\"", "\"\"", "\"\\\"\"",
        "1", "-2.5e3", "true", "null", " ", "\n", "\"a\":", "{}", "[]", "\"\\u00e9\"", "x", "\""};
    const uint32_t n = random_below(seed, 12);
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        const char *part = parts[random_below(seed, sizeof(parts) / sizeof(parts[0]))];
        if (len + strlen(part) > size)
            break;
        memcpy(out + len, part, strlen(part));
        len += strlen(part);
    }
    return len;
}

/* What json_compact() takes is one value to the automaton, however it is cut into pieces; what
 * the automaton refuses, json_compact() refuses. */
static void property_agrees_with_the_parser(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 300000; round++) {
        uint64_t seed = round;
        uint8_t text[128], compact[128 + JSON_SLACK];
        struct json_error error;
        struct extent extent;
        size_t at = 0, used = 0, compact_len = 0;
        int outcome = EXTENT_MORE;

        const size_t len = random_text(&seed, text, sizeof(text));
        const bool valid = json_compact(text, len, compact, &compact_len, &error);
        extent_init(&extent);
        while (at < len && outcome == EXTENT_MORE) {
            const size_t piece = 1 + random_below(&seed, (uint32_t)(len - at));
            outcome = extent_feed(&extent, text + at, piece, &used);
            at += used;
        }
        if (outcome == EXTENT_MORE)
            outcome = extent_finish(&extent);
        if (valid) {
            assert_int_equal(outcome, EXTENT_DONE);
            while (at < len)
                assert_non_null(memchr(" \n", text[at++], 2));
        } else if (outcome == EXTENT_DONE && at == len) {
            assert_true(len > 0); /* right in its structure, wrong inside: the parser's to see */
        }
        if (outcome == EXTENT_DEAD)
            assert_false(valid);
    }
}

TESTS(test_values_end_where_they_end, test_what_can_never_be_json_is_dead,
    test_scalars_may_end_with_the_text, test_nesting_ends_at_the_limit,
    property_agrees_with_the_parser)

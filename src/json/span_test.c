#include "json/span.h"

#include "base/buf.h"
#include "base/test.h"

#include <locale.h>
#include <math.h>

static struct json_value value_of(const char *text)
{
    return json_value_of(view_str(text));
}

static void expect_member(const char *object, const char *name, const char *expected)
{
    struct json_value value = {0};
    const bool found = json_find(view_str(object), view_str(name), &value);

    if (expected == NULL) {
        assert_false(found);
        return;
    }
    assert_true(found);
    assert_int_equal(value.text.len, strlen(expected));
    assert_memory_equal(value.text.data, expected, value.text.len);
}

static void test_find_takes_the_last_of_equal_names(void **state)
{
    (void)state;
    expect_member("{\"a\":1,\"b\":2,\"a\":[3,{\"a\":4}]}", "a", "[3,{\"a\":4}]");
    expect_member("{\"a\":1,\"\\u0061\":2}", "a", "2");
    expect_member("{\"a\":1}", "b", NULL);
    expect_member("{}", "a", NULL);
    expect_member("[\"a\"]", "a", NULL);
    expect_member("{\"\":null}", "", "null");
    expect_member("{\"x\":\"}\\\"]\",\"y\":{\"q\":\"\\\\\"},\"z\":-1.5e3}", "z", "-1.5e3");
    expect_member("{\"\xc3\xa9\":true}", "\xc3\xa9", "true");
    expect_member("{\"\\u00e9\":true}", "\xc3\xa9", "true");
}

/* In damaged text something may be found or nothing; here there is nothing to find. */
static void test_damaged_text_ends_the_search(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"",
        "{\"a\":\"\\", "{\"a\":[", "{a:1}", "{\"b\" 1}", "{\"b\":}", "{\"b\":1}}", "{1}", "}",
        "{\"b\":1]x", "{\"b\":\"\"a\":1}"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        expect_member(texts[i], "a", NULL);
}

/* The values of damaged text are damaged; reading them ends. */
static void test_damaged_values_are_told(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\"", "x", "/", ":", "+1", "}"};
    static const char *const containers[] = {"", "[", "{", "x]", "[}", "[1}x", "[1", "[1 ", "[\"a]",
        "[x]", "[1,]", "{}x", "[]x", "\"\""};
    struct json_value value;
    struct json_value key;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_int_equal(value_of(texts[i]).kind, JSON_DAMAGED);
    assert_int_equal(json_inner(value_of("\"")).len, 0);
    for (size_t i = 0; i < sizeof(containers) / sizeof(*containers); i++) {
        struct json_walk walk = json_walk(view_str(containers[i]));
        while (json_next_element(&walk, &value))
            continue;
        assert_true(walk.damaged);
        walk = json_walk(view_str(containers[i]));
        while (json_next_member(&walk, &key, &value))
            continue;
        assert_true(walk.damaged);
    }
    assert_false(json_element(view_str("["), 0, &value));
    assert_false(json_element(view_str(""), 0, &value));
}

/* Every prefix, in memory of exactly its size, so that a sanitizer sees a read beyond it. */
static void test_truncated_text_is_not_read_beyond_its_end(void **state)
{
    (void)state;
    const char *text =
        "{\"key one\":\"long enough \\u00e9 string\",\"k\":[1,2,{\"z\":[]}],\"n\":12}";

    for (size_t len = 0; len < strlen(text); len++) {
        uint8_t *copy = malloc(len + (len == 0));
        struct json_value key, value;
        memcpy(copy, text, len);
        struct json_walk walk = json_walk(view_of(copy, len));
        while (json_next_member(&walk, &key, &value))
            assert_true(value.text.data + value.text.len <= copy + len);
        assert_true(walk.damaged);
        assert_false(json_find(view_of(copy, len), view_str("n"), &value));
        json_count(view_of(copy, len));
        free(copy);
    }
}

/* --- finding against walking --- */

static uint32_t random_below(uint64_t *state, uint32_t n)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 33) % n;
}

/* Members of few names, among them look-alikes in strings and in objects within. */
static void random_object(uint64_t *state, struct buf *buf, int depth)
{
    static const char *const keys[] = {"name", "n", "nam", "names", "\\u006eame", "q\\\"", "a\\/b",
        "a/b", ",\\\"name\\\":1", "", "\xc3\xa9", "x\\\\"};
    static const char *const values[] = {"1", "null", "\"name\"", "\"\"", "\"{[\"", "\"}]\"",
        "\",\\\"name\\\":\"", "\"\\\\\"", "\"\\\\\\\"\"", "[\"name\"]", "-1.5e3", "\"a,\"",
        "\"some longer text, so that keys come to lie in all places of a block\""};
    const uint32_t n = random_below(state, 12);

    buf_append_str(buf, "{");
    for (uint32_t i = 0; i < n; i++) {
        buf_appendf(buf, "%s\"%s\":", i > 0 ? "," : "",
            keys[random_below(state, sizeof(keys) / sizeof(*keys))]);
        if (depth > 0 && random_below(state, 4) == 0)
            random_object(state, buf, depth - 1);
        else
            buf_append_str(buf, values[random_below(state, sizeof(values) / sizeof(*values))]);
    }
    buf_append_str(buf, "}");
}

static void test_finding_agrees_with_walking(void **state)
{
    (void)state;
    static const char *const names[] = {
        "name", "n", "nam", "q\"", "a/b", ",\"name\":1", "", "\xc3\xa9", "x\\", "}", ":", "none"};
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < 20000; i++) {
        scoped(buf_fini) struct buf buf = {0};
        const struct view name = view_str(names[random_below(&random, 12)]);
        random_object(&random, &buf, 3);
        uint8_t *const exact = malloc(buf.len); /* for a sanitizer to see reads beyond it */
        memcpy(exact, buf.data, buf.len);

        struct json_value key, value, expected = {0}, actual = {0};
        struct json_walk walk = json_walk(buf_view(&buf));
        while (json_next_member(&walk, &key, &value)) {
            if (json_string_is(key, name))
                expected = value;
        }
        assert_false(walk.damaged);
        const bool found = json_find(view_of(exact, buf.len), name, &actual);
        assert_int_equal(found, expected.kind != JSON_DAMAGED);
        if (found)
            assert_int_equal(actual.text.data - exact, expected.text.data - buf.data);
        if (found)
            assert_int_equal(actual.text.len, expected.text.len);
        free(exact);
    }
}

static void test_walk_visits_members_and_elements_in_order(void **state)
{
    (void)state;
    struct json_value key, value;
    struct json_walk walk = json_walk(view_str("[1,\"a,]\",[],{\"x\":[1]},null,true,false]"));
    const enum json_kind kinds[] = {
        JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_NULL, JSON_TRUE, JSON_FALSE};

    for (size_t i = 0; i < 7; i++) {
        assert_true(json_next_element(&walk, &value));
        assert_int_equal(value.kind, kinds[i]);
    }
    assert_false(json_next_element(&walk, &value));
    assert_false(walk.damaged);

    walk = json_walk(view_str("{\"a\":1,\"\\n\":\"\\n\"}"));
    assert_true(json_next_member(&walk, &key, &value));
    assert_true(json_string_is(key, view_str("a")));
    assert_true(json_next_member(&walk, &key, &value));
    assert_true(key.escaped && value.escaped);
    assert_true(json_string_is(key, view_str("\n")));
    assert_false(json_next_member(&walk, &key, &value));
    assert_false(walk.damaged);

    assert_int_equal(json_count(view_str("[]")), 0);
    assert_int_equal(json_count(view_str("[[],[]]")), 2);
    assert_int_equal(json_count(view_str("{\"a\":1,\"a\":2}")), 2);
}

static void test_element_counts_from_both_ends(void **state)
{
    (void)state;
    const struct view array = view_str("[10,20,30]");
    struct json_value value;

    assert_true(json_element(array, 0, &value));
    assert_true(view_equal(value.text, view_str("10")));
    assert_true(json_element(array, -1, &value));
    assert_true(view_equal(value.text, view_str("30")));
    assert_true(json_element(array, -3, &value));
    assert_false(json_element(array, 3, &value));
    assert_false(json_element(array, -4, &value));
    assert_false(json_element(view_str("{\"a\":1}"), 0, &value));
}

static void expect_content(const char *string, const char *expected, size_t len)
{
    scoped(buf_fini) struct buf buf = {0};

    assert_int_equal(json_unescape(value_of(string), &buf), 0);
    assert_int_equal(buf.len, len);
    assert_memory_equal(buf.data, expected, len);
    assert_true(json_string_is(value_of(string), view_of(expected, len)));
    assert_false(json_string_is(value_of(string), view_of(expected, len - 1)));
}

static void test_strings_are_unescaped(void **state)
{
    (void)state;
    expect_content("\"plain\"", "plain", 5);
    expect_content("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", 10);
    expect_content(
        "\"\\u0041\\u00E9\\u20ac\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10);
    expect_content("\"\\u0000x\"", "\0x", 2);
    /* half a pair, whatever stands behind it */
    expect_content("\"\\ud83dx\"", "\xef\xbf\xbdx", 4);
    expect_content("\"\\ud83d\\u0041\"", "\xef\xbf\xbd\x41", 4);
    expect_content("\"\\ud83d\\uffff\"", "\xef\xbf\xbd\xef\xbf\xbf", 6);
    expect_content("\"\\ud83d\\nabcd\"", "\xef\xbf\xbd\nabcd", 8);
    expect_content("\"\\ud83dabcdef\"", "\xef\xbf\xbd\x61\x62\x63\x64\x65\x66", 9);
    expect_content("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd", 6);
    /* the edges of each length of UTF-8, and of the pairs */
    expect_content("\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80", 8);
    expect_content("\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8);
    expect_content("\"\\uD7FF\\uE000\"", "\xed\x9f\xbf\xee\x80\x80", 6);
    assert_int_equal(json_string_length(value_of("\"a\\u00e9\xe2\x82\xac\\ud83d\\ude00\"")), 4);
    assert_int_equal(json_string_length(value_of("\"\"")), 0);
}

static void test_damaged_escapes_are_no_content(void **state)
{
    (void)state;
    static const char *const strings[] = {"\"\\x\"", "\"\\u12\"", "\"\\", "\"a\\\"", "\"\\u00g0\"",
        "\"\\u00/0\"", "\"\\u00:0\"", "\"\\u00@0\"", "\"\\u00`0\""};
    scoped(buf_fini) struct buf buf = {0};

    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
        assert_int_equal(json_unescape(value_of(strings[i]), &buf), 0);
        assert_false(json_string_is(value_of(strings[i]), view_str("x")));
    }
}

/* To all who ask, a string ends where it is damaged. */
static void test_damaged_strings_end_there(void **state)
{
    (void)state;
    static const char *const endings[] = {"\\", "\\q", "\\u12", "\\u12g4", "\\x", "\\u"};
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        scoped(buf_fini) struct buf plain = {0};
        char text[32];
        snprintf(text, sizeof(text), "\"a\\u0062%s\"", endings[i]);
        const struct json_value string = value_of(text);
        if (json_string_length(string) != 2)
            fail_msg("%s: %zu", text, json_string_length(string));
        assert_int_equal(json_string_compare(string, value_of("\"ab\"")), 0);
        assert_true(json_string_compare(string, value_of("\"ab\\u0000\"")) < 0);
        assert_true(json_string_compare(string, value_of("\"aa\"")) > 0);
        assert_int_equal(json_unescape(string, &plain), 0);
        assert_true(view_equal(buf_view(&plain), view_str("ab")));
    }
}

static void test_strings_compare_by_code_points(void **state)
{
    (void)state;
    assert_true(json_string_compare(value_of("\"a\""), value_of("\"b\"")) < 0);
    assert_true(json_string_compare(value_of("\"a\""), value_of("\"a\"")) == 0);
    assert_true(json_string_compare(value_of("\"ab\""), value_of("\"a\"")) > 0);
    assert_true(json_string_compare(value_of("\"\\u0061b\""), value_of("\"ab\"")) == 0);
    assert_true(json_string_compare(value_of("\"\\uffff\""), value_of("\"\xf0\x9f\x98\x80\"")) < 0);
    assert_true(json_string_compare(value_of("\"\""), value_of("\"\\u0000\"")) < 0);
}

static void expect_double(const char *text, double expected)
{
    double value = 0.5;

    assert_true(json_double(view_str(text), &value));
    assert_true(value == expected);
    assert_int_equal(signbit(value) != 0, signbit(expected) != 0);
}

static void test_numbers_become_the_nearest_double(void **state)
{
    (void)state;
    char text[2000];

    expect_double("0", 0.0);
    expect_double("-0", -0.0);
    expect_double("-0.0e5", -0.0);
    expect_double("0.1", 0.1);
    expect_double("1E5", 1e5);
    expect_double("123456789012345678", 123456789012345678.0);
    expect_double("9007199254740993", 9007199254740992.0);
    expect_double("9007199254740993.00000000000000000000000000000000001", 9007199254740994.0);
    expect_double("1e400", (double)INFINITY);
    expect_double("-1e400", -(double)INFINITY);
    expect_double("1e-400", 0.0);
    expect_double("1e99999999999999999999", (double)INFINITY);
    expect_double("4.9e-324", 4.9e-324);
    expect_double("2.2250738585072011e-308", 2.2250738585072011e-308);
    expect_double("3.14159265358979323846264338327950288", 3.14159265358979323846);

    /* Half way between 1 and the next double, then more than that by the very last digit. */
    memset(text, '0', sizeof(text));
    memcpy(text, "1.00000000000000011102230246251565404236316680908203125", 55);
    text[sizeof(text) - 1] = 0;
    expect_double(text, 1.0);
    text[sizeof(text) - 2] = '1';
    expect_double(text, 1.0000000000000002);
    memset(text, '0', sizeof(text));
    memcpy(text + sizeof(text) - 7, "7e1990", 7);
    memcpy(text, "0.", 2);
    expect_double(text, 7e-2); /* many zeros, undone by the exponent */
}

static void test_what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "-", "a", "1e", "1e+", "1x", ".5", "1.5.5", "nan"};
    double value;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_false(json_double(view_str(texts[i]), &value));
}

static void test_integers_are_exact_or_refused(void **state)
{
    (void)state;
    uint64_t u;
    int64_t i;

    assert_true(json_u64(view_str("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(json_u64(view_str("18446744073709551616"), &u));
    assert_false(json_u64(view_str("18446744073709551620"), &u));
    assert_false(json_u64(view_str("99999999999999999999"), &u));
    assert_false(json_u64(view_str("1/"), &u) || json_u64(view_str("1:"), &u));
    assert_true(json_u64(view_str("0"), &u) && u == 0);
    assert_true(json_i64(view_str("-0"), &i) && i == 0);
    assert_true(json_i64(view_str("-12"), &i) && i == -12);
    assert_false(json_i64(view_str(""), &i));
    assert_false(json_u64(view_str("1.0"), &u) || json_u64(view_str("-1"), &u));
    assert_false(json_u64(view_str(""), &u) || json_i64(view_str("-"), &i));
    assert_true(json_i64(view_str("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(json_i64(view_str("9223372036854775807"), &i) && i == INT64_MAX);
    assert_false(json_i64(view_str("9223372036854775808"), &i));
    assert_false(json_i64(view_str("-9223372036854775809"), &i));
}

/* A locale with a decimal comma must change nothing; where none is installed, there is nothing
 * to see. */
static void test_numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "C.UTF-8"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (setlocale(LC_ALL, names[i]) != NULL)
            break;
    }
    expect_double("2.2250738585072011e-308", 2.2250738585072011e-308);
    setlocale(LC_ALL, "C");
}

TESTS(test_damaged_values_are_told, test_find_takes_the_last_of_equal_names,
    test_damaged_text_ends_the_search, test_truncated_text_is_not_read_beyond_its_end,
    test_finding_agrees_with_walking, test_walk_visits_members_and_elements_in_order,
    test_element_counts_from_both_ends, test_strings_are_unescaped,
    test_damaged_escapes_are_no_content, test_damaged_strings_end_there,
    test_strings_compare_by_code_points, test_numbers_become_the_nearest_double,
    test_what_is_no_number_is_refused, test_integers_are_exact_or_refused,
    test_numbers_do_not_depend_on_the_locale)

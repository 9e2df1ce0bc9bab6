#include "json/write.h"

#include "base/test.h"
#include "json/span.h"

#include <math.h>

static void expect_text(const struct buf *buf, const char *expected)
{
    assert_int_equal(buf->len, strlen(expected));
    assert_memory_equal(buf->data, expected, buf->len);
}

static void test_commas_come_by_themselves(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);

    json_object_begin(&writer);
    json_key(&writer, "a");
    json_uint(&writer, UINT64_MAX);
    json_key(&writer, "b");
    json_array_begin(&writer);
    json_int(&writer, INT64_MIN);
    json_array_begin(&writer);
    json_array_end(&writer);
    json_bool(&writer, true);
    json_bool(&writer, false);
    json_null(&writer);
    json_array_end(&writer);
    json_key(&writer, "c\"");
    json_raw(&writer, view_str("{\"x\":1}"));
    json_key(&writer, "d");
    json_number(&writer, 1.5);
    json_number(&writer, (double)INFINITY);
    json_object_end(&writer);
    assert_false(json_writer_failed(&writer));
    expect_text(&buf, "{\"a\":18446744073709551615,\"b\":[-9223372036854775808,[],true,false,null],"
                      "\"c\\\"\":{\"x\":1},\"d\":1.5,null}");
}

static void test_what_is_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80", "\xc1\xbf", "\xdf", "\xdf\x7f", "\xdf\xc0",
        "\xe0\x9f\xbf", "\xe1\x80", "\xe1\x80\xc0", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf1\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
        "ab\xff", "\xc3\xa9\x80"};

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(json_is_utf8(view_str(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(json_is_utf8(view_str(bad[i])));
}

static void test_integers_of_all_lengths(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);

    json_array_begin(&writer);
    json_int(&writer, 0);
    json_int(&writer, -1);
    json_int(&writer, 9);
    json_int(&writer, 10);
    json_int(&writer, -99);
    json_int(&writer, 100);
    json_int(&writer, INT64_MAX);
    json_uint(&writer, 12345678901234567890u);
    json_str(&writer, "plain \"text\"");
    json_array_end(&writer);
    expect_text(&buf, "[0,-1,9,10,-99,100,9223372036854775807,12345678901234567890,"
                      "\"plain \\\"text\\\"\"]");
}

static void test_strings_escape_only_what_must_be(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf buf = {0};

    assert_int_equal(json_quote(&buf, view_of("\"\\/\b\f\n\r\t\0\x01\x1f\x7f\xc3\xa9", 14)), 0);
    expect_text(&buf, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\x7f\xc3\xa9\"");
}

static void expect_lossy(const char *bytes, const char *expected)
{
    scoped(buf_fini) struct buf buf = {0};
    struct json_writer writer = json_writer(&buf);

    json_string_lossy(&writer, view_str(bytes));
    assert_false(json_writer_failed(&writer));
    expect_text(&buf, expected);
}

static void test_lossy_strings_replace_what_is_not_utf8(void **state)
{
    (void)state;
    expect_lossy(
        "a\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"a\\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_lossy("a\xff"
                 "b",
        "\"a\xef\xbf\xbd"
        "b\"");
    expect_lossy("\xc3", "\"\xef\xbf\xbd\"");
    expect_lossy("\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_lossy("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_lossy("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_lossy("\xe0\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_lossy("", "\"\"");
}

static void expect_double(double value, const char *expected)
{
    char text[JSON_DOUBLE_MAX];

    const size_t len = json_format_double(value, text);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static void test_doubles_have_the_fewest_digits(void **state)
{
    (void)state;
    expect_double(0.0, "0.0");
    expect_double(-0.0, "-0.0");
    expect_double(1.0, "1.0");
    expect_double(0.1, "0.1");
    expect_double(-12.5, "-12.5");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(1e15, "1000000000000000.0");
    expect_double(1234567890123456.0, "1234567890123456.0");
    expect_double(1e16, "1e+16");
    expect_double(1.5e300, "1.5e+300");
    expect_double(1e-5, "0.00001");
    expect_double(1.25e-5, "0.0000125");
    expect_double(1e-6, "1e-6");
    expect_double(5e-324, "5e-324");
    expect_double(1.7976931348623157e308, "1.7976931348623157e+308");
    expect_double(2.2250738585072014e-308, "2.2250738585072014e-308");
    expect_double(9007199254740993.0, "9007199254740992.0");
    expect_double(-1.2345678901234568e-300, "-1.2345678901234568e-300");
}

static void test_doubles_read_back(void **state)
{
    (void)state;
    uint64_t bits = 88172645463325252u;

    for (int i = 0; i < 20000; i++) {
        double value, back;
        char text[JSON_DOUBLE_MAX];
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        const size_t len = json_format_double(value, text);
        assert_true(len <= sizeof(text));
        assert_true(json_double(view_of(text, len), &back));
        assert_true(back == value);
    }
}

static void expect_pretty(const char *compact, bool colour, const char *expected)
{
    scoped(buf_fini) struct buf buf = {0};

    assert_int_equal(json_pretty(view_str(compact), colour, &buf), 0);
    expect_text(&buf, expected);
}

static void test_pretty_breaks_and_indents(void **state)
{
    (void)state;
    expect_pretty("{\"a\":1,\"b\":[true,{},[],\"x: {,\"],\"c\":{\"d\":null}}", false,
        "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {},\n    [],\n    \"x: {,\"\n  ],\n"
        "  \"c\": {\n    \"d\": null\n  }\n}");
    expect_pretty("3", false, "3");
    expect_pretty("", false, "");
}

static void test_pretty_colours_each_token(void **state)
{
    (void)state;
    expect_pretty("{\"name\":\"x\"}", true,
        "\x1b[39m{\x1b[0m\n  \x1b[36m\"name\"\x1b[0m\x1b[39m:\x1b[0m \x1b[32m\"x\"\x1b[0m\n"
        "\x1b[39m}\x1b[0m");
    expect_pretty("[1,true,null]", true,
        "\x1b[39m[\x1b[0m\n  \x1b[33m1\x1b[0m\x1b[39m,\x1b[0m\n  \x1b[35mtrue\x1b[0m\x1b[39m,"
        "\x1b[0m\n  \x1b[39mnull\x1b[0m\n\x1b[39m]\x1b[0m");
}

static void test_pretty_survives_what_is_not_json(void **state)
{
    (void)state;
    static const char *const texts[] = {"]]]", "{\"a", "{", "[[", "x", "\"\\", ",:,", "\xff\xfe"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        scoped(buf_fini) struct buf buf = {0};
        assert_int_equal(json_pretty(view_str(texts[i]), true, &buf), 0);
    }
}

TESTS(test_what_is_utf8, test_integers_of_all_lengths, test_commas_come_by_themselves,
    test_strings_escape_only_what_must_be, test_lossy_strings_replace_what_is_not_utf8,
    test_doubles_have_the_fewest_digits, test_doubles_read_back, test_pretty_breaks_and_indents,
    test_pretty_colours_each_token, test_pretty_survives_what_is_not_json)

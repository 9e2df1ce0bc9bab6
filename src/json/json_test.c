/* What json_compact() accepts, what it refuses, and what it writes. The cases are built from the
 * grammar of RFC 8259, class by class, as the published JSON test suites sort them. */
#include "base/limits.h"
#include "base/test.h"
#include "json/json.h"

struct text {
    const char *bytes;
    size_t len;
};

#define T(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/* A copy that ends exactly where its memory does, so that a read behind it is caught. */
static uint8_t *exact_copy(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static bool compact(const void *bytes, size_t len, char **out_text, size_t *out_len)
{
    uint8_t *text = exact_copy(bytes, len);
    uint8_t *out = malloc(len + JSON_SLACK);
    assert_non_null(out);
    struct json_error error = {0};
    const bool ok = json_compact(text, len, out, out_len, &error);
    if (!ok) {
        assert_non_null(error.problem);
        assert_true(error.offset <= len);
        assert_true(error.line >= 1 && error.column >= 1);
    }
    free(text);
    *out_text = (char *)out;
    return ok;
}

static bool accepted(const void *bytes, size_t len)
{
    char *out;
    size_t out_len;
    const bool ok = compact(bytes, len, &out, &out_len);
    free(out);
    return ok;
}

/* Puts the text as a member's value at each place of a block, so that it also crosses from one
 * block to the next. */
static void check_everywhere(const struct text *text, bool expected)
{
    for (size_t shift = 0; shift <= 130; shift++) {
        char around[4096];
        const int before = snprintf(around, sizeof(around), "{\"k\":%*s", (int)shift, "");
        const size_t end = (size_t)before + text->len;
        assert_true(end + 16 < sizeof(around));
        memcpy(around + before, text->bytes, text->len); /* may hold a NUL */
        const int behind = snprintf(around + end, sizeof(around) - end, ",\"z\":[0]}");
        if (accepted(around, end + (size_t)behind) != expected)
            fail_msg("%s when shifted by %zu: %.*s", expected ? "refused" : "accepted", shift,
                (int)text->len, text->bytes);
    }
}

static void check_all(const struct text *texts, size_t n_texts, bool expected)
{
    for (size_t i = 0; i < n_texts; i++) {
        if (accepted(texts[i].bytes, texts[i].len) != expected)
            fail_msg(
                "%s: %.*s", expected ? "refused" : "accepted", (int)texts[i].len, texts[i].bytes);
        check_everywhere(&texts[i], expected);
    }
}

#define CHECK_ALL(expected, ...)                                                                   \
    do {                                                                                           \
        static const struct text texts_[] = {__VA_ARGS__};                                         \
        check_all(texts_, sizeof(texts_) / sizeof(texts_[0]), expected);                           \
    } while (0)

static void test_json_accepts_numbers(void **state)
{
    (void)state;
    CHECK_ALL(true, T("0"), T("-0"), T("1"), T("-1"), T("42"), T("-123"), T(" 4"), T("10"),
        T("0.0"), T("-0.1"), T("123.456789"), T("0e1"), T("0e+1"), T("0e-1"), T("0E5"), T("20e1"),
        T("1E22"), T("1E-2"), T("1E+2"), T("1e-2"), T("1e+2"), T("123e45"), T("123.456e78"),
        T("0.5e05"), T("-0.0e-0"), T("1.0e+28"), T("1e400"), T("-1e-4000"),
        T("-0.000000000000000000000000000000000000000000000000000000000000000000000000000001"),
        T("100000000000000000000000000000000000000000000000000000000000000000000000000000000"),
        T("1e00000000000000000000000000000000000000000000000000000000000000000000000000000001"),
        T("[1,2.5,-3e+7,-0.25,1e9]"));
}

static void test_json_refuses_numbers(void **state)
{
    (void)state;
    CHECK_ALL(false, T("+1"), T("++1234"), T("+Inf"), T("-"), T("- 1"), T("--1"), T("-01"),
        T("012"), T("-012"), T("00"), T("-00"), T("01.5"), T("1."), T("-2."), T(".5"), T("-.123"),
        T(".-1"), T(".2e-3"), T("."), T("0.1.2"), T("-1.0."), T("0.3e"), T("0.3e+"), T("0.e1"),
        T("0E"), T("0E+"), T("0e"), T("0e+"), T("1.0e"), T("1.0e+"), T("1.0e-"), T("1eE2"),
        T("1e2.5"), T("1e5e5"), T("2.e3"), T("2.e+3"), T("9.e+"), T("0e+-1"), T("e5"), T("1 000"),
        T("1_000"), T("1+2"), T("1-2"), T("0x1"), T("0x42"), T("0b1"), T("1a"), T("1ea"), T("-1x"),
        T("-foo"), T("-123.123foo"), T("1.2a-3"), T("1.8011670033376514H-308"), T("Inf"),
        T("Infinity"), T("-Infinity"), T("NaN"), T("-NaN"), T("nan"), T("\xef\xbc\x91"),
        T("123\xe5"), T("1e1\xe5"), T("0\xe5"), T("1e\xe5"), T("1,000.5.5"), T("123\0"), T("2@"),
        T("1f"), T("1true"), T("1\"a\""), T("0 1"), T("1e+ 5"), T("1. 5"), T("1 .5"), T("1 e5"),
        T("-0x0"), T("1e5-"), T("5-"), T("5+"), T("5.0+1"), T("5.-1"));
}

static void test_json_accepts_strings(void **state)
{
    (void)state;
    CHECK_ALL(true, T("\"\""), T("\" \""), T("\"asd \""), T("\"a\""), T("\"\\\"\""), T("\"\\\\\""),
        T("\"\\/\\b\\f\\n\\r\\t\""), T("\"\\u0000\""), T("\"\\u0060\\u012a\\u12AB\""),
        T("\"\\uffff\\uFFFE\""), T("\"\\uD801\\udc37\""), T("\"\\ud83d\\ude39\\ud83d\\udc8d\""),
        T("\"\\uDBFF\\uDFFF\""), T("\"\\uD800\\uDC00x\\ud7ff\\ue000\""), T("\"\\u005C\\u0022\""),
        T("\"\\\\u0000\""), T("\"\\\\\\\"\\\\\""), T("\"\\\\ud800\""), T("\"a/*b*/c//d#e\""),
        T("\"{[}],:\""), T("\"\x7f\""), T("\"\xc2\x80\""), T("\"\xdf\xbf\""), T("\"\xe0\xa0\x80\""),
        T("\"\xed\x9f\xbf\""), T("\"\xee\x80\x80\""), T("\"\xef\xbf\xbf\""),
        T("\"\xf0\x90\x80\x80\""), T("\"\xf4\x8f\xbf\xbf\""), T("\"\xe2\x80\xa8\xe2\x80\xa9\""),
        T("\"\xe2\x82\xac\xf0\x9d\x84\x9e\""), T("\"\xef\xbb\xbf\""),
        T("\"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\"
          "n\\n\\n"
          "\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n"
          "\\n\""),
        T("\"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"
          "\\\""));
}

static void test_json_refuses_strings(void **state)
{
    (void)state;
    CHECK_ALL(false, T("\""), T("\"\"\""), T("\"\\\""), T("\"\\\\\\\""), T("\"a"), T("'a'"),
        T("abc"), T("\"a\"x"), T("\"\"\"\""), T("\"a\" \"b\""), T("\\n"), T("\\u0020\"a\""),
        T("\"\\a\""), T("\"\\'\""), T("\"\\0\""), T("\"\\x00\""), T("\"\\U0041\""), T("\"\\ \""),
        T("\"\\\t\""), T("\"\\\0\""), T("\"\\\xf0\x9f\x8c\x80\""), T("\"\\\xe5\""), T("\"\\u\""),
        T("\"\\u0\""), T("\"\\u00A\""), T("\"\\u00Ag\""), T("\"\\uqqqq\""), T("\"\\u 123\""),
        T("\"\\u12 3\""), T("\"\\u\xe5\""), T("\"\\u-123\""), T("\"\\u+123\""), T("\"\\ud800\""),
        T("\"\\udc00\""), T("\"\\ud800x\""), T("\"\\ud800\\n\""), T("\"\\uD800\\u\""),
        T("\"\\uD800\\u1\""), T("\"\\uD800\\u1x\""), T("\"\\uD834\\uDd\""), T("\"\\uD800\\\""),
        T("\"\\uD800\\uD800\""), T("\"\\uD800\\uD800\\uDC00\""), T("\"\\uDC00\\uD800\""),
        T("\"\\uD800\\uDC00\\uDC00\""), T("\"\\uD800\\u0041\""), T("\"\\ud800\\\\udc00\""),
        T("\"a\nb\""), T("\"\t\""), T("\"a\0a\""), T("\"\x1f\""), T("\"\x01\""), T("\"\r\""),
        T("\"\x0c\""), T("`a`"),
        T("\xe2\x80\x9c"
          "a\xe2\x80\x9d"),
        T("\"\\u123\\n4\""));
}

static void test_json_refuses_what_is_not_utf8(void **state)
{
    (void)state;
    CHECK_ALL(false, T("\"\x80\""), T("\"\xbf\""), T("\"a\x80\""), T("\"\xc2\""),
        T("\"\xc2"
          "a\""),
        T("\"\xc3\x28\""), T("\"\xc0\x80\""), T("\"\xc0\xaf\""), T("\"\xc1\xbf\""),
        T("\"\xe0\x80\x80\""), T("\"\xe0\x9f\xbf\""), T("\"\xe0\xa0\""), T("\"\xe1\x80\""),
        T("\"\xe1\""),
        T("\"\xe1\x80"
          "a\""),
        T("\"\xed\xa0\x80\""), T("\"\xed\xbf\xbf\""), T("\"\xed\xa0\x80\xed\xb0\x80\""),
        T("\"\xf0\x80\x80\x80\""), T("\"\xf0\x8f\xbf\xbf\""), T("\"\xf0\x90\x80\""),
        T("\"\xf0\x90\""), T("\"\xf0\""),
        T("\"\xf0\x90\x80"
          "a\""),
        T("\"\xf4\x90\x80\x80\""), T("\"\xf5\x80\x80\x80\""), T("\"\xf7\xbf\xbf\xbf\""),
        T("\"\xf8\x88\x80\x80\x80\""), T("\"\xfc\x84\x80\x80\x80\x80\""), T("\"\xfe\""),
        T("\"\xff\""), T("\"\xc2\x80\x80\""), T("\"\xe1\x80\x80\x80\""),
        T("\"\xf1\x80\x80\x80\x80\""), T("\"\xe4\xf6\xfc\""), T("\xff"), T("\xe9"), T("a\xe5"),
        T("[\xff]"), T("{\"\xb9\":0}"), T("\xc3\xa9"), T("\xef\xbb\xbf{}"), T("\xef\xbb\xbf"),
        T("\xef\xbb{}"), T("\xff\xfe{\0}\0"), T("\xfe\xff\0{\0}"), T("\xe2\x81\xa0[]"),
        T("\"\xed\x9f\xc0\""), T("\"\xf4\x8f\xbf\xc0\""), T("\"\xf3\xbf\xbf\x7f\""));
}

static void test_json_accepts_structure(void **state)
{
    (void)state;
    CHECK_ALL(true, T("true"), T("false"), T("null"), T("[]"), T("{}"), T("[[]   ]"), T("[ ]"),
        T("{ }"), T(" \t\r\n[] \n"), T("[\"\"]"), T("[false]"), T("[true,false,null]"),
        T("[null, 1, \"1\", {}]"), T("[1\n]"), T("[1,null,null,null,2]"), T("[[[]]]"), T("[{}]"),
        T("[[],[[]],{}]"), T("{\"\":0}"), T("{\"a\":\"b\",\"a\":\"b\"}"), T("{\"a\":{\"b\":{}}}"),
        T("{\"a\":[{\"b\":1},{\"c\":[]}]}"), T("{\n\"a\": \"b\"\n}"), T("{\"a\\u0000b\":1}"),
        T("{\"a\" : [ 1 , 2 ] , \"b\" :null}"), T("{\"\\\"\":\"\\\"\"}"), T("[\n\n\n0\n\n,\n1\n]"),
        T("{\"a\":[],\"b\":{},\"c\":[{}],\"d\":[[1,2],[3,4]],\"e\":{\"f\":[{\"g\":[1]}]}}"),
        T("[[1,[2,{\"a\":[3,{\"b\":4}],\"c\":5}],6],{\"d\":{\"e\":7},\"f\":[]},8]"),
        T("[\"a\" , \"b\" ,\"c\"]"), T("[ true , false , null , 1 , -1.5e3 ]"),
        T("{\"x\":true,\"y\":[true,{\"z\":false}]}"));
}

static void test_json_refuses_arrays(void **state)
{
    (void)state;
    CHECK_ALL(false, T("["), T("]"), T("[1"), T("[1,"), T("[\"a\""), T("[\"a"), T("[1]]"),
        T("[][]"), T("[,]"), T("[,1]"), T("[1,]"), T("[1,,]"), T("[1,,2]"), T("[\"x\",,]"),
        T("[\"\",]"), T("[   , \"\"]"), T("[1 true]"), T("[1 2]"), T("[\"a\" 1]"), T("[1 \"a\"]"),
        T("[3[4]]"), T("[{}{}]"), T("[[][]]"), T("[1{}]"), T("[{}1]"), T("[\"\": 1]"), T("[1:2]"),
        T("[:1]"), T("[1:]"), T("[\"a\":\"b\",\"c\"]"), T("[x"), T("[*]"), T("[-]"), T("[a]"),
        T("[1}"), T("[}"), T("[{]"), T("[{]}"), T("[1,2}"), T("[fals]"), T("[nul]"), T("[tru]"),
        T("[True]"), T("[truefalse]"), T("[true false]"), T("[truex]"), T("[nulll]"), T("[falsee]"),
        T("[xtrue]"), T("[true\"a\"]"), T("[true1]"), T("[true[]]"), T("[tru\"e\"]"), T("[t rue]"),
        T("[NULL]"), T("[\"\va\"\\f]"), T("[\f]"), T("[\v1]"), T("[\x1e]"), T("[\xc2\xa0]"),
        T("[1\0]"), T("[\0]"), T("[1;2]"), T("[<null>]"), T("[1]x"), T("[1] 2"), T("[1],"),
        T("[1],[2]"), T("[\"a\"]\"b\""), T("[']"), T("['a']"), T("[/**/]"), T("[1//\n]"),
        T("[1,#\n2]"), T("[\x1a]"), T("[\x0c]"), T("[1\x1a 2]"),
        T("[1\x0c"
          "2]"),
        T("[(1)]"), T("[1,2,3,4,5,]"), T("[ 1 , ]"), T("[ , ]"));
}

static void test_json_refuses_objects(void **state)
{
    (void)state;
    CHECK_ALL(false, T("{"), T("}"), T("{}}"), T("{}{}"), T("{\"a\""), T("{\"a\":"), T("{\"a"),
        T("{\"a\":1"), T("{\"a\":1,"), T("{\"a\":\"a"), T("{\"a\"}"), T("{\"a\":}"),
        T("{\"a\":1,}"), T("{\"a\":1,,}"), T("{\"a\":1,,\"b\":2}"), T("{,}"), T("{,\"a\":1}"),
        T("{:1}"), T("{:}"), T("{\"a\",\"b\"}"), T("{\"a\",1}"), T("{\"a\" \"b\"}"), T("{\"a\" 1}"),
        T("{\"a\"::1}"), T("{\"a\":1:2}"), T("{\"a\":\"b\":\"c\"}"), T("{\"a\":1 \"b\":2}"),
        T("{\"a\":\"a\" 123}"), T("{\"a\":1 2}"), T("{\"a\":1,\"b\"}"), T("{\"a\":1,2}"),
        T("{\"a\":1,2:3}"), T("{1:1}"), T("{9E9:1}"), T("{null:null}"), T("{true:1,true:2}"),
        T("{[]:1}"), T("{{}:1}"), T("{[1]:2}"), T("{[\"a\"]:1}"), T("{{\"a\":1}:1}"), T("{a:1}"),
        T("{'a':1}"), T("{\"a\":'b'}"), T("{\"a\":x}"), T("{\"a\"=1}"), T("{\"a\":1;}"),
        T("{\"a\":1]"), T("{\"a\":[1}"), T("{]"), T("{\"a\":[1},2]"), T("{\"a\":{]}"),
        T("{[: \"x\"}"), T("{\"a\":\"b\"}#"), T("{\"a\":\"b\"}//"), T("{\"a\":\"b\"}/**/"),
        T("{\"a\":/*x*/\"b\"}"), T("{\"a\":1} \"x\""), T("{} 1"), T("{},"), T("{\"a\":1}:"),
        T("{\"id\":0,,,,,}"), T("{\"a\" b}"), T("{\"a\\\":1}"), T("{\xf0\x9f\x87\xa8}"),
        T("{\"a\":[],}"), T("{\"a\":{},}"), T("{[]}"), T("{{}}"), T("{\"a\":[\"b\":1]}"),
        T("{\"a\":[]\"b\":1}"), T("[{\"a\":1},{\"b\"}]"), T("[{\"a\":1},{2}]"), T("{\"a\":[1],2}"),
        T("{\"a\":{\"b\":1},\"c\"}"), T("{\"a\":[{\"b\":1}],[2]:3}"), T("{ \"a\" , \"b\" : 1 }"));
}

static void test_json_refuses_no_value(void **state)
{
    (void)state;
    CHECK_ALL(false, T(""), T(" "), T("\n"), T(" \t\r\n "), T("\0"), T(","), T(":"), T("*"), T("#"),
        T("<null>"), T("()"), T("\\"), T("/"), T("//"), T("True"), T("TRUE"), T("tru"), T("nul"),
        T("fals"), T("nulll"), T("None"), T("undefined"), T("\v"), T("\f"), T("\x7f"), T("=1"));
    size_t out_len;
    uint8_t out[JSON_SLACK];
    assert_false(json_compact(NULL, 0, out, &out_len, NULL));
}

static void check_compact(const char *text, const char *expected)
{
    char *out;
    size_t out_len = 0;
    assert_true(compact(text, strlen(text), &out, &out_len));
    if (out_len != strlen(expected) || memcmp(out, expected, out_len) != 0)
        fail_msg("%s became %.*s", text, (int)out_len, out);
    free(out);
}

static void test_json_compact_drops_blanks_and_keeps_the_rest(void **state)
{
    (void)state;
    check_compact("  1E5 ", "1E5");
    check_compact("\t\"a b\\u0041\"\n", "\"a b\\u0041\"");
    check_compact("[ 1 , -0 , 1E5,1.50, 123456789012345678901234567890 ]",
        "[1,-0,1E5,1.50,123456789012345678901234567890]");
    check_compact("{ \"b\" : 1 , \"a\" : 2 , \"b\" : 3 }", "{\"b\":1,\"a\":2,\"b\":3}");
    check_compact("{\r\n\t\"a b\\\" c \" :\r\n\t[\r\n\t]\r\n}\r\n", "{\"a b\\\" c \":[]}");
    check_compact("{\"k\":\"\xc3\xa9 \\/ \\\\\"  }", "{\"k\":\"\xc3\xa9 \\/ \\\\\"}");
    check_compact("                                                                            "
                  "                                     [                                          "
                  "                                                          {          }]     ",
        "[{}]");
}

/* n opening brackets, then n closing ones; in objects with a key behind each but the last. */
static char *nested(size_t n, bool object, size_t *out_len)
{
    const char *open = object ? "{\"a\":" : "[";
    const size_t step = strlen(open);
    const size_t n_open = (n - 1) * step + 1;
    char *text = malloc(n_open + n);
    assert_non_null(text);
    for (size_t i = 0; i < n_open; i++)
        text[i] = open[i % step];
    memset(text + n_open, object ? '}' : ']', n);
    *out_len = n_open + n;
    return text;
}

static void test_json_depth_ends_at_its_limit(void **state)
{
    (void)state;
    for (size_t n = 1; n <= LIMIT_JSON_DEPTH + 2;
         n += n > 200 && n < LIMIT_JSON_DEPTH - 70 ? 61 : 1) {
        for (int object = 0; object < 2; object++) {
            size_t len;
            char *text = nested(n, object != 0, &len);
            assert_int_equal(accepted(text, len), n <= LIMIT_JSON_DEPTH);
            if (n > 1) { /* a wrong bracket at the deepest place that is closed last but one */
                text[len - n / 2 - 1] = object ? ']' : '}';
                assert_false(accepted(text, len));
            }
            free(text);
        }
    }
}

static void test_json_bombs_are_refused_at_the_limit(void **state)
{
    (void)state;
    const size_t len = 10000000;
    uint8_t *text = malloc(len);
    uint8_t *out = malloc(len + JSON_SLACK);
    assert_non_null(text);
    assert_non_null(out);
    struct json_error error = {0};
    size_t out_len;

    memset(text, '[', len);
    assert_false(json_compact(text, len, out, &out_len, &error));
    assert_int_equal(error.offset, LIMIT_JSON_DEPTH);
    assert_string_equal(error.problem, "nested deeper than 1024 levels");

    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t) "{\"\":["[i % 5];
    assert_false(json_compact(text, len, out, &out_len, &error));
    assert_int_equal(error.offset, LIMIT_JSON_DEPTH / 2 * 5);

    memset(text, '9', len); /* one long number is as good as any */
    assert_true(json_compact(text, len, out, &out_len, &error));
    text[0] = '[';
    text[len - 1] = ']';
    assert_true(json_compact(text, len, out, &out_len, &error));
    assert_int_equal(out_len, len);
    free(text);
    free(out);
}

TESTS(test_json_accepts_numbers, test_json_refuses_numbers, test_json_accepts_strings,
    test_json_refuses_strings, test_json_refuses_what_is_not_utf8, test_json_accepts_structure,
    test_json_refuses_arrays, test_json_refuses_objects, test_json_refuses_no_value,
    test_json_compact_drops_blanks_and_keeps_the_rest, test_json_depth_ends_at_its_limit,
    test_json_bombs_are_refused_at_the_limit)

#include "json/filter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/test.h"
#include "json/filter_native.h"

#include <pthread.h>

/* libjq 1.6 loses a reference to a name when an error leaves the iteration of an object. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libjq.so";
}

#define SOME_TIME_NS (UINT64_C(1767323045) * NS_PER_SECOND + 600000000) /* 2026-01-02T03:04:05.6Z */

static const char some_data[] =
    "{\"x\":\"lit\",\"n\":42,\"big\":9007199254740993,\"neg\":-1.5e3,\"z\":null,\"t\":true,"
    "\"f\":false,\"o\":{\"k\":\"v\",\"a b\":1},\"l\":[1,\"two\",{\"y\":3},[4]],"
    "\"esc\":\"caf\\u00e9 \\\"q\\\"\",\"d\":1,\"d\":2,\"MESSAGE\":\"kernel panic - not syncing\","
    "\"go\":true,\"status\":\"green\",\"code\":503,\"e\":[],\"eo\":{},\"tagged\":[\"a\",\"b\"]}";

static const struct filter_message *some_message(void)
{
    static struct filter_message message;
    message = (struct filter_message){
        .seq = 7,
        .time_ns = SOME_TIME_NS,
        .tags = view_str("[\"important\",\"sev1\",\"a\"]"),
        .data = view_str(some_data),
    };
    return &message;
}

struct expectation {
    const char *expression;
    int expected;
};

enum { NO = FILTER_NO_MATCH, YES = FILTER_MATCH, USAGE = -1 };

static void expect_message(const char *expression, const struct filter *filter, int result,
    int expected, const plsm_error_t *err)
{
    if (result != expected)
        print_error("%s: %d, expected %d (native: %d)\n", expression, result, expected,
            filter_is_native(filter));
    assert_int_equal(result, expected);
    if (expected < 0) {
        assert_int_equal(err->kind, PLSM_ERROR_USAGE);
        assert_string_equal(err->message, "filter expression must yield booleans");
    }
}

/* Without libjq installed there is no module, and nothing to test about it. */
static bool has_module(void)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;

    if (filter_new_jq("true", &filter, &err) == 0)
        return true;
    assert_int_equal(err->kind, PLSM_ERROR_INTERNAL);
    assert_string_equal(err->message, "this filter needs the jq module, which could not be loaded");
    assert_non_null(error_cause_of(err));
    return false;
}

static void expect_new_and_match(const char *expression, bool native, int expected)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;

    const int r =
        native ? filter_new(expression, &filter, &err) : filter_new_jq(expression, &filter, &err);
    if (r < 0)
        print_error("%s: %s (%s)\n", expression, err->message, error_cause_of(err));
    assert_int_equal(r, 0);
    if (native && !filter_is_native(filter))
        print_error("%s is not native\n", expression);
    assert_true(filter_is_native(filter) == native);
    const int result = filter_match(filter, some_message(), &err);
    expect_message(expression, filter, result, expected, err);
}

/* Simple expressions: by the native matcher, and by libjq with the same answer. */
static const struct expectation simple[] = {
    {".data.x == \"lit\"", YES},
    {".data.x==\"lit\"", YES},
    {"\r.data.x\r\n==\r\"lit\"\r", YES},
    {".data.x == \"\r\"", NO},
    {".data.x != \"lit\"", NO},
    {"\"lit\" == .data.x", YES},
    {".data[\"x\"] == \"lit\"", YES},
    {".data.\"x\" == \"lit\"", YES},
    {".[\"data\"].x == \"lit\"", YES},
    {".\"data\".\"o\".\"a b\" == 1", YES},
    {".data.o[\"a b\"] == 1", YES},
    {".data | .x == \"lit\"", YES},
    {".data | .o | .k == \"v\"", YES},
    {"(.data.x) == (\"lit\")", YES},
    {".data.missing == null", YES},
    {".data.missing != \"a\"", YES},
    {".data.missing.deeper == null", YES},
    {".data.z == null", YES},
    {".data.x.y == 1", NO},
    {".data.x.y? == 1", NO},
    {".data.n > 41 and .data.n < 43", YES},
    {".data.n >= 42.0", YES},
    {".data.n == 4.2e1", YES},
    {".data.neg == -1500", YES},
    {".data.neg < -1499.5", YES},
    {".data.big == 9007199254740992", YES}, /* as doubles */
    {".data.big == 0", NO},
    {".data.go == true", YES},
    {".data.go", YES},
    {".data.f", NO},
    {".data.t and (.data.f | not)", YES},
    {".data.f or .data.t", YES},
    {".data.f // .data.t", YES},
    {".data.missing // true", YES},
    {"(.data.missing // \"dflt\") == \"dflt\"", YES},
    {"(.data.x // \"dflt\") == \"lit\"", YES},
    {".data.d == 2", YES},
    {".data.esc == \"caf\xc3\xa9 \\\"q\\\"\"", YES},
    {".data.esc == \"caf\\u00e9 \\\"q\\\"\"", YES},
    {".data.esc | length == 8", YES},
    {".data.esc | contains(\"\xc3\xa9 \\\"\")", YES},
    {".data.l[0] == 1", YES},
    {".data.l[-1][0] == 4", YES},
    {".data.l[9] == null", YES},
    {".data.l[2].y == 3", YES},
    {".data.l[\"a\"] == 1", NO},
    {".data.l == [1,\"two\",{\"y\":3},[4]]", YES},
    {".data.l > [1,\"two\"]", YES},
    {".data.o == {\"a b\":1,k:\"v\"}", YES},
    {".data.o == {\"a b\":1}", NO},
    {".data.e == [] and .data.eo == {}", YES},
    {".data.l | contains([\"tw\"])", YES},
    {".data.o | contains({k:\"v\"})", YES},
    {".data | contains({o:{k:\"\"}, n:42})", YES},
    {".data.MESSAGE | test(\"panic\")", YES},
    {".data.MESSAGE | test(\"Panic\")", NO},
    {".data.n | test(\"4\")", NO},
    {".data.missing | test(\"4\")", NO},
    {".data.MESSAGE | startswith(\"kernel\")", YES},
    {".data.MESSAGE | endswith(\"syncing\")", YES},
    {".data.MESSAGE | endswith(\"kernel\")", NO},
    {".data.MESSAGE | contains(\"not\")", YES},
    {".data.n | contains(42)", YES},
    {".data.t | contains(false)", NO},
    {".data | has(\"x\")", YES},
    {".data | has(\"nope\")", NO},
    {".data.n | has(\"x\")", NO},
    {".data.l | length > 3", YES},
    {"(.data.l | length) == 4", YES},
    {".data.o | length == 2", YES},
    {".data.z | length == 0", YES},
    {".data.neg | length == 1500", YES},
    {".data.t | length == 1", NO},
    {".data.x | type == \"string\"", YES},
    {".data.n | type == \"number\"", YES},
    {".data.z | type == \"null\"", YES},
    {".data.t | type == \"boolean\"", YES},
    {".data | type == \"object\"", YES},
    {".meta.tags | type == \"array\"", YES},
    {".meta.tags[]? == \"important\"", YES},
    {".meta.tags[] == \"important\"", YES},
    {".meta.tags[]? == \"nope\"", NO},
    {".meta.descrips[]? == \"important\"", YES},
    {".meta.nothing == null", YES},
    {"any(.meta.tags[]; . == \"sev1\")", YES},
    {"any(.meta.tags[]?; . == \"nope\")", NO},
    {"all(.meta.tags[]; . != \"nope\")", YES},
    {".meta.tags | any(. == \"sev1\")", YES},
    {".meta.tags | all(. == \"sev1\")", NO},
    {".data.tagged | any", YES},
    {".data.e | all", YES},
    {".data.e | any", NO},
    {".data.n | any", NO},
    {".meta.tags | length == 3", YES},
    {".meta.tags | contains([\"sev1\"])", YES},
    {".meta.tags == [\"important\",\"sev1\",\"a\"]", YES},
    {".data.code | IN(500, 503)", YES},
    {".data.code | IN(500, 404)", NO},
    {".data.status | IN(\"green\")", YES},
    {".seq == 7", YES},
    {".seq > 6", YES},
    {".time == \"2026-01-02T03:04:05.6Z\"", YES},
    {".time > \"2026-01-01\"", YES},
    {".time | startswith(\"2026-01\")", YES},
    {".nothing == null", YES},
    {".data.l[] | type == \"number\"", YES},
    {".data.l[] == 99", NO},
    {".data.n[] == 1", NO},
    {".data.n[]? == 1", NO},
    {".data.o[] == 1", YES},
    {"select(.data.n == 42) | .data.x == \"lit\"", YES},
    {"select(.data.n == 43) | .data.x == \"lit\"", NO},
    {".data.l[] | select(type == \"object\") | .y == 3", YES},
    {".data.n == 1, .data.n == 42", YES},
    {".data.n < .data.code", YES},
    {"null < false and false < true and true < 0 and 0 < \"\" and \"\" < [] and [] < {}", YES},
    {"\"a\" < \"b\" and \"Z\" < \"a\" and \"\xef\xbf\xbf\" < \"\xf0\x9f\x98\x80\"", YES},
    {"true", YES},
    {"false", NO},
    {".data.x == \"lit\" # a comment", YES},
    {".data.x", USAGE},
    {".", USAGE},
    {".meta", USAGE},
    {".data.z", USAGE},
    {"true, 1", USAGE},
    {"(.data.n.y)? == 1", NO},
    {"1 == 1.0", YES},
};

/* Each way through the parser and the evaluator that the ones above do not take. */
static const struct expectation more[] = {
    {"(.data.l[] // false) == 1", YES},
    {"(.data.e[] // 5) == 5", YES},
    {"(.data.f, .data.z) // true", YES},
    {"(.data.l[].y? // 0) == 3", YES},
    {".data.l[2,2].y == 3", YES},
    {"((.data.o, .data.o) | .k) == \"v\"", YES},
    {"((.data.l, .data.l) | .[0]) == 1", YES},
    {"((.data.o, .data.n) | .k) == \"w\"", NO},
    {"(.data.l, .data.e) | length == 0", YES},
    {"(.data.l[] | type) == \"array\"", YES},
    {"(.data.t, .data.f) | not", YES},
    {"(.data.f, .data.f) and .data.t", NO},
    {"(.data.t, .data.f) and (.data.f, .data.t)", YES},
    {"(.data.f, .data.f) or (.data.f, .data.t)", YES},
    {"(.data.x, .data.status) | startswith(\"gr\")", YES},
    {"(.data.x, .data.status) | endswith(\"zz\")", NO},
    {"(.data.x, .data.n) | contains(\"z\")", NO},
    {"(.data.x, .data.status) | test(\"een\")", YES},
    {"(.data.o, .data.eo) | has(\"k\")", YES},
    {"(.data.n, .data.code) | IN(503, 504)", YES},
    {"any(.data.l[]; type == \"object\")", YES},
    {"all(.data.l[]; .y? == 3)", YES},
    {"any(.data.n[]; . == 1)", NO},
    {"any(.data.l[], .data.missing; . == null)", YES},
    {".data.l | any(type == \"array\")", YES},
    {"[.data.n] == [42]", YES},
    {"-1500 == .data.neg and -0 == 0", YES},
    {"{} == .data.eo and [] == .data.e and [[],{}] != .data.l", YES},
    {"{\"a\":[1,{b:-2.5e3}],c:null,d:true,e:false} != .data.o", YES},
    {".data.l[-9] == null and .data.l[3][0] == 4", YES},
    {".data[\"o\"][\"a b\"] == 1 and .data.o.\"k\" == \"v\"", YES},
    {".data.o[\"k\"]? == \"v\" and .data.\"n\"? == 42", YES},
    {".data.l[0]? == 1 and .data.n[0]? == 1", NO},
    {".data.x < .data.status and .data.l < .data.o and .data.e < .data.l", NO},
    {".data.o < .data and .data.eo < .data.o and .data.o <= .data.o", NO},
    {".data.esc > .data.x or .data.esc < .data.x", YES},
    {".data.o | contains({k:1})", NO},
    {".data.l | contains([[4],{}])", YES},
    {".data.l | contains([9])", NO},
    {".data.o | contains({zz:\"\"})", NO},
    {".data.z | contains(null)", YES},
    {".data.t | contains(true)", YES},
    {".data.x | contains(1)", NO},
    {".data.z | length < 1 and (.data.eo | length == 0)", YES},
    {".data.x | startswith(1)", NO},
    {".data.n | endswith(\"2\")", NO},
    {".data.l | has(\"x\")", NO},
    {".data | has(\"d\") and has(\"esc\")", YES},
    {".meta | has(\"tags\") and length == 1", YES},
    {".meta.tags[0] == \"important\" and .meta.tags[-1] == \"a\"", YES},
    {"\"\\u0041\\n\\t\\\\\\/\\b\\f\\r\" != .data.x", YES},
    {".data.n == 42 and (.data.l | length) > 3 and (.data.x | type) == \"string\"", YES},
};

/* Natively where that can be, and by libjq: the answer is the same. */
static void test_rarer_expressions_are_matched_alike(void **state)
{
    (void)state;
    const bool with_jq = has_module();
    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        scoped(filter_free) struct filter *filter = NULL;
        assert_int_equal(filter_new(more[i].expression, &filter, &err), 0);
        if (filter_is_native(filter))
            expect_new_and_match(more[i].expression, true, more[i].expected);
        if (with_jq)
            expect_new_and_match(more[i].expression, false, more[i].expected);
    }
}

/* What the native matcher takes, libjq takes, and with the same answer. Of the many, some. */
static void expect_both_or_neither(const char *expression, size_t *n_native, bool with_jq)
{
    struct native *native = NULL;
    assert_int_equal(native_new(view_str(expression), &native), 0);
    if (native == NULL)
        return;
    const int answer = native_match(native, some_message());
    native_free(native);
    if (!with_jq || strstr(expression, "//") != NULL || (*n_native)++ % 200 != 0)
        return; /* what // catches depends on the version of libjq */
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;
    if (filter_new_jq(expression, &filter, &err) < 0)
        fail_msg("only the native matcher takes %s", expression);
    const int result = filter_match(filter, some_message(), &err);
    const int expected = answer == NATIVE_MATCH ? YES : answer == NATIVE_NO_MATCH ? NO : USAGE;
    expect_message(expression, filter, result, expected, err);
}

/* Every expression above, broken off after each byte, and without each byte. */
static void test_expressions_broken_anywhere_are_taken_by_both_or_by_libjq(void **state)
{
    (void)state;
    const bool with_jq = has_module();
    size_t n_native = 0;
    char text[256];
    for (size_t i = 0; i < sizeof(simple) / sizeof(*simple) + sizeof(more) / sizeof(*more); i++) {
        const size_t n_simple = sizeof(simple) / sizeof(*simple);
        const char *whole = i < n_simple ? simple[i].expression : more[i - n_simple].expression;
        for (size_t len = 0; len < strlen(whole); len++) {
            snprintf(text, sizeof(text), "%.*s", (int)len, whole);
            expect_both_or_neither(text, &n_native, with_jq);
            snprintf(text, sizeof(text), "%.*s%s", (int)len, whole, whole + len + 1);
            expect_both_or_neither(text, &n_native, with_jq);
        }
    }
}

/* What is too deep, too long or too much for the native matcher is left to libjq, or refused. */
static void test_expressions_of_any_size_are_survived(void **state)
{
    (void)state;
    static const struct {
        const char *open, *middle, *close;
    } parts[] = {{"(", "true", ")"}, {"[", "1", "]"}, {"{a:", "1", "}"}, {"-", "1", ""},
        {".data|", "true", ""}, {"true and ", "true", ""}, {"(true // ", "false", ")"},
        {"select(", "true", ")"}, {"true,", "true", ""}, {".data", "", ""}, {"\"a\"==", "1", ""}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        for (size_t n = 1; n <= 4096; n *= 4) {
            scoped(buf_fini) struct buf buf = {0};
            struct native *native = NULL;
            for (size_t k = 0; k < n; k++)
                assert_int_equal(buf_append_str(&buf, parts[i].open), 0);
            assert_int_equal(buf_append_str(&buf, parts[i].middle), 0);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(buf_append_str(&buf, parts[i].close), 0);
            assert_int_equal(native_new(buf_view(&buf), &native), 0);
            if (native != NULL)
                native_match(native, some_message());
            native_free(native);
        }
    }
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;
    char *huge = malloc(LIMIT_RECORD_BYTES + 2);
    assert_non_null(huge);
    memset(huge, ' ', LIMIT_RECORD_BYTES + 1);
    huge[LIMIT_RECORD_BYTES + 1] = 0;
    assert_int_equal(filter_new(huge, &filter, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    free(huge);
}

static void test_simple_expressions_are_matched_natively(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
        expect_new_and_match(simple[i].expression, true, simple[i].expected);
}

static void test_jq_answers_the_same(void **state)
{
    (void)state;
    if (!has_module())
        skip();
    for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
        expect_new_and_match(simple[i].expression, false, simple[i].expected);
}

/* Everything the contract promises beyond what is simple. */
static const struct expectation full[] = {
    {".data.x | test(\"^l.t$\")", YES},
    {".data.x | test(\"LIT\"; \"i\")", YES},
    {".data.MESSAGE | test(\"not\\\\s+sync\")", YES},
    {".data.n + 1 == 43", YES},
    {".data.n % 5 == 2 and -(.data.n) == -42", YES},
    {"if .data.n > 1 then true else false end", YES},
    {"if .data.n < 1 then false elif .data.t then true else false end", YES},
    {"try error(\"x\") catch . == \"x\"", YES},
    {"reduce .data.tagged[] as $t (\"\"; . + $t) | . == \"ab\"", YES},
    {"[foreach (1,2,3) as $i (0; . + $i)] == [1,3,6]", YES},
    {". as {data: {n: $n}} | $n == 42", YES},
    {"def f(x): x * 2; f(.data.n) == 84", YES},
    {"label $out | (true, break $out, 1)", YES},
    {"(.data.n |= . + 1 | .data.n) == 43", YES},
    {"[.data.l[1:3][]] | length == 2", YES},
    {".data.x[1:] == \"it\"", YES},
    {"[..] | length > 10", YES},
    {"\"\\(.data.n)!\" == \"42!\"", YES},
    {"{a: 1, input: 2, env: 3} | .env == 3 and .input == 2", YES},
    {"[.data.n, 1] | sort == [1, 42] and min == 1 and max == 42", YES},
    {".data.x | ascii_upcase == \"LIT\" and ascii_downcase == \"lit\"", YES},
    {".data.x | ltrimstr(\"l\") == \"it\" and rtrimstr(\"t\") == \"li\"", YES},
    {"\" a b \" | trim == \"a b\" and ltrim == \"a b \" and rtrim == \" a b\"", YES},
    {"(-3 | abs) == 3 and (3 | abs) == 3", YES},
    {"(3.7 | floor) == 3 and (3.2 | ceil) == 4 and (3.5 | round) == 4", YES},
    {"[limit(2; 1, 2, 3)] == [1, 2] and [limit(0; 1, 2)] == []", YES},
    {"[first(range(5; 9))] == [5] and ([last(1, 2)] == [2]) and (nth(1; 7, 8) == 8)", YES},
    {"[range(0; 6; 2)] == [0, 2, 4]", YES},
    {".data.x | explode | implode == \"lit\"", YES},
    {".data.esc | utf8bytelength == 9", YES},
    {"[3, 1, 2] | reverse == [2, 1, 3] and sort_by(-.) == [3, 2, 1]", YES},
    {"[{a: 1}, {a: 2}] | group_by(.a) | length == 2", YES},
    {"[1, 1, 2] | unique == [1, 2] and add == 4 and unique_by(. % 2) == [2, 1]", YES},
    {"[{a: 1}, {a: 2}] | min_by(.a).a == 1 and max_by(.a).a == 2", YES},
    {".data.o | to_entries | length == 2", YES},
    {".data.o | with_entries(.value |= tostring) | .[\"a b\"] == \"1\"", YES},
    {"[{key: \"k\", value: 1}] | from_entries == {k: 1}", YES},
    {"[[1, [2]]] | flatten == [1, 2] and flatten(1) == [1, [2]]", YES},
    {"[.data.o | keys[]] == [\"a b\", \"k\"]", YES},
    {"\"k\" as $k | .data.o | has($k) and (\"k\" | in({k: 1}))", YES},
    {"[.data.l[] | numbers] == [1] and ([1, 2] | map(. + 1) == [2, 3])", YES},
    {"(\"1\" | tonumber) == 1 and (1 | tostring) == \"1\" and ([1] | tojson | fromjson) == [1]",
        YES},
    {"[\"a\", \"b\"] | join(\",\") == \"a,b\"", YES},
    {"(\"a,b\" | split(\",\")) == [\"a\", \"b\"] and ([\"a1b\" | splits(\"[0-9]\")] == [\"a\", "
     "\"b\"])",
        YES},
    {"(\"abcb\" | index(\"b\")) == 1 and (\"abcb\" | rindex(\"b\")) == 3 and (\"abcb\" | "
     "indices(\"b\")) == [1, 3]",
        YES},
    {"(\"foo\" | sub(\"o\"; \"0\")) == \"f0o\" and (\"foo\" | gsub(\"o\"; \"0\")) == \"f00\"", YES},
    {"\"a1\" | capture(\"(?<n>[0-9])\").n == \"1\"", YES},
    {"[\"a1b2\" | scan(\"[0-9]\")] == [\"1\", \"2\"] and (\"xay\" | match(\"a\").offset == 1)",
        YES},
    {"\"a\" | inside(\"cat\")", YES},
    {"isempty(empty) and (isempty(1) | not)", YES},
    {"del(.data.x).data.x == null and (getpath([\"data\", \"n\"]) == 42)", YES},
    {"[paths] | length > 5", YES},
    {"(4 | sqrt) == 2 and pow(2; 3) == 8 and (1 | log) == 0", YES},
    {"now > 0 and (\"2015-03-05T23:51:47Z\" | fromdate) == 1425599507", YES},
    {"(0 | todate) == \"1970-01-01T00:00:00Z\" and (0 | strftime(\"%Y\")) == \"1970\"", YES},
    {"(\"1970\" | strptime(\"%Y\") | .[0]) == 1970", YES},
    {"(65 | ascii) == \"A\"", YES},
    {"([1] | @json) == \"[1]\" and ([1] | @text) == \"[1]\" and (\"a\" | @base64) == \"YQ==\"",
        YES},
    {"any(.data.l[]; . == 1) and all(.data.l[]; . != 9)", YES},
    {"(1 | toarray) == [1] and ({a: 1, b: 2} | pick(.a)) == {a: 1}", YES},
    {"\"abc\" | gsub(\"\"; \"-\") | startswith(\"-a-b-c\")", YES},
    {"(\"abc\" | gsub(\"^\"; \"> \")) == \"> abc\"", YES},
    {"(\"aXbx\" | gsub(\"x\"; \"-\"; \"i\")) == \"a-b-\"", YES},
    {"[\"aa\" | sub(\"(?<l>a)\"; \"\\(.l)b\", \"c\")] == [\"aba\", \"ca\"]", YES},
    {"\"Ã©"
     "aÃ©\" | gsub(\"a\"; \"\") == \"Ã©Ã©\"",
        YES},
    {"(\"a\" | indices(\"\")) == null and (\"a\" | index(\"\")) == null", YES},
    {"1e300 | todate == \"\"", NO},
    {"(-9223372036854775808 % -1) == 0 and (1e300 % -1) == 0 and (nan % -1.5) == 0", YES},
    {"([(5, 7) % (2, 3)]) == [1, 1, 2, 1] and (.data.n % -5) == 2 and (-7 % 3) == -1", YES},
    {"(.data.n %= -1 | .data.n) == 0 and (.data.n %= 5 | .data.n) == 2", YES},
    {"(5 % 0) == 0", NO},
    {"(.data.x % -1) == 0", NO},
    {"nan | strftime(\"%Y\") == \"\"", NO},
    {"0 | strftime(1) == \"\"", NO},
    {"1e1000 | strflocaltime(\"%Y\") == \"\"", NO},
    {"empty", NO},
    {"true, error(\"x\")", NO},
    {"error(\"x\")", NO},
    {".data.n + .data.x", NO},
    {".data.n + 1", USAGE},
    {"null", USAGE},
    {".meta.descrips == .meta.tags and (.meta | length) == 2", YES},
    {"(.meta | length) == 1 and (keys == [\"data\", \"meta\", \"seq\", \"time\"])", YES},
};

static void test_the_whole_language_works(void **state)
{
    (void)state;
    if (!has_module())
        skip();
    for (size_t i = 0; i < sizeof(full) / sizeof(*full); i++)
        expect_new_and_match(full[i].expression, false, full[i].expected);
}

static void expect_invalid(const char *expression, const char *cause, const char *hint)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    struct filter *filter = NULL;

    if (filter_new(expression, &filter, &err) == 0)
        print_error("%s was accepted\n", expression);
    assert_null(filter);
    assert_non_null(err);
    if (err->kind != PLSM_ERROR_USAGE)
        print_error("%s: %s\n", expression, err->message);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(err->message, "invalid filter expression");
    assert_non_null(strstr(error_hint_of(err), expression));
    if (cause != NULL)
        assert_string_equal(error_cause_of(err), cause);
    if (hint != NULL && strstr(error_hint_of(err), hint) == NULL)
        print_error("%s: %s\n", expression, error_hint_of(err));
    if (hint != NULL)
        assert_non_null(strstr(error_hint_of(err), hint));
}

/* Told without libjq, with the place. */
static void test_what_is_no_expression_is_refused(void **state)
{
    (void)state;
    expect_invalid(".data.x == \"lit", "this string is not closed", "at column 12");
    expect_invalid("(.data.x == 1", "this bracket is not closed", "at column 1,");
    expect_invalid(".data.x] == 1", "this bracket closes nothing", "at column 8");
    expect_invalid("(.data.x] == 1", "this bracket does not match the one it closes", "column 9");
    expect_invalid(".data.x == 'lit'", "unexpected character", "at column 12");
    expect_invalid(".data.x & true", "unexpected character", "at column 9");
    expect_invalid("\"\\(.a\"", NULL, NULL);
    expect_invalid("", "it is empty", NULL);
    expect_invalid("  # nothing", "it is empty", NULL);
}

static void test_what_filters_do_not_have_is_refused(void **state)
{
    (void)state;
    static const char *const expressions[] = {"input", "[inputs]", "env.HOME == \"\"",
        "$ENV.HOME == \"\"", "$ ENV | .HOME", "import \"a\" as a; true", "include \"a\"; true",
        "input_filename == null", "input_line_number == 0", "debug | true", "stderr | true", "halt",
        "\"x\" | halt_error", "get_search_list", "\"a\" | modulemeta", "$__prog_args",
        "\"\\(input)\" == \"\"", "\"\\(\"\\(env)\")\" == \"\"", "{a: input} | true",
        "{a: 1, b: (1, env)} | true", "_input", ". as $x | env | true"};

    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        expect_invalid(expressions[i], NULL, "is not available in filters");
    }
}

static void test_names_that_only_look_unavailable_are_accepted(void **state)
{
    (void)state;
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;

    assert_int_equal(filter_new(".data.env == \"input\" # debug", &filter, &err), 0);
    assert_true(filter_is_native(filter));
    if (!has_module())
        return;
    expect_new_and_match(
        ". as $env | {env: 1, input: $env} | {input} | has(\"input\")", false, YES);
}

static void test_syntax_errors_are_told(void **state)
{
    (void)state;
    if (!has_module())
        skip();
    expect_invalid(".data.x ==", NULL, "at its end");
    expect_invalid(".data.x == 1 == 2", NULL, NULL);
    expect_invalid(".data.x | tset(\"a\")", "tset/1 is not defined", "at column 11");
    expect_invalid(".a .. b", NULL, NULL);
    expect_invalid("$nope == 1", "$nope is not defined", NULL);
    expect_invalid("if true then true", NULL, NULL);
    expect_invalid(".data.x = = 1", NULL, NULL);
    expect_invalid(".[", NULL, NULL);
}

static void test_tags_may_be_absent(void **state)
{
    (void)state;
    static const char *const expressions[] = {".meta.tags == []", ".meta.tags | length == 0",
        "(.meta.tags | length) + 0 == 0", "all(.meta.tags[]; . == \"x\")"};
    const struct filter_message message = {.seq = 1, .data = view_str("{}")};

    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        scoped(filter_free) struct filter *filter = NULL;
        if (i == 2 && !has_module())
            continue;
        assert_int_equal(filter_new(expressions[i], &filter, NULL), 0);
        assert_int_equal(filter_match(filter, &message, NULL), FILTER_MATCH);
    }
}

/* What raises an error on the left of // yields the right side. */
static void test_alternative_catches_errors(void **state)
{
    (void)state;
    expect_new_and_match(".data.x.y // true", true, YES);
    expect_new_and_match("(.data.l[].y // 9) == 9", true, YES);
    expect_new_and_match("(.data.n | test(\"x\")) // .data.t", true, YES);
}

static void *interrupt_later(void *filter)
{
    /* The match has begun or will begin: either way it ends. */
    filter_interrupt(filter);
    return NULL;
}

static void test_an_endless_filter_can_be_interrupted(void **state)
{
    (void)state;
    scoped(filter_free) struct filter *filter = NULL;
    pthread_t thread;

    if (!has_module())
        skip();
    assert_int_equal(filter_new("last(range(1e18)) == 2", &filter, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_later, filter), 0);
    assert_int_equal(filter_match(filter, some_message(), NULL), FILTER_INTERRUPTED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    filter_interrupt(filter);
    assert_int_equal(filter_match(filter, some_message(), NULL), FILTER_INTERRUPTED);
}

/* Deeper than libjq's own parser goes. */
static void test_deep_values_match(void **state)
{
    (void)state;
    static char data[4096];
    size_t len = 0;

    len += (size_t)snprintf(data, sizeof(data), "{\"a\":");
    for (int i = 0; i < 1000; i++)
        data[len++] = '[';
    for (int i = 0; i < 1000; i++)
        data[len++] = ']';
    data[len++] = '}';
    const struct filter_message message = {.seq = 1, .data = view_of(data, len)};
    for (int native = 0; native < 2; native++) {
        scoped(filter_free) struct filter *filter = NULL;
        if (!native && !has_module())
            continue;
        const char *expression = ".data.a == .data.a and .data == .data";
        if (native)
            assert_int_equal(filter_new(expression, &filter, NULL), 0);
        else
            assert_int_equal(filter_new_jq(expression, &filter, NULL), 0);
        assert_int_equal(filter_match(filter, &message, NULL), FILTER_MATCH);
    }
}

/* Damaged text matches nothing, or something: it must only be survived. */
static void test_damaged_messages_are_survived(void **state)
{
    (void)state;
    static const char *const datas[] = {"", "{", "{\"x\":", "{\"x\":\"", "{\"x\"", "x", "[[[[",
        "{\"l\":[1,2}", "{\"x\":\"\\u12\"}", "}{", "{\"x\":1]"};
    static const char *const expressions[] = {".data.x == \"lit\"", ".data == .data",
        ".data.l[] == 1", ".data | contains({x: \"a\"})", ".data.x | length > 0",
        ".data[] | test(\"a\")", ".data.l[-1] == 1", "any(.data[]; . == 1)",
        ".meta.tags[] == \"a\""};

    for (size_t e = 0; e < sizeof(expressions) / sizeof(*expressions); e++) {
        for (int native = 0; native < 2; native++) {
            scoped(filter_free) struct filter *filter = NULL;
            if (!native && !has_module())
                continue;
            assert_int_equal(
                (native ? filter_new : filter_new_jq)(expressions[e], &filter, NULL), 0);
            for (size_t i = 0; i < sizeof(datas) / sizeof(*datas); i++) {
                const struct filter_message message = {
                    .seq = 1, .data = view_str(datas[i]), .tags = view_str(datas[i])};
                assert_true(filter_match(filter, &message, NULL) != FILTER_INTERRUPTED);
            }
        }
    }
}

TESTS(test_expressions_broken_anywhere_are_taken_by_both_or_by_libjq,
    test_expressions_of_any_size_are_survived, test_rarer_expressions_are_matched_alike,
    test_simple_expressions_are_matched_natively, test_jq_answers_the_same,
    test_the_whole_language_works, test_what_is_no_expression_is_refused,
    test_what_filters_do_not_have_is_refused, test_names_that_only_look_unavailable_are_accepted,
    test_syntax_errors_are_told, test_tags_may_be_absent, test_alternative_catches_errors,
    test_an_endless_filter_can_be_interrupted, test_deep_values_match,
    test_damaged_messages_are_survived)

/* Simple expressions at the limits of the native matcher: a tree with no room for another node,
 * brackets as deep as they may be. */
#include "base/buf.h"
#include "base/test.h"
#include "json/filter.h"
#include "json/filter_native.h"

static const char some_data[] = "{\"t\":true,\"n\":42,\"x\":\"lit\",\"l\":[1,\"two\",{\"y\":3}],"
                                "\"o\":{\"k\":\"v\",\"a b\":1}}";

/* Each matches, and has its last node made by another function than the others. */
static const char *const matching[] = {
    ".data.t",
    ".data.l[0] == 1",
    ".data.l[0]? == 1",
    "(.data.l[] == 1)",
    "(.data.l[]? == 1)",
    ".[\"data\"].t",
    ".data.\"n\"? == 42",
    "(.data | .t)",
    "(.data.t, .data.t)",
    "(.data.t // (1 == 2))",
    "(.data.t or (1 == 2))",
    "(.data.t and .data.t)",
    "(.data.n >= 42)",
    "(.data.n?) == 42",
    "(.data.t | not | not)",
    "(.data.x | length) == 3",
    "(.data.x | type) == \"string\"",
    "(.data | has(\"t\"))",
    "(.data.x | test(\"i\"))",
    "(.data.l | any(. == 1))",
    "any(.data.l[]; . == 1)",
    "all(.data.l[]; . != 7)",
    "(.data.n | IN(1, 42))",
    "(.data.t | select(.))",
    "(.data.l | contains([1]))",
    "(.data.x | startswith(\"l\"))",
    "(.data.x | endswith(\"t\"))",
    ".meta.tags == [\"a\"]",
    "((.data, .data) | .t)",
    "((.meta | .tags) | any(. == \"a\"))",
    "((. | .meta) | .tags[0]) == \"a\"",
    "(. | .data | .t)",
    ".seq == 7 and .time != \"\"",
    "(.data.l | any)",
    "(select(.data.t) | .data.t)",
};

/* NULL: the matcher leaves it to libjq. */
static struct native *make(const struct buf *text)
{
    struct native *native = NULL;
    assert_int_equal(native_new(buf_view(text), &native), 0);
    return native;
}

static enum { LEFT, MATCHED } expect_match_or_leave(const char *odd, size_t n, const char *last)
{
    const struct filter_message message = {
        .seq = 7, .tags = view_str("[\"a\"]"), .data = view_str(some_data)};
    scoped(buf_fini) struct buf text = {0};

    assert_int_equal(buf_append_str(&text, odd), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_append_str(&text, "true and "), 0);
    assert_int_equal(buf_append_str(&text, last), 0);
    struct native *native = make(&text);
    if (native == NULL)
        return LEFT;
    const int r = native_match(native, &message);
    native_free(native);
    if (r != NATIVE_MATCH)
        fail_msg("%s does not match behind %zu others", last, n);
    return MATCHED;
}

/* However many nodes come before: the same answer, until there is no room for all. */
static void test_a_full_tree_is_left_to_libjq(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(matching) / sizeof(*matching); i++) {
        if (expect_match_or_leave("", 0, matching[i]) == LEFT)
            fail_msg("%s is not simple", matching[i]);
        for (int odd = 0; odd < 2; odd++) {
            bool fits = true;
            for (size_t n = 0; n <= NATIVE_NODES_MAX / 2; n++) {
                const bool matched =
                    expect_match_or_leave(odd ? ".data.t and " : "", n, matching[i]) == MATCHED;
                assert_true(fits || !matched); /* with more before it, it does not fit again */
                fits = matched;
            }
            assert_false(fits);
        }
    }
}

/* Without libjq installed there is nothing to compare with. */
static bool has_module(void)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;
    return filter_new_jq("true", &filter, &err) == 0;
}

/* -1: an error; whether it matches otherwise. */
static int match_native(const char *expression, const struct filter_message *message)
{
    struct native *native = NULL;
    assert_int_equal(native_new(view_str(expression), &native), 0);
    if (native == NULL)
        fail_msg("%s is not simple", expression);
    const int r = native_match(native, message);
    native_free(native);
    return r == NATIVE_MATCH ? FILTER_MATCH : r == NATIVE_NO_MATCH ? FILTER_NO_MATCH : -1;
}

/* Errors swallowed beside, below and within what has several outputs; functions with several
 * arguments in turn. All of them simple, and answered as by libjq. */
static const char *const alike[] = {
    "(.data.l[])? == 1",
    "(.data.n[])? == 1",
    "(.data.l[] | .y)? == 3",
    "(.data.l[2].y | . == 3)?",
    "any(.data.l[]?; . == 1)",
    "select(.data.l[] == 1) | .data.t",
    "(.data.x | select(true, true)) == \"lit\"",
    ".data.x | startswith(\"l\", \"z\")",
    ".data.x | endswith(\"z\", \"t\")",
    ".data.l | contains([1], [7])",
    ".data.n | IN((1, 42) | .)",
    "(.data.l, .data.o) == (.data.o, .data.l)",
    "(.data.n, .data.x) < (.data.x, 43)",
    "(.data.n == 42)? and (.data.t, .data.t)",
    "(.data.t, .data.t) and (.data.n == 42)?",
    "(.data.t, .data.t) | (. == true)?",
    "((.data.t)?, .data.t)",
    "(.data.t, (.data.x)?) == true",
    "any(.data.l[]; (. == 1)?)",
    "((.data.t, .data.t) | not)? == (1 == 2)",
    "(.data.l | .[0])? == 1 or (.data.t, .data.t)",
    "(.data.l[] | (type)?) == \"number\"",
    "(.meta.tags[] | (length)?) == 1",
};

static void test_swallowed_errors_and_many_outputs_as_in_libjq(void **state)
{
    (void)state;
    const struct filter_message message = {
        .seq = 7, .tags = view_str("[\"a\"]"), .data = view_str(some_data)};
    const bool with_jq = has_module();
    for (size_t i = 0; i < sizeof(alike) / sizeof(*alike); i++) {
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        scoped(filter_free) struct filter *filter = NULL;
        const int native = match_native(alike[i], &message);
        if (!with_jq)
            continue;
        assert_int_equal(filter_new_jq(alike[i], &filter, &err), 0);
        const int jq = filter_match(filter, &message, &err);
        if (jq != native)
            fail_msg("%s: %d natively, %d by libjq", alike[i], native, jq);
    }
}

/* Valid or not, for whatever reason: no simple expression. */
static void test_what_is_not_simple_is_left_to_libjq(void **state)
{
    (void)state;
    static const char *const expressions[] = {".meta[0] == 1", ".[0] == 1", ".[] == 1",
        ".\"\\ud800\" == 1", ".data.\"\\ud800\" == 1", ".data[\"\\ud800\"] == 1", ".? == 1",
        ".meta? == 1", "{a::b:1} == .data", "{a b:1} == .data", "{1:1} == .data", "{\"a\" 1} == 1",
        ".data.l[1.5] == 1", ".data.l[9999999999] == 1", ".data.l[-9999999999] == 1",
        ".data.l[99999999999999999999] == 1", ".data.l[1 == 1", ".data[\"l\" == 1", "any(1; 2; 3)",
        "any(.data.l[]; 1", "any(.; 1)", "any(.data.l[]; .data[])", "any(", "any(.meta; true)",
        "1 | contains(", "IN(1)", ".data | (. | IN(1", "select(.meta)", ".data | length(1)",
        ".data | not(1)", ".data | test(\"a\\u0000\")", ".data | test(\"a.\")", ".data | test(1)",
        ".data | has(1)", ".data | test(\"\")", "01 == 1", "1. == 1", "1.e1 == 1", "[1.] == .data",
        "[-\"a\"] == .data", "- == 1", "[01] == 1", ". == 1", "1 == .", ". // 1", "1 // .", "., 1",
        "1, .", ". and true", "true and .", "1 == ", "1 // ", "1, ", "1 | ", "(1", "[1, ] == 1",
        "[1 == 1", "{a:1 == 1", "{a:} == 1", "length", "not", "@base64 == 1", "a::b == 1",
        ".data | a::b == 1", ".a::b == 1"};
    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        struct native *native = NULL;
        assert_int_equal(native_new(view_str(expressions[i]), &native), 0);
        if (native != NULL)
            fail_msg("%s is simple", expressions[i]);
    }
}

/* Brackets, and what has none, as deep as can be and one deeper. */
static void test_depth_has_its_limits(void **state)
{
    (void)state;
    static const struct {
        const char *open, *middle, *close;
    } parts[] = {
        {"(", "true", ")"}, {"1 // ", "true", ""}, {"[", "1", "]"}, {"true | ", "true", ""}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        bool fits = true;
        for (int depth = 1; depth <= 140; depth++) {
            scoped(buf_fini) struct buf text = {0};
            for (int k = 0; k < depth; k++)
                assert_int_equal(buf_append_str(&text, parts[i].open), 0);
            assert_int_equal(buf_append_str(&text, parts[i].middle), 0);
            for (int k = 0; k < depth; k++)
                assert_int_equal(buf_append_str(&text, parts[i].close), 0);
            struct native *native = make(&text);
            assert_true(fits || native == NULL);
            fits = native != NULL;
            native_free(native);
        }
        assert_false(fits);
    }
    char brackets[140] = "";
    memset(brackets, '(', sizeof(brackets) - 1);
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;
    assert_int_equal(filter_new(brackets, &filter, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(error_cause_of(err), "too many open brackets");
}

/* What takes time in proportion to the message, and what is too dear to know. */
static void test_bounded_expressions_are_known(void **state)
{
    (void)state;
    static const char *const bounded[] = {".data.l[] == 1", "1 == .data.l[]", ".data.n | IN(1, 2)",
        ".data.n | IN(1, (2, null))", "any(.data.l[]; . == 1)", "any(.data.l[]; any(.; . == 1))",
        ".data.l | contains([1])", "(.data.n)? == 1", ".data.l[0] == 1",
        "select(.data.t) | .data.t", ".data.n == 1 // .data.t"};
    static const char *const dear[] = {".data == .data", "[1] == .data.l", "{} == .data.o",
        ".data.n | IN([1])", ".data.n | IN(1, [1])", ".data.n | IN([1], 1)",
        "any(.data.l[]; any(.[]?; . == 1))", "any((1, 2); . == 1)", "any(.data.l[]; . == .)",
        ".data.l | contains(.)", "(1, 1) == 1", "1 == (1, 1)", ".data.l[] == 1 and .data.l[] == 1",
        "any(.data.l[]; . == 1) and .data.l[] == 1", "any(.data.l[]; any((1, 2); . == 1))",
        "any(.data.l[]; any(.; . == .))", "(true, true) and true", "true and (true, true)"};
    for (size_t i = 0; i < sizeof(bounded) / sizeof(*bounded) + sizeof(dear) / sizeof(*dear); i++) {
        const size_t n_bounded = sizeof(bounded) / sizeof(*bounded);
        const char *expression = i < n_bounded ? bounded[i] : dear[i - n_bounded];
        struct native *native = NULL;
        assert_int_equal(native_new(view_str(expression), &native), 0);
        if (native == NULL)
            fail_msg("%s is not simple", expression);
        if (native_is_bounded(native) != (i < n_bounded))
            fail_msg("%s is taken for %s", expression, i < n_bounded ? "dear" : "bounded");
        native_free(native);
    }
    scoped(buf_fini) struct buf text = {0};
    assert_int_equal(buf_append_str(&text, ".data.x | contains(\""), 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(buf_append_str(&text, "a"), 0);
    assert_int_equal(buf_append_str(&text, "\")"), 0);
    struct native *native = make(&text);
    assert_non_null(native);
    assert_false(native_is_bounded(native));
    native_free(native);
}

static void expect_data(const char *expression, const char *data, int expected)
{
    scoped(filter_free) struct filter *filter = NULL;
    const struct filter_message message = {.seq = 7, .data = view_str(data)};

    assert_int_equal(filter_new(expression, &filter, NULL), 0);
    assert_true(filter_is_native(filter));
    if (filter_match(filter, &message, NULL) != expected)
        fail_msg("%s of %s", expression, data);
}

/* Of equal names the last value counts, also where there is no other name; however many there are,
 * and however they are written. */
static void test_equal_names_count_once(void **state)
{
    (void)state;
    static const char *const objects[] = {"{\"d\":1,\"d\":2}", "{\"d\":1,\"d\":1,\"d\":2}",
        "{\"d\":1,\"\\u0064\":2}", "{\"\\u0064\":1,\"d\":2}"};
    for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
        expect_data("(.data | length) == 1", objects[i], FILTER_MATCH);
        expect_data("any(.data[]; . == 1)", objects[i], FILTER_NO_MATCH);
        expect_data("all(.data[]; . == 2)", objects[i], FILTER_MATCH);
    }
    /* in the place of the first one: before what raises an error, and behind it */
    expect_data(
        "((.data[] | .y) // 7) == 1", "{\"z\":{\"y\":0},\"a\":\"\",\"z\":{\"y\":1}}", FILTER_MATCH);
    expect_data("((.data[] | .y) // 7) == 1", "{\"a\":\"\",\"z\":{\"y\":0},\"z\":{\"y\":1}}",
        FILTER_NO_MATCH);
    for (int n = 1; n < 40; n++) {
        char data[400] = "{\"last\":0", expression[100];
        for (int i = 0; i < n; i++) {
            const size_t len = strlen(data);
            snprintf(data + len, sizeof(data) - len, ",\"%d\":%d", i, i + 1);
        }
        memcpy(data + strlen(data), "}", 2);
        snprintf(expression, sizeof(expression), "(.data | length) == %d", n + 1);
        expect_data(expression, data, FILTER_MATCH);
        memcpy(data + strlen(data) - 1, ",\"last\":77}", sizeof(",\"last\":77}"));
        expect_data(expression, data, FILTER_MATCH);
        expect_data("any(.data[]; . == 0)", data, FILTER_NO_MATCH);
        expect_data("any(.data[]; . == 77)", data, FILTER_MATCH);
    }
}

TESTS(test_a_full_tree_is_left_to_libjq, test_swallowed_errors_and_many_outputs_as_in_libjq,
    test_what_is_not_simple_is_left_to_libjq, test_depth_has_its_limits,
    test_bounded_expressions_are_known, test_equal_names_count_once)

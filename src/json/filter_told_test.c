/* What is said of expressions that are none, to the letter; and what libjq 1.6 reads only because
 * it is rewritten for it. */
#include "json/filter.h"

#include "base/test.h"

static bool has_module(void)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;

    if (filter_new_jq("true", &filter, &err) == 0)
        return true;
    print_message("libjq is not installed\n");
    return false;
}

static void expect_told(const char *expression, const char *cause, const char *hint)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    struct filter *filter = NULL;

    if (filter_new(expression, &filter, &err) != -1)
        fail_msg("%s was accepted", expression);
    assert_null(filter);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(err->message, "invalid filter expression");
    if (cause != NULL)
        assert_string_equal(error_cause_of(err), cause);
    if (hint != NULL) {
        assert_string_equal(error_hint_of(err), hint);
        return;
    }
    char at_its_end[1000]; /* whatever libjq calls it */
    snprintf(
        at_its_end, sizeof(at_its_end), "in '%s', at its end: %s", expression, error_cause_of(err));
    assert_string_equal(error_hint_of(err), at_its_end);
}

static void test_hints_name_the_place(void **state)
{
    (void)state;
    expect_told("", "it is empty", "in '': it is empty");
    expect_told(" # no", "it is empty", "in ' # no': it is empty");
    expect_told(".a == \"lit", "this string is not closed",
        "in '.a == \"lit', at column 7, '\"lit': this string is not closed");
    expect_told("(.a", "this bracket is not closed",
        "in '(.a', at column 1, '(.a': this bracket is not closed");
    expect_told(".a]", "this bracket closes nothing",
        "in '.a]', at column 3, ']': this bracket closes nothing");
    expect_told(".a | input", "input is not available in filters",
        "in '.a | input', at column 6, 'input': input is not available in filters");
    expect_told("$ENV | .a", "$ENV is not available in filters",
        "in '$ENV | .a', at column 2, 'ENV | .a': $ENV is not available in filters");
}

/* What matches no boolean shows how it could be compared. */
static void test_hints_show_a_comparison(void **state)
{
    (void)state;
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;
    const struct filter_message message = {.seq = 1, .data = view_str("{\"n\":1}")};

    assert_int_equal(filter_new(".data.n", &filter, &err), 0);
    assert_int_equal(filter_match(filter, &message, &err), -1);
    assert_string_equal(err->message, "filter expression must yield booleans");
    assert_string_equal(
        error_hint_of(err), "'.data.n' yields something else; compare it: '(.data.n) == ...'");
}

static void test_hints_name_the_place_that_libjq_means(void **state)
{
    (void)state;
    if (!has_module())
        skip();
    expect_told(".data.x ==", NULL, NULL);
    expect_told(".data.x | tset(\"a\")", "tset/1 is not defined",
        "in '.data.x | tset(\"a\")', at column 11, 'tset(\"a\")': tset/1 is not defined");
    expect_told("$nope == 1", "$nope is not defined", "in '$nope == 1': $nope is not defined");
}

/* A dot before a bracket, behind each thing that may stand before it. */
static void test_dots_before_brackets_are_read_by_any_libjq(void **state)
{
    (void)state;
    static const char *const expressions[] = {
        ".data.o.[\"k\"] + \"\" == \"v\"",
        ".data.\"o\".[\"k\"] + \"\" == \"v\"",
        ".[\"data\"].[\"o\"].[\"k\"] + \"\" == \"v\"",
        "(.data.o).[\"k\"] + \"\" == \"v\"",
        "{\"k\":\"v\"}.[\"k\"] + \"\" == \"v\"",
        ".data.o?.[\"k\"] + \"\" == \"v\"",
        ". as $x | $x.[\"data\"].o.k + \"\" == \"v\"",
        ".data.l.[1:].[0] + 1 == 3",
        ".data.l.[]? + 0 == 2",
    };
    const struct filter_message message = {
        .seq = 1, .data = view_str("{\"o\":{\"k\":\"v\"},\"l\":[1,2]}")};

    if (!has_module())
        skip();
    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        scoped(filter_free) struct filter *filter = NULL;
        if (filter_new(expressions[i], &filter, &err) < 0)
            fail_msg("%s: %s", expressions[i], error_hint_of(err));
        assert_false(filter_is_native(filter));
        if (filter_match(filter, &message, &err) != FILTER_MATCH)
            fail_msg("%s", expressions[i]);
    }
}

TESTS(test_hints_name_the_place, test_hints_show_a_comparison,
    test_hints_name_the_place_that_libjq_means, test_dots_before_brackets_are_read_by_any_libjq)

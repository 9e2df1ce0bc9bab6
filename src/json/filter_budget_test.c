#include "json/filter_budget.h"

#include "base/test.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

static const struct filter_message *some_message(void)
{
    static struct filter_message message;
    message = (struct filter_message){
        .seq = 7,
        .time_ns = 1,
        .tags = view_str("[\"a\",\"b\"]"),
        .data = view_str("{\"x\":\"lit\",\"n\":42,\"l\":[1,2,3]}"),
    };
    return &message;
}

/* Without libjq installed there is nothing to keep within a budget. */
static bool has_module(void)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(filter_free) struct filter *filter = NULL;

    if (filter_new_jq("true", &filter, &err) == 0)
        return true;
    print_message("libjq is not installed\n");
    return false;
}

/* On a busy machine what ends by itself must not be taken for what does not. */
#define BUDGET_MS 1500

static struct budgeted_filter *new_filter(const char *expression)
{
    const struct filter_budget budget = {
        .time_ms = BUDGET_MS, .memory_bytes = filter_budget_default.memory_bytes};
    struct budgeted_filter *filter = NULL;

    assert_int_equal(budgeted_filter_new(expression, &budget, &filter, NULL), 0);
    assert_non_null(filter);
    return filter;
}

static void expect_match(struct budgeted_filter *filter, const struct filter_message *message)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    const int r = budgeted_filter_match(filter, message, &err);

    if (r < 0)
        print_error("%s: %s\n", err->message, error_cause_of(err));
    assert_int_equal(r, FILTER_MATCH);
}

static void expect_too_expensive(const char *expression, const plsm_error_t *err)
{
    char hint[300];

    assert_non_null(err);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(err->message, "filter is too expensive");
    /* where memory is not limited, time is */
    if (strstr(error_cause_of(err), " ms") != NULL)
        assert_string_equal(error_cause_of(err), "it took more than 1500 ms");
    else
        assert_string_equal(error_cause_of(err), "it needed more than 64 MiB");
    snprintf(
        hint, sizeof(hint), "%s; use a simpler filter than '%s'", error_cause_of(err), expression);
    assert_string_equal(error_hint_of(err), hint);
}

static bool process_exists(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static void test_cheap_filters_need_no_process(void **state)
{
    (void)state;
    static const char *const expressions[] = {".data.x == \"lit\"", ".data.n > 41 and .seq == 7",
        "any(.meta.tags[]; . == \"a\")", "any(.meta.tags[]; . == \"a\") and .data.n == 42",
        "any(.meta.tags[]; . == \"a\") or any(.meta.tags[]; . == \"z\")", ".data.l[] == 2",
        ".data.x | test(\"li\")", ".data.n | IN(1, 42)", ".data.x | startswith(\"l\")",
        ".data | has(\"x\")", "(.data.l | length) == 3", ".data.o // true",
        ".data.l | contains([2])"};

    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        scoped(budgeted_filter_free) struct budgeted_filter *filter = new_filter(expressions[i]);
        assert_int_equal(budgeted_filter_match(filter, some_message(), NULL), FILTER_MATCH);
        assert_int_equal(budgeted_filter_pid(filter), 0);
    }
}

static void test_what_may_be_dear_has_a_process(void **state)
{
    (void)state;
    static const char *const expressions[] = {".data.l[] == .data.l[]",
        ".data.l[] == 1 and .data.l[] == 1", "(true, true) | (true, true)",
        "any(.data.l[]; . == 1) and .data.l[] == 1", ".data == .data",
        ".data.l | contains(.data.l)", "any(.data.l[], .data.n; . == 42)",
        ".data.x | test(\"l.t\")", "[.data.l[] | . + 1] == [2,3,4]"};

    if (!has_module())
        skip();
    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        struct budgeted_filter *filter = new_filter(expressions[i]);
        const int r = budgeted_filter_match(filter, some_message(), NULL);
        if (r != FILTER_MATCH && i != 5)
            print_error("%s: %d\n", expressions[i], r);
        assert_int_equal(r, i == 5 ? FILTER_NO_MATCH : FILTER_MATCH);
        const pid_t pid = budgeted_filter_pid(filter);
        assert_true(pid > 0);
        budgeted_filter_free(filter);
        assert_false(process_exists(pid));
    }
}

static void test_no_match_and_errors_come_back(void **state)
{
    (void)state;
    scoped(plsm_error_free) plsm_error_t *err = NULL;

    if (!has_module())
        skip();
    scoped(budgeted_filter_free) struct budgeted_filter *filter = new_filter(".data.n + 1 == 7");
    assert_int_equal(budgeted_filter_match(filter, some_message(), &err), FILTER_NO_MATCH);
    assert_null(err);
    scoped(budgeted_filter_free) struct budgeted_filter *number = new_filter(".data.n + 1");
    for (int i = 0; i < 2; i++) { /* an error of the expression does not end its process */
        scoped(plsm_error_free) plsm_error_t *problem = NULL;
        assert_int_equal(budgeted_filter_match(number, some_message(), &problem), -1);
        assert_int_equal(problem->kind, PLSM_ERROR_USAGE);
        assert_string_equal(problem->message, "filter expression must yield booleans");
        assert_non_null(strstr(error_hint_of(problem), ".data.n + 1"));
    }
}

static void test_bad_expressions_are_refused(void **state)
{
    (void)state;
    static const char *const expressions[] = {"", ".data.x ==", "input", "nope(1)", "(", "$ENV"};

    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        struct budgeted_filter *filter = NULL;
        if (!has_module())
            skip();
        assert_int_equal(
            budgeted_filter_new(expressions[i], &filter_budget_default, &filter, &err), -1);
        assert_null(filter);
        assert_int_equal(err->kind, PLSM_ERROR_USAGE);
        assert_string_equal(err->message, "invalid filter expression");
        assert_non_null(error_cause_of(err));
    }
}

static void test_time_and_memory_are_limited(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        const char *cause;
    } rows[] = {
        {"last(range(1e18)) == 2", "it took more than"},
        {"[range(1e9)] | length == 1", "it "}, /* where memory is not limited, time is */
    };

    if (!has_module())
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        scoped(budgeted_filter_free) struct budgeted_filter *filter =
            new_filter(rows[i].expression);
        for (int round = 0; round < 2; round++) {
            scoped(plsm_error_free) plsm_error_t *err = NULL;
            const pid_t pid = budgeted_filter_pid(filter);
            assert_int_equal(budgeted_filter_match(filter, some_message(), &err), -1);
            expect_too_expensive(rows[i].expression, err);
            if (strncmp(error_cause_of(err), rows[i].cause, strlen(rows[i].cause)) != 0)
                print_error("%s: %s\n", rows[i].expression, error_cause_of(err));
            assert_int_equal(strncmp(error_cause_of(err), rows[i].cause, strlen(rows[i].cause)), 0);
            assert_int_equal(budgeted_filter_pid(filter), 0);
            assert_true(pid == 0 || !process_exists(pid));
        }
    }
}

/* One message is too much for it, the next one is not. */
static void test_it_goes_on_after_its_process_ended(void **state)
{
    (void)state;
    struct filter_message message = *some_message();

    if (!has_module())
        skip();
    static const char expression[] = "if .data.loop then last(range(1e18)) == 1 else true end";
    scoped(budgeted_filter_free) struct budgeted_filter *filter = new_filter(expression);
    for (int i = 0; i < 2; i++) {
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        message.data = view_str("{\"loop\":true}");
        assert_int_equal(budgeted_filter_match(filter, &message, &err), -1);
        expect_too_expensive(expression, err);
        message.data = view_str("{}");
        expect_match(filter, &message);
    }
    assert_int_equal(kill(budgeted_filter_pid(filter), SIGKILL), 0);
    assert_int_equal(budgeted_filter_match(filter, &message, NULL), -1);
    expect_match(filter, &message);
}

/* Large messages go over the stream in parts; those larger than the budget are told of. */
static void test_large_messages(void **state)
{
    (void)state;
    static const size_t lens[] = {70000, 1 << 20, 80 << 20};

    if (!has_module())
        skip();
    scoped(budgeted_filter_free) struct budgeted_filter *filter =
        new_filter("(.data.s | length) + 1 > 1");
    for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
        scoped(plsm_error_free) plsm_error_t *err = NULL;
        char *data = malloc(lens[i] + 1);
        assert_non_null(data);
        memset(data, 'x', lens[i]);
        memcpy(data, "{\"s\":\"", 6);
        memcpy(data + lens[i] - 2, "\"}", 3);
        const struct filter_message message = {.seq = 1, .data = view_of(data, lens[i])};
        const int r = budgeted_filter_match(filter, &message, &err);
        free(data);
        if (i < 2) {
            assert_int_equal(r, FILTER_MATCH);
        } else if (r < 0) { /* no limit where the sanitizers need the address space */
            expect_too_expensive("(.data.s | length) + 1 > 1", err);
        }
    }
}

TESTS(test_cheap_filters_need_no_process, test_what_may_be_dear_has_a_process,
    test_no_match_and_errors_come_back, test_bad_expressions_are_refused,
    test_time_and_memory_are_limited, test_it_goes_on_after_its_process_ended, test_large_messages)

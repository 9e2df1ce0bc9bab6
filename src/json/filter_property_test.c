/* Random simple expressions on random messages: the native matcher and libjq must agree.
 *
 * PLSM_SEED repeats a run, PLSM_EXPRESSIONS sets how many expressions are tried (libjq needs
 * tens of milliseconds to compile each). */
#include "json/filter.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/test.h"

/* libjq 1.6 loses a reference to a name when an error leaves the iteration of an object. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libjq.so";
}

#define N_EXPRESSIONS 120
#define N_MESSAGES    60

struct rng {
    uint64_t state;
};

static uint32_t rng_below(struct rng *rng, uint32_t n)
{
    rng->state ^= rng->state << 13;
    rng->state ^= rng->state >> 7;
    rng->state ^= rng->state << 17;
    return (uint32_t)((rng->state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

/* One of several texts. */
#define PICK(rng, ...)                                                                             \
    pick(rng, (const char *const[]){__VA_ARGS__},                                                  \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *pick(struct rng *rng, const char *const *texts, size_t n)
{
    return texts[rng_below(rng, (uint32_t)n)];
}

static void put(struct buf *buf, const char *text)
{
    assert_int_equal(buf_append_str(buf, text), 0);
}

/* --- messages --- */

static void message_value(struct rng *rng, struct buf *buf, int depth);

/* Keys and strings in several spellings of few values, so that they meet each other. */
static const char *message_key(struct rng *rng)
{
    return PICK(rng, "\"a\"", "\"b\"", "\"c\"", "\"\\u0061\"", "\"x y\"", "\"\xc3\xa9\"",
        "\"\\u00e9\"", "\"\"", "\"q\\\"\"");
}

static const char *message_scalar(struct rng *rng)
{
    return PICK(rng, "0", "1", "-1", "1.0", "1E0", "10e-1", "1.5", "-0", "100", "1e2", "2", "1e400",
        "9007199254740993", "0.1", "123456789012345678901234567890", "null", "true", "false",
        "\"\"", "\"a\"", "\"ab\"", "\"b\"", "\"\\u0061b\"", "\"abc\"", "\"\xc3\xa9\"",
        "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", "\"q\\\"\"", "\"\\n\"",
        "\"\\u000a\"", "\"100\"", "\"a/b\"", "\"a\\/b\"", "\"\xef\xbc\xa1\"");
}

static void message_container(struct rng *rng, struct buf *buf, int depth, bool is_object)
{
    const uint32_t n = rng_below(rng, 5);

    put(buf, is_object ? "{" : "[");
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            put(buf, ",");
        if (is_object) {
            put(buf, message_key(rng));
            put(buf, ":");
        }
        message_value(rng, buf, depth - 1);
    }
    put(buf, is_object ? "}" : "]");
}

static void message_value(struct rng *rng, struct buf *buf, int depth)
{
    const uint32_t kind = rng_below(rng, 10);

    if (depth == 0 || kind < 6)
        put(buf, message_scalar(rng));
    else
        message_container(rng, buf, depth, kind < 8);
}

/* --- expressions --- */

struct grammar {
    struct rng *rng;
    bool alternative_catches; /* this libjq does as the contract says: error // 1 is 1 */
    bool uses[16];            /* which forms this expression may use: not all, so that some
                                 get deep */
};

static void expression_bool(struct grammar *grammar, struct buf *buf, bool root, int depth);

static const char *expression_literal(struct rng *rng)
{
    return PICK(rng, "0", "1", "-1", "1.5", "100", "2", "9007199254740992", "null", "true", "false",
        "\"\"", "\"a\"", "\"ab\"", "\"b\"", "\"\xc3\xa9\"", "\"\\u00e9\"", "\"\xf0\x9f\x98\x80\"",
        "\"q\\\"\"", "\"\\n\"", "\"a/b\"", "[]", "{}", "[1]", "[\"a\",1]", "{\"a\":1}",
        "{a:[1,\"ab\"],b:null}", "[[],{}]", "\"2026-01-01T00:00:00Z\"");
}

static const char *expression_step(struct rng *rng)
{
    return PICK(rng, ".a", ".b", ".c", ".a?", ".b?", "[\"x y\"]", ".\"\xc3\xa9\"", "[\"\\u0061\"]",
        "[0]", "[1]", "[-1]?", "[0]?", "[\"\"]?", ".\"q\\\"\"");
}

static void expression_path(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    struct rng *const rng = grammar->rng;

    if (root)
        put(buf, PICK(rng, ".data", ".data", ".data", ".data", ".data.a", ".data.b", ".meta.tags",
                     ".meta.descrips", ".seq", ".time", ".nothing", ".[\"data\"]", ".meta.x"));
    else
        put(buf, ".");
    for (uint32_t n = rng_below(rng, 3); n > 0; n--) {
        const char *step = expression_step(rng);
        if (!root && buf->data[buf->len - 1] == '.' && step[0] == '.')
            step++;
        put(buf, step);
    }
    if (depth > 0 && grammar->uses[0] && rng_below(rng, 5) == 0)
        put(buf, PICK(rng, "[]", "[]?", "[]?"));
}

/* Something to compare: a path, a literal, or a little more. */
static void expression_value(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    struct rng *const rng = grammar->rng;

    switch (rng_below(rng, depth > 0 ? 12 : 8)) {
    case 0:
    case 1: put(buf, expression_literal(rng)); break;
    case 8:
        put(buf, "(");
        expression_path(grammar, buf, root, depth);
        put(buf, "|length)");
        break;
    case 9:
        put(buf, "(");
        expression_path(grammar, buf, root, depth);
        put(buf, "|type)");
        break;
    case 10:
        put(buf, "(");
        if (grammar->alternative_catches)
            expression_path(grammar, buf, root, depth);
        else
            put(buf, root ? ".data.a" : ".a?");
        put(buf, " // ");
        expression_value(grammar, buf, root, depth - 1);
        put(buf, ")");
        break;
    case 11:
        put(buf, "(");
        expression_value(grammar, buf, root, depth - 1);
        put(buf, ")?");
        break;
    default: expression_path(grammar, buf, root, depth);
    }
}

/* path | function */
static void expression_call(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    struct rng *const rng = grammar->rng;

    put(buf, "(");
    expression_path(grammar, buf, root, depth);
    put(buf, "|");
    switch (rng_below(rng, 8)) {
    case 0: put(buf, PICK(rng, "has(\"a\")", "has(\"x y\")", "has(\"\xc3\xa9\")")); break;
    case 1:
        put(buf, PICK(rng, "test(\"a\")", "test(\"\xc3\xa9\")", "test(\"ab\")", "test(\"/\")"));
        break;
    case 2: put(buf, PICK(rng, "startswith(\"a\")", "startswith(\"\")", "startswith(1)")); break;
    case 3: put(buf, PICK(rng, "endswith(\"b\")", "endswith(\"\xc3\xa9\")")); break;
    case 4:
        put(buf, "contains(");
        put(buf, expression_literal(rng));
        put(buf, ")");
        break;
    case 5:
        put(buf, "IN(");
        put(buf, expression_literal(rng));
        put(buf, ",");
        put(buf, expression_literal(rng));
        put(buf, ")");
        break;
    case 6: put(buf, PICK(rng, "any", "all", "not")); break;
    default: expression_bool(grammar, buf, false, depth - 1);
    }
    put(buf, ")");
}

static void expression_search(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    put(buf, PICK(grammar->rng, "any(", "all("));
    expression_path(grammar, buf, root, 0);
    put(buf, PICK(grammar->rng, "[];", "[]?;", "[]?;"));
    expression_bool(grammar, buf, false, depth - 1);
    put(buf, ")");
}

static void expression_both(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    put(buf, "(");
    expression_bool(grammar, buf, root, depth - 1);
    put(buf, grammar->uses[1] ? PICK(grammar->rng, " and ", " or ", " and ", " or ", ",", " == ")
                              : PICK(grammar->rng, " and ", " or "));
    expression_bool(grammar, buf, root, depth - 1);
    put(buf, ")");
}

static void expression_compare(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    put(buf, "(");
    expression_value(grammar, buf, root, depth);
    put(buf, PICK(grammar->rng, "==", "==", "==", "!=", "<", "<=", ">", ">="));
    expression_value(grammar, buf, root, depth);
    put(buf, ")");
}

static void expression_bool(struct grammar *grammar, struct buf *buf, bool root, int depth)
{
    struct rng *const rng = grammar->rng;

    switch (rng_below(rng, depth > 0 ? 12 : 4)) {
    case 4:
    case 5: expression_both(grammar, buf, root, depth); break;
    case 6:
        put(buf, "(");
        expression_bool(grammar, buf, root, depth - 1);
        put(buf, "|not)");
        break;
    case 7: expression_search(grammar, buf, root, depth); break;
    case 8:
    case 9: expression_call(grammar, buf, root, depth); break;
    case 10:
        put(buf, "(select(");
        expression_bool(grammar, buf, root, depth - 1);
        put(buf, ")|");
        expression_bool(grammar, buf, root, depth - 1);
        put(buf, ")");
        break;
    case 11:
        if (grammar->uses[2] && rng_below(rng, 3) == 0)
            expression_value(grammar, buf, root, depth);
        else
            expression_call(grammar, buf, root, depth);
        break;
    default: expression_compare(grammar, buf, root, depth);
    }
}

/* --- comparing --- */

struct counts {
    size_t n_native;
    size_t n_cases;
    size_t n_matches;
};

static void compare_messages(struct rng *rng, struct filter *native, struct filter *jq,
    const char *expression, struct counts *counts)
{
    for (int i = 0; i < N_MESSAGES; i++) {
        scoped(buf_fini) struct buf data = {0};
        const struct filter_message message = {
            .seq = rng_below(rng, 3),
            .time_ns = UINT64_C(1767225600) * NS_PER_SECOND + rng_below(rng, 2),
            .tags = view_str(PICK(rng, "", "[]", "[\"a\"]", "[\"b\",\"a\"]", "[\"\\u00e9\"]")),
            .data = (message_container(rng, &data, 3, true), buf_view(&data)),
        };
        const int expected = filter_match(jq, &message, NULL);
        const int actual = filter_match(native, &message, NULL);
        if (actual != expected)
            print_error("%s\non %.*s tags %.*s seq %d: native %d, jq %d\n", expression,
                (int)data.len, (const char *)data.data, (int)message.tags.len,
                (const char *)message.tags.data, (int)message.seq, actual, expected);
        assert_int_equal(actual, expected);
        counts->n_cases++;
        counts->n_matches += expected == FILTER_MATCH;
    }
}

static void try_expression(struct grammar *grammar, struct counts *counts)
{
    scoped(buf_fini) struct buf text = {0};
    scoped(filter_free) struct filter *native = NULL;
    scoped(filter_free) struct filter *jq = NULL;
    scoped(plsm_error_free) plsm_error_t *err = NULL;

    do {
        text.len = 0;
        filter_free(native);
        native = NULL;
        for (size_t i = 0; i < sizeof(grammar->uses); i++)
            grammar->uses[i] = rng_below(grammar->rng, 2) == 0;
        expression_bool(grammar, &text, true, (int)rng_below(grammar->rng, 4));
        assert_int_equal(buf_append(&text, "", 1), 0);
        /* Where this fails, jq has been asked and has refused: the grammar here is wrong. */
        if (filter_new((const char *)text.data, &native, &err) < 0)
            print_error("%s: %s\n", (const char *)text.data, error_hint_of(err));
        assert_non_null(native);
    } while (!filter_is_native(native));

    counts->n_native++;
    assert_int_equal(filter_new_jq((const char *)text.data, &jq, NULL), 0);
    compare_messages(grammar->rng, native, jq, (const char *)text.data, counts);
}

static size_t number_from(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : (size_t)strtoull(text, NULL, 10);
}

static void test_native_and_jq_agree(void **state)
{
    (void)state;
    const size_t seed = number_from("PLSM_SEED", (size_t)clock_wall_ns());
    const size_t n = number_from("PLSM_EXPRESSIONS", N_EXPRESSIONS);
    struct rng rng = {.state = seed * 2 + 1};
    struct grammar grammar = {.rng = &rng};
    struct counts counts = {0};
    scoped(filter_free) struct filter *probe = NULL;

    if (filter_new_jq("error(\"x\") // true", &probe, NULL) < 0)
        skip();
    const struct filter_message message = {.seq = 1, .data = view_str("{}")};
    grammar.alternative_catches = filter_match(probe, &message, NULL) == FILTER_MATCH;
    print_message("# PLSM_SEED=%zu\n", seed);
    while (counts.n_native < n)
        try_expression(&grammar, &counts);
    print_message("# %zu expressions, %zu cases, %zu matches\n", counts.n_native, counts.n_cases,
        counts.n_matches);
    assert_true(n < N_EXPRESSIONS || counts.n_matches > counts.n_cases / 50);
}

TESTS(test_native_and_jq_agree)

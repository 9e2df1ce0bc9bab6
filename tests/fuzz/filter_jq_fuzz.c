/* A simple filter answers as jq does, whatever the expression and the message. The inputs are those
 * of filter_fuzz.c: three lines, expression, tags and data. libjq takes milliseconds to compile an
 * expression, so the last ones are kept: many inputs differ in the message alone. Does nothing where
 * the jq module is not there. */
#include "json/filter.h"
#include "json/json.h"
#include "json/span.h"

#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    KEPT = 64,
    EXPRESSION_MAX = 256,
    DATA_MAX = 2048,
};

struct pair {
    char *expression;
    struct filter *native; /* NULL: there is nothing to compare */
    struct filter *jq;
};

static struct pair kept[KEPT];
static size_t n_kept;
static bool has_jq;
static bool alternative_catches; /* this libjq does as the contract says: error // 1 is 1 */

/* libjq 1.6 loses a reference to a name when an error leaves the iteration of an object. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libjq\nleak:jq.so";
}

static void probe(void)
{
    static bool probed;
    const struct filter_message message = {.seq = 1, .data = view_str("{}")};
    struct filter *filter = NULL;
    plsm_error_t *error = NULL;

    if (probed)
        return;
    probed = true;
    has_jq = filter_new_jq("error(\"x\") // true", &filter, &error) == 0;
    if (!has_jq)
        fprintf(stderr, "filter_jq_fuzz: %s\n", error->message);
    alternative_catches = has_jq && filter_match(filter, &message, NULL) == FILTER_MATCH;
    plsm_error_free(error);
    filter_free(filter);
}

static void pair_compile(struct pair *pair)
{
    filter_free(pair->native);
    filter_free(pair->jq);
    pair->native = pair->jq = NULL;
    if (!alternative_catches && strstr(pair->expression, "//") != NULL)
        return;
    if (filter_new_bounded(pair->expression, &pair->native, NULL) < 0 || pair->native == NULL)
        return;
    /* what is simple is an expression of jq's */
    check(filter_new_jq(pair->expression, &pair->jq, NULL) == 0);
}

static struct pair *pair_of(const char *expression)
{
    for (size_t i = 0; i < KEPT; i++)
        if (kept[i].expression != NULL && strcmp(kept[i].expression, expression) == 0)
            return &kept[i];
    struct pair *pair = &kept[n_kept++ % KEPT];
    free(pair->expression);
    pair->expression = bytes_string(view_str(expression));
    pair_compile(pair);
    return pair;
}

static struct view take_line(struct view *rest)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    const struct view line =
        input_bytes(rest, end == NULL ? rest->len : (size_t)(end - rest->data));
    (void)input_bytes(rest, end == NULL ? 0 : 1);
    return line;
}

/* Compact JSON of this kind in memory of exactly its size; a view without data if it is none. */
static struct view compact_of(struct view text, enum json_kind kind)
{
    uint8_t out[DATA_MAX + JSON_SLACK];
    size_t len = 0;

    if (text.len > DATA_MAX || !json_compact(text.data, text.len, out, &len, NULL) ||
        json_value_of(view_of(out, len)).kind != kind)
        return view_of(NULL, 0);
    return bytes_copy(view_of(out, len));
}

/* What a feeder stores: an array of strings. */
static bool tags_are_strings(struct view tags)
{
    struct json_walk walk = json_walk(tags);
    struct json_value value;
    bool strings = true;

    while (json_next_element(&walk, &value))
        strings = strings && value.kind == JSON_STRING;
    return strings;
}

static void compare(const struct pair *pair, struct view tags, struct view data)
{
    const struct filter_message message = {
        .seq = 7, .time_ns = UINT64_C(1767225600000000000), .tags = tags, .data = data};

    const int expected = filter_match(pair->jq, &message, NULL);
    const int found = filter_match(pair->native, &message, NULL);
    if (found != expected)
        fprintf(stderr, "%s on %.*s tags %.*s: native %d, jq %d\n", pair->expression, (int)data.len,
            (const char *)data.data, (int)tags.len, (const char *)tags.data, found, expected);
    check(found == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view rest = view_of(data, size);
    const struct view expression = take_line(&rest);
    const struct view tags = compact_of(take_line(&rest), JSON_ARRAY);
    const struct view message = compact_of(rest, JSON_OBJECT);

    probe();
    if (has_jq && expression.len <= EXPRESSION_MAX && message.data != NULL &&
        (tags.data == NULL || tags_are_strings(tags)) &&
        (expression.len == 0 || memchr(expression.data, '\0', expression.len) == NULL)) {
        char *text = bytes_string(expression);
        const struct pair *pair = pair_of(text);
        if (pair->native != NULL)
            compare(pair, tags, message);
        free(text);
    }
    bytes_free(tags);
    bytes_free(message);
    return 0;
}

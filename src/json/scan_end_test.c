/* Where values end in a text that grows, byte by byte and at once. */
#include "base/test.h"
#include "json/json.h"

/* The end of the first value when the text comes in pieces of `step` bytes; 0 if there is none. */
static size_t end_in_steps(const char *text, size_t len, size_t step, bool complete)
{
    struct json_end end = {0};
    size_t found = 0;
    for (size_t known = step; known < len; known += step) {
        uint8_t *copy = malloc(known); /* what comes later is not there yet */
        assert_non_null(copy);
        memcpy(copy, text, known);
        const bool ok = json_end_find(&end, copy, known, false, &found);
        free(copy);
        if (ok)
            return found;
    }
    return json_end_find(&end, (const uint8_t *)text, len, complete, &found) ? found : 0;
}

static void check_end(const char *text, bool complete, size_t expected)
{
    const size_t len = strlen(text);
    for (size_t step = 1; step <= len + 1; step++) {
        const size_t found = end_in_steps(text, len, step, complete);
        if (found != expected)
            fail_msg("%s: ends at %zu, not at %zu", text, found, expected);
    }
}

static void test_end_of_brackets(void **state)
{
    (void)state;
    check_end("{}", false, 2);
    check_end("[]{}", false, 2);
    check_end("  {\"a\": [1, {\"b\": 2}]}\n{\"c\": 3}", false, 22);
    check_end("{\"}\": \"]\\\"}\"} x", false, 13);
    check_end("[\"\\\\\"] ", false, 6);
    check_end("[[[[]]]", false, 0);
    check_end("[[[[]]]", true, 0);
    check_end("{\"a\": \"}", true, 0);
    check_end("{\"a\": \"\\", true, 0);
}

static void test_end_of_other_values(void **state)
{
    (void)state;
    check_end("\"a b\" 1", false, 5);
    check_end(" \"\\\"\"", false, 5);
    check_end("12 13", false, 2);
    check_end("12\n", false, 2);
    check_end("true{}", false, 4);
    check_end("-1.5e+3\"a\"", false, 7);
    check_end("12", false, 0); /* more digits may come */
    check_end("12", true, 2);
    check_end("", true, 0);
    check_end(" \n\t\r ", true, 0);
}

static void test_end_is_never_stuck(void **state)
{
    (void)state;
    check_end("} {}", false, 1);
    check_end("]", false, 1);
    check_end(", 1", false, 1);
    check_end(":", false, 1);
    check_end("[}", false, 2); /* brackets are counted, not matched: json_compact() refuses it */
    check_end("'a' ", false, 3);
}

static void test_end_knows_blanks(void **state)
{
    (void)state;
    struct json_end end = {0};
    size_t found;
    assert_true(json_end_is_blank(&end));
    assert_false(json_end_find(&end, (const uint8_t *)" \n", 2, false, &found));
    assert_true(json_end_is_blank(&end));
    assert_false(json_end_find(&end, (const uint8_t *)" \n1", 3, true, &found) && found != 3);
    assert_false(json_end_is_blank(&end));
}

TESTS(
    test_end_of_brackets, test_end_of_other_values, test_end_is_never_stuck, test_end_knows_blanks)

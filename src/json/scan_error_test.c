/* What refusals say, and that they point at the right byte. */
#include "base/test.h"
#include "json/json.h"

/* Compares all that is said; expected and hint may be NULL. */
static void check(const char *text, size_t len, size_t offset, const char *problem,
    const char *expected, const char *hint)
{
    uint8_t out[4096];
    size_t out_len;
    struct json_error error = {0};
    if (json_compact((const uint8_t *)text, len, out, &out_len, &error))
        fail_msg("accepted: %s", text);
    if (error.offset != offset || strcmp(error.problem, problem) != 0)
        fail_msg("%s: \"%s\" at %zu, not \"%s\" at %zu", text, error.problem, error.offset, problem,
            offset);
    if (expected != NULL)
        assert_string_equal(error.expected, expected);
    if (hint == NULL)
        assert_null(error.hint);
    else
        assert_string_equal(error.hint, hint);
}

/* The same, behind a member that makes the text long enough for a fast scanner. */
static void check_both(
    const char *text, size_t offset, const char *problem, const char *expected, const char *hint)
{
    static const char before[] =
        "{\"filler\":\"012345678901234567890123456789012345678901234567890123456789\",\"k\":";
    char longer[512];
    const int len = snprintf(longer, sizeof(longer), "%s%s}", before, text);
    check(text, strlen(text), offset, problem, expected, hint);
    check(longer, (size_t)len, offset + sizeof(before) - 1, problem, expected, hint);
}

static const char before_key[] = "a key in double quotes after ','";
static const char after_member[] = "',' or '}' after a member";
static const char after_element[] = "',' or ']' after an element";

static void test_error_in_structure(void **state)
{
    (void)state;
    check_both("[1,]", 3, "trailing comma", "a value after ','",
        "remove the comma before the closing bracket");
    check_both("{\"a\":1,}", 7, "trailing comma", before_key,
        "remove the comma before the closing bracket");
    check_both("[1,,2]", 3, "comma without a value before it", "a value after ','", "remove it");
    check_both("[1 2]", 3, "missing comma", after_element, "put a comma between two values");
    check_both(
        "{\"a\":1 \"b\":2}", 7, "missing comma", after_member, "put a comma between two values");
    check_both("{\"a\" 1}", 5, "unexpected character", "':' after a key", NULL);
    check_both("{\"a\"}", 4, "key without a value", "':' after a key",
        "members are written \"key\": value");
    check_both("{\"a\":}", 5, "missing value", "a value after ':'", "write null if there is none");
    check_both("{\"a\"=1}", 4, "unexpected '='", "':' after a key", "a key is followed by ':'");
    check_both("{a:1}", 1, "key without quotes", "a key in double quotes, or '}'",
        "keys need double quotes");
    check_both("{1:2}", 1, "key without quotes", "a key in double quotes, or '}'",
        "keys need double quotes");
    check_both("[\"a\":1]", 4, "unexpected ':'", after_element,
        "members with keys stand in {}, not in []");
    check_both("[1}", 2, "'}' closes an array", after_element,
        "brackets must be closed in the order they were opened, each by its own kind");
    check_both("{\"a\":1]", 6, "']' closes an object", after_member,
        "brackets must be closed in the order they were opened, each by its own kind");
    check("{}}", 3, 2, "'}' without '{'", "the end of the text", NULL);
    check("{} {}", 5, 3, "text behind the value", "the end of the text",
        "only one value may stand here; for many write one per line");
}

static void test_error_at_the_end(void **state)
{
    (void)state;
    check("", 0, 0, "no value: the text is empty", "a value", NULL);
    check(" \n ", 3, 3, "no value: the text is empty", "a value", NULL);
    check("[1", 2, 2, "the text ends too early", after_element,
        "an array is not closed: ']' is missing");
    check("{\"a\":1", 6, 6, "the text ends too early", after_member,
        "an object is not closed: '}' is missing");
    check("{\"a\":", 5, 5, "the text ends too early", "a value after ':'",
        "an object is not closed: '}' is missing");
    check("[\"abc", 5, 5, "the text ends inside a string", "'\"'", "the closing quote is missing");
    check(
        "[\"abc\\", 6, 5, "the text ends inside a string", "'\"'", "the closing quote is missing");
    check("[-", 2, 2, "number breaks off", "a digit", "numbers look like -12.5e+3");
}

static void test_error_in_words_and_numbers(void **state)
{
    (void)state;
    const char *infinite = "JSON has no NaN or Infinity: use null or a string";
    const char *lower = "true, false and null are written in lower case";
    check_both("NaN", 0, "NaN or Infinity", NULL, infinite);
    check_both("Infinity", 0, "NaN or Infinity", NULL, infinite);
    check_both("nan", 0, "NaN or Infinity", NULL, infinite);
    check_both("inf", 0, "NaN or Infinity", NULL, infinite);
    static const char *const capitals[] = {"True", "TRUE", "False", "FALSE", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(capitals) / sizeof(*capitals); i++)
        check_both(capitals[i], 0, "unknown word", NULL, lower);
    check_both("nil", 0, "unknown word", NULL, "the value for nothing is written null");
    check_both("{\"a\":1,b:2}", 7, "key without quotes", before_key, "keys need double quotes");
    check_both("None", 0, "unknown word", NULL, "the value for nothing is written null");
    check_both("undefined", 0, "unknown word", NULL, "the value for nothing is written null");
    check_both("hello", 0, "unknown word", NULL,
        "text needs double quotes; bare words are true, false and null");
    check_both("[nulll]", 1, "unknown word", "a value, or ']'",
        "text needs double quotes; bare words are true, false and null");
    check_both("[01]", 2, "number with a leading zero", "no digit after a leading 0",
        "remove the zero, or put the number into double quotes");
    check_both("[1.]", 3, "number breaks off", "a digit", "numbers look like -12.5e+3");
    check_both("[-x]", 2, "number breaks off", "a digit", "numbers look like -12.5e+3");
    check_both("[1e+]", 4, "number breaks off", "a digit", "numbers look like -12.5e+3");
    check_both("[+1]", 1, "unexpected '+'", NULL, "numbers have no leading plus");
    check_both("[.5]", 1, "unexpected '.'", NULL, "numbers begin with a digit: 0.5");
    check_both("[0x1F]", 2, "hexadecimal number", after_element,
        "numbers are decimal; others go into strings");
    check_both("[1.2.3]", 4, "malformed number", after_element,
        "numbers look like -12.5e+3; others go into strings");
    check_both("[1_000]", 2, "malformed number", after_element,
        "numbers look like -12.5e+3; others go into strings");
}

static void test_error_in_foreign_notations(void **state)
{
    (void)state;
    check_both("'a'", 0, "wrong kind of quote", NULL, "strings and keys need double quotes (\")");
    check_both(
        "{'a':1}", 1, "wrong kind of quote", NULL, "strings and keys need double quotes (\")");
    check_both("\xe2\x80\x9c"
               "a\xe2\x80\x9d",
        0, "typographic quote", NULL, "strings and keys need plain double quotes (\")");
    check_both("[\xe2\x80\x9d\x61]", 1, "typographic quote", NULL,
        "strings and keys need plain double quotes (\")");
    check_both("[\xe2\x80\x98\x61]", 1, "typographic quote", NULL,
        "strings and keys need plain double quotes (\")");
    check_both("[\xe2\x80\x99\x61]", 1, "typographic quote", NULL,
        "strings and keys need plain double quotes (\")");
    check_both("`a`", 0, "wrong kind of quote", NULL, "strings and keys need double quotes (\")");
    check("\xfe\xff\0{\0}", 6, 0, "UTF-16 byte order mark", "a value", "convert the text to UTF-8");
    check_both("[1, // one\n2]", 4, "comment", NULL, "JSON has no comments: remove it");
    check_both("[1 /* one */]", 3, "comment", NULL, "JSON has no comments: remove it");
    check_both("[# one\n]", 1, "comment", NULL, "JSON has no comments: remove it");
    check_both("[1,\xc2\xa0"
               "2]",
        3, "no-break space", NULL, "between values only space, tab, CR and LF may stand");
    check_both("[\f]", 1, "control character", NULL,
        "between values only space, tab, CR and LF may stand");
    check_both("[\xe4]", 1, "byte that is not UTF-8", NULL, "convert the text to UTF-8");
    check("\xef\xbb\xbf{}", 5, 0, "byte order mark", "a value",
        "save the text as UTF-8 without a byte order mark");
    check("\xff\xfe{\0}\0", 6, 0, "UTF-16 byte order mark", "a value", "convert the text to UTF-8");
    check("{\0}\0", 4, 1, "NUL byte", NULL, "is this UTF-16 or binary data? JSON is UTF-8 text");
    check("[1]\0", 4, 3, "NUL byte", "the end of the text",
        "is this UTF-16 or binary data? JSON is UTF-8 text");
    check("\x1e{}\n", 4, 0, "record separator", "a value",
        "is this a JSON text sequence? Read it as one");
}

static void test_error_in_strings(void **state)
{
    (void)state;
    const char *escapes = "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX";
    const char *pairs = "characters beyond U+FFFF are two escapes, like \\ud83d\\ude00";
    const char *digits = "four hexadecimal digits after \\u";
    check_both("\"a\nb\"", 2, "control character in a string", "an escape",
        "write a line break as \\n; or is the closing quote missing?");
    check_both("\"\t\"", 1, "control character in a string", "an escape", "write a tab as \\t");
    check_both("\"\x01\"", 1, "control character in a string", "an escape", "write it as \\u00XX");
    check_both("\"ab\\x41\"", 3, "unknown escape", escapes, "write \\u00XX");
    check_both("\"\\'\"", 1, "unknown escape", escapes, "a single quote needs no backslash");
    check_both("\"C:\\Users\"", 3, "unknown escape", escapes, "write a backslash itself as \\\\");
    check_both("\"\\u12g4\"", 1, "escape without its digits", digits, NULL);
    check_both("\"a\\ud800b\"", 2, "high surrogate without a low one behind it",
        "\\uDC00 to \\uDFFF", pairs);
    check_both("\"\\ud83d\\u0041\"", 1, "high surrogate without a low one behind it",
        "\\uDC00 to \\uDFFF", pairs);
    check_both("\"\\ude00\"", 1, "low surrogate without a high one before it", "\\uD800 to \\uDBFF",
        pairs);
}

static void test_error_in_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"\"a\x80\"", "UTF-8 continuation byte without a first one"},
        {"\"a\xc3\"", "cut-off UTF-8 sequence"},
        {"\"a\xe2\x82\"", "cut-off UTF-8 sequence"},
        {"\"a\xc0\xaf\"", "overlong UTF-8 sequence"},
        {"\"a\xe0\x80\xaf\"", "overlong UTF-8 sequence"},
        {"\"a\xf0\x80\x80\xaf\"", "overlong UTF-8 sequence"},
        {"\"a\xed\xa0\x80\"", "surrogate in UTF-8"},
        {"\"a\xf4\x90\x80\x80\"", "UTF-8 sequence beyond U+10FFFF"},
        {"\"a\xff\"", "UTF-8 sequence beyond U+10FFFF"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_both(cases[i].text, 2, cases[i].problem, "well-formed UTF-8",
            "is the text in another encoding? Convert it");
}

static void check_place(const char *text, size_t line, size_t column, size_t offset)
{
    uint8_t out[512];
    size_t out_len;
    struct json_error error = {0};
    assert_false(json_compact((const uint8_t *)text, strlen(text), out, &out_len, &error));
    if (error.line != line || error.column != column || error.offset != offset)
        fail_msg(
            "%s: line %zu, column %zu, offset %zu", text, error.line, error.column, error.offset);
}

static void test_error_line_and_column(void **state)
{
    (void)state;
    check_place("x", 1, 1, 0);
    check_place("[1,\n 2,\n x]", 3, 2, 9);
    check_place("[1\n", 2, 1, 3);
    check_place("\n\n\n", 4, 1, 3);
    check_place("{\r\n\"a\":1,\r\n}", 3, 1, 11);
    check_place("{\"a\":\"line\nbreak\"}", 1, 11, 10); /* the break itself is the fault */
    check_place("[\"\xc3\xa9\",x]", 1, 7, 6);          /* columns count bytes */
    check_place("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,"
                "31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,"
                "58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80\n, 81 82]",
        2, 6, 237);
}

TESTS(test_error_in_structure, test_error_at_the_end, test_error_in_words_and_numbers,
    test_error_in_foreign_notations, test_error_in_strings, test_error_in_utf8,
    test_error_line_and_column)

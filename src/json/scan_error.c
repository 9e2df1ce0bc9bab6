/* Puts a refused text into words: what is wrong, what was expected there, and what the author
 * most likely meant. Runs once per refused text, so it looks at the bytes again at leisure. */
#include "json/scan.h"

#include "base/limits.h"

#include <string.h>

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

/* What lies at the fault: at < end unless the text ended. */
struct explain {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    enum scan_state state;
    struct json_error *error;
};

static const char *explain_expected(enum scan_state state)
{
    switch (state) {
    case SCAN_VALUE: return "a value";
    case SCAN_FIRST_KEY: return "a key in double quotes, or '}'";
    case SCAN_KEY: return "a key in double quotes after ','";
    case SCAN_COLON: return "':' after a key";
    case SCAN_MEMBER: return "a value after ':'";
    case SCAN_AFTER_MEMBER: return "',' or '}' after a member";
    case SCAN_FIRST_ELEMENT: return "a value, or ']'";
    case SCAN_ELEMENT: return "a value after ','";
    case SCAN_AFTER_ELEMENT: return "',' or ']' after an element";
    case SCAN_END: return "the end of the text";
    }
    return NULL;
}

static bool explain_in_object(enum scan_state state)
{
    return state == SCAN_FIRST_KEY || state == SCAN_KEY || state == SCAN_COLON ||
           state == SCAN_MEMBER || state == SCAN_AFTER_MEMBER;
}

static bool explain_is_key(enum scan_state state)
{
    return state == SCAN_FIRST_KEY || state == SCAN_KEY;
}

static bool explain_behind_value(enum scan_state state)
{
    return state == SCAN_AFTER_MEMBER || state == SCAN_AFTER_ELEMENT || state == SCAN_END;
}

/* Keeps what is expected. */
static void explain_say(struct explain *e, const char *problem, const char *hint)
{
    e->error->problem = problem;
    e->error->hint = hint;
}

static void explain_want(
    struct explain *e, const char *problem, const char *expected, const char *hint)
{
    explain_say(e, problem, hint);
    e->error->expected = expected;
}

static bool explain_begins(const struct explain *e, const char *prefix)
{
    const size_t len = strlen(prefix);
    return (size_t)(e->end - e->at) >= len && memcmp(e->at, prefix, len) == 0;
}

/* A byte that no JSON text has outside of strings; false if it has nothing special to it. */
static bool explain_foreign(struct explain *e)
{
    const uint8_t byte = *e->at;
    if (e->at == e->begin && explain_begins(e, "\xef\xbb\xbf"))
        explain_say(e, "byte order mark", "save the text as UTF-8 without a byte order mark");
    else if (e->at == e->begin && (explain_begins(e, "\xff\xfe") || explain_begins(e, "\xfe\xff")))
        explain_say(e, "UTF-16 byte order mark", "convert the text to UTF-8");
    else if (byte == '\0')
        explain_say(e, "NUL byte", "is this UTF-16 or binary data? JSON is UTF-8 text");
    else if (byte == '\'' || byte == '`')
        explain_say(e, "wrong kind of quote", "strings and keys need double quotes (\")");
    else if (explain_begins(e, "\xe2\x80\x9c") || explain_begins(e, "\xe2\x80\x9d") ||
             explain_begins(e, "\xe2\x80\x98") || explain_begins(e, "\xe2\x80\x99"))
        explain_say(e, "typographic quote", "strings and keys need plain double quotes (\")");
    else if (explain_begins(e, "//") || explain_begins(e, "/*") || byte == '#')
        explain_say(e, "comment", "JSON has no comments: remove it");
    else if (explain_begins(e, "\xc2\xa0"))
        explain_say(e, "no-break space", "between values only space, tab, CR and LF may stand");
    else if (byte == 0x1e)
        explain_say(e, "record separator", "is this a JSON text sequence? Read it as one");
    else if (byte < 0x20)
        explain_say(e, "control character", "between values only space, tab, CR and LF may stand");
    else if (byte >= 0x80 && scan_utf8(e->at, e->end) == 0)
        explain_say(e, "byte that is not UTF-8", "convert the text to UTF-8");
    else
        return false;
    return true;
}

/* A bracket that closes, where none may. */
static void explain_close(struct explain *e)
{
    const char own = explain_in_object(e->state) ? '}' : ']';
    const char byte = (char)*e->at;
    if (e->state == SCAN_END || e->state == SCAN_VALUE)
        explain_say(e, byte == '}' ? "'}' without '{'" : "']' without '['", NULL);
    else if (byte != own)
        explain_say(e, byte == '}' ? "'}' closes an array" : "']' closes an object",
            "brackets must be closed in the order they were opened, each by its own kind");
    else if (e->state == SCAN_KEY || e->state == SCAN_ELEMENT)
        explain_say(e, "trailing comma", "remove the comma before the closing bracket");
    else if (e->state == SCAN_COLON)
        explain_say(e, "key without a value", "members are written \"key\": value");
    else
        explain_say(e, "missing value", "write null if there is none");
}

static void explain_word(struct explain *e)
{
    if (explain_is_key(e->state)) {
        explain_say(e, "key without quotes", "keys need double quotes");
    } else if (explain_begins(e, "NaN") || explain_begins(e, "nan") || explain_begins(e, "Inf") ||
               explain_begins(e, "inf")) {
        explain_say(e, "NaN or Infinity", "JSON has no NaN or Infinity: use null or a string");
    } else if (explain_begins(e, "True") || explain_begins(e, "TRUE") ||
               explain_begins(e, "False") || explain_begins(e, "FALSE") ||
               explain_begins(e, "Null") || explain_begins(e, "NULL")) {
        explain_say(e, "unknown word", "true, false and null are written in lower case");
    } else if (explain_begins(e, "None") || explain_begins(e, "nil") ||
               explain_begins(e, "undefined")) {
        explain_say(e, "unknown word", "the value for nothing is written null");
    } else {
        explain_say(
            e, "unknown word", "text needs double quotes; bare words are true, false and null");
    }
}

/* Letters, digits or a dot right behind a number: it goes on in a way JSON does not know. */
static bool explain_behind_digit(struct explain *e)
{
    const uint8_t byte = *e->at;
    if (!explain_behind_value(e->state) || e->at == e->begin || !scan_is_digit(e->at[-1]))
        return false;
    if (!scan_is_word(byte) && byte != '.' && byte != '+' && byte != '-')
        return false;
    if ((byte | 0x20) == 'x' && e->at[-1] == '0')
        explain_say(e, "hexadecimal number", "numbers are decimal; others go into strings");
    else
        explain_say(e, "malformed number", "numbers look like -12.5e+3; others go into strings");
    return true;
}

static void explain_unexpected(struct explain *e)
{
    const uint8_t byte = *e->at;
    if (explain_foreign(e) || explain_behind_digit(e))
        return;
    if (byte == '}' || byte == ']')
        explain_close(e);
    else if (e->state == SCAN_END)
        explain_say(e, "text behind the value",
            "only one value may stand here; for many write one per line");
    else if (byte == ',' && (explain_is_key(e->state) || e->state == SCAN_ELEMENT))
        explain_say(e, "comma without a value before it", "remove it");
    else if (byte == ',')
        explain_say(e, "unexpected ','", NULL);
    else if (byte == ':' && e->state == SCAN_AFTER_ELEMENT)
        explain_say(e, "unexpected ':'", "members with keys stand in {}, not in []");
    else if (byte == '=' && e->state == SCAN_COLON)
        explain_say(e, "unexpected '='", "a key is followed by ':'");
    else if (scan_is_word(byte) && explain_is_key(e->state))
        explain_say(e, "key without quotes", "keys need double quotes");
    else if (byte == '+')
        explain_say(e, "unexpected '+'", "numbers have no leading plus");
    else if (byte == '.')
        explain_say(e, "unexpected '.'", "numbers begin with a digit: 0.5");
    else if ((byte == '"' || byte == '{' || byte == '[' || byte == '-' || scan_is_word(byte)) &&
             explain_behind_value(e->state))
        explain_say(e, "missing comma", "put a comma between two values");
    else
        explain_say(e, "unexpected character", NULL);
}

static void explain_ended(struct explain *e)
{
    if (e->state == SCAN_VALUE)
        explain_want(e, "no value: the text is empty", "a value", NULL);
    else
        explain_say(e, "the text ends too early",
            explain_in_object(e->state) ? "an object is not closed: '}' is missing"
                                        : "an array is not closed: ']' is missing");
}

static void explain_control(struct explain *e)
{
    const uint8_t byte = *e->at;
    const char *hint = "write it as \\u00XX";
    if (byte == '\n' || byte == '\r')
        hint = "write a line break as \\n; or is the closing quote missing?";
    else if (byte == '\t')
        hint = "write a tab as \\t";
    else if (byte == '\0')
        hint = "write it as \\u0000; or is this UTF-16 or binary data?";
    explain_want(e, "control character in a string", "an escape", hint);
}

static void explain_escape(struct explain *e)
{
    const uint8_t byte = e->at[1];
    if (byte == 'u') {
        explain_want(e, "escape without its digits", "four hexadecimal digits after \\u", NULL);
        return;
    }
    const char *hint = "write a backslash itself as \\\\";
    if (byte == '\'')
        hint = "a single quote needs no backslash";
    else if (byte == 'x')
        hint = "write \\u00XX";
    explain_want(e, "unknown escape", "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX", hint);
}

static void explain_surrogate(struct explain *e)
{
    const int unit = scan_hex4(e->at + 2);
    const char *hint = "characters beyond U+FFFF are two escapes, like \\ud83d\\ude00";
    if ((unit & 0xfc00) == 0xd800)
        explain_want(e, "high surrogate without a low one behind it", "\\uDC00 to \\uDFFF", hint);
    else
        explain_want(e, "low surrogate without a high one before it", "\\uD800 to \\uDBFF", hint);
}

static void explain_utf8(struct explain *e)
{
    const uint8_t lead = e->at[0];
    const uint8_t second = e->end - e->at > 1 ? e->at[1] : 0;
    const bool goes_on = (second & 0xc0) == 0x80;
    const char *problem = "cut-off UTF-8 sequence";
    if (lead < 0xc0)
        problem = "UTF-8 continuation byte without a first one";
    else if (lead > 0xf4 || (lead == 0xf4 && goes_on && second > 0x8f))
        problem = "UTF-8 sequence beyond U+10FFFF";
    else if (lead < 0xc2 || (lead == 0xe0 && goes_on && second < 0xa0) ||
             (lead == 0xf0 && goes_on && second < 0x90))
        problem = "overlong UTF-8 sequence";
    else if (lead == 0xed && goes_on && second > 0x9f)
        problem = "surrogate in UTF-8";
    explain_want(e, problem, "well-formed UTF-8", "is the text in another encoding? Convert it");
}

static void explain_problem(struct explain *e, enum scan_problem problem)
{
    switch (problem) {
    case SCAN_OK:
    case SCAN_UNEXPECTED: explain_unexpected(e); break;
    case SCAN_ENDED: explain_ended(e); break;
    case SCAN_DEPTH:
        explain_want(e, "nested deeper than " TEXT_OF(LIMIT_JSON_DEPTH) " levels",
            "at most " TEXT_OF(LIMIT_JSON_DEPTH) " open brackets", NULL);
        break;
    case SCAN_WORD: explain_word(e); break;
    case SCAN_NUMBER:
        explain_want(e, "number breaks off", "a digit", "numbers look like -12.5e+3");
        break;
    case SCAN_ZERO:
        explain_want(e, "number with a leading zero", "no digit after a leading 0",
            "remove the zero, or put the number into double quotes");
        break;
    case SCAN_CONTROL: explain_control(e); break;
    case SCAN_ESCAPE: explain_escape(e); break;
    case SCAN_SURROGATE: explain_surrogate(e); break;
    case SCAN_UTF8: explain_utf8(e); break;
    case SCAN_STRING:
        explain_want(e, "the text ends inside a string", "'\"'", "the closing quote is missing");
        break;
    }
}

void scan_explain(
    const uint8_t *text, size_t len, const struct scan_fault *fault, struct json_error *out_error)
{
    size_t line = 1;
    size_t line_begin = 0;
    const uint8_t *feed = text;
    while ((feed = memchr(feed, '\n', fault->offset - (size_t)(feed - text))) != NULL) {
        feed++;
        line++;
        line_begin = (size_t)(feed - text);
    }

    out_error->offset = fault->offset;
    out_error->line = line;
    out_error->column = fault->offset - line_begin + 1;
    out_error->expected = explain_expected(fault->state);
    struct explain e = {text, text + fault->offset, text + len, fault->state, out_error};
    explain_problem(&e, fault->problem);
}

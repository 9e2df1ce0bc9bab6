/* The scanners behind json_compact(), one a file, and what explains their refusals.
 *
 * scan_portable() is the whole truth: it accepts exactly JSON and knows where a text goes wrong.
 * An accelerated scanner only says "yes, and here is the compact text" or "ask scan_portable()";
 * so it carries no positions, and may hand over what it does not care to handle. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "json/json.h"

/* What the grammar waits for. */
enum scan_state {
    SCAN_VALUE,         /* the one value of the text */
    SCAN_FIRST_KEY,     /* behind '{' */
    SCAN_KEY,           /* behind ',' in an object */
    SCAN_COLON,         /* behind a key */
    SCAN_MEMBER,        /* behind ':' */
    SCAN_AFTER_MEMBER,  /* behind a value in an object */
    SCAN_FIRST_ELEMENT, /* behind '[' */
    SCAN_ELEMENT,       /* behind ',' in an array */
    SCAN_AFTER_ELEMENT, /* behind a value in an array */
    SCAN_END,           /* behind the one value */
};

enum scan_problem {
    SCAN_OK,
    SCAN_UNEXPECTED, /* a byte that cannot stand here */
    SCAN_ENDED,      /* the text ends before its value does */
    SCAN_DEPTH,      /* one bracket too many */
    SCAN_WORD,       /* letters that are not true, false or null */
    SCAN_NUMBER,     /* a number breaks off: a digit was needed */
    SCAN_ZERO,       /* a digit behind a leading zero */
    SCAN_CONTROL,    /* a control character in a string */
    SCAN_ESCAPE,     /* an unknown escape, or one without its digits */
    SCAN_SURROGATE,  /* an escaped surrogate that is alone */
    SCAN_UTF8,       /* bytes that are not UTF-8 */
    SCAN_STRING,     /* the text ends inside a string */
};

struct scan_fault {
    enum scan_problem problem;
    enum scan_state state; /* what was waited for when it happened */
    size_t offset;
};

/* As json_compact(), one byte at a time. */
bool scan_portable(
    const uint8_t *text, size_t len, uint8_t *out, size_t *out_len, struct scan_fault *out_fault);

/* A fast scanner: true is final; false means nothing but "not by me". It accepts every JSON text
 * that begins with a bracket and, without the blanks around it, has SCAN_FAST_MIN bytes. */
#define SCAN_FAST_MIN 16
typedef bool scan_function(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len);

/* The best one for this CPU, or NULL. */
scan_function *scan_accelerated(void);

/* Puts a refusal into words. */
void scan_explain(
    const uint8_t *text, size_t len, const struct scan_fault *fault, struct json_error *out_error);

/* The length of the "\uXXXX" at `at`, which points to its backslash: 6, or 12 for a surrogate
 * pair; 0 if it is cut off, has no four digits, or is a surrogate alone. */
size_t scan_unicode_escape(const uint8_t *at, const uint8_t *end);

/* The length of the UTF-8 sequence at `at` (2 to 4, the byte is not ASCII), or 0 if it is none. */
size_t scan_utf8(const uint8_t *at, const uint8_t *end);

/* The value of four hexadecimal digits, or -1. */
int scan_hex4(const uint8_t digits[static 4]);

static inline bool scan_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline bool scan_is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Letters, digits and '_': what people take for a word, or for part of a number. */
static inline bool scan_is_word(uint8_t byte)
{
    return scan_is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '_';
}

#endif

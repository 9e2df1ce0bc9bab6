/* Reading compact JSON text in place.
 *
 * The text was validated and compacted once (json_compact), so nothing here validates it again:
 * a value is found by skipping what comes before it. Nothing here trusts it either. The text may
 * come from a damaged file: a reader never goes beyond the view it was given, always ends, and
 * answers "nothing there" (false, JSON_DAMAGED) where the text is not what it should be.
 *
 * Nothing allocates but json_unescape. Values point into the text they were read from. */
#ifndef JSON_SPAN_H
#define JSON_SPAN_H

#include "base/buf.h"
#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which jq sorts values of different kinds. */
enum json_kind {
    JSON_DAMAGED = 0,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_value {
    enum json_kind kind;
    bool escaped;     /* a string with at least one backslash */
    struct view text; /* all of it: a string with its quotes */
};

/* The value whose text this is. Kind from the first byte alone; the rest is believed. */
struct json_value json_value_of(struct view text);

/* The bytes between the quotes of a string or key, escapes as written. */
static inline struct view json_inner(struct json_value string)
{
    return string.text.len < 2 ? view_of("", 0)
                               : view_of(string.text.data + 1, string.text.len - 2);
}

/* Reads the value that begins at `at`; returns the first byte behind it, NULL for damage. */
const uint8_t *json_read(const uint8_t *at, const uint8_t *end, struct json_value *out_value);

/* The member of an object with this (plain, unescaped) name; of several, the last one, as in jq.
 * False where there is none, or object is no object. About 4 ns a member. */
bool json_find(struct view object, struct view name, struct json_value *out_value);

/* Members or elements, one after the other:
 *
 *     struct json_walk walk = json_walk(text);
 *     while (json_next_member(&walk, &key, &value)) ...      of an object
 *     while (json_next_element(&walk, &value)) ...           of an array
 *     if (walk.damaged) ...
 */
struct json_walk {
    const uint8_t *at; /* the next item; NULL behind the last one */
    const uint8_t *end;
    bool damaged;
};

struct json_walk json_walk(struct view container);
bool json_next_member(
    struct json_walk *walk, struct json_value *out_key, struct json_value *out_value);
bool json_next_element(struct json_walk *walk, struct json_value *out_value);

/* The element with this index; negative ones count from the end. */
bool json_element(struct view array, int64_t index, struct json_value *out_value);

/* How many members or elements; members of the same name are counted each. */
size_t json_count(struct view container);

/* A string's content, byte by byte with escapes resolved. An escaped lone surrogate, which valid
 * text does not have, is read as U+FFFD. */
struct json_bytes {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t pending[4];
    uint8_t n_pending;
    bool damaged; /* stopped at an escape that is none */
};

static inline struct json_bytes json_bytes(struct json_value string)
{
    const struct view inner = json_inner(string);
    return (struct json_bytes){.at = inner.data, .end = inner.data + inner.len};
}

int json_next_byte(struct json_bytes *bytes); /* 0..255, or -1 at the end */

/* Compares a string's content with plain bytes, or with another string's: by bytes, which for
 * UTF-8 is the order of code points. */
bool json_string_is(struct json_value string, struct view plain);
int json_string_compare(struct json_value a, struct json_value b);

/* Number of code points. */
size_t json_string_length(struct json_value string);

/* Appends a string's content to buf. -1: out of memory. */
int json_unescape(struct json_value string, struct buf *buf);

/* A number as the nearest double (ties to even), whatever the locale; infinite where it is too
 * large. False if the text is not a number. */
bool json_double(struct view number, double *out_value);

/* A number that is written as an integer and fits. False for 1.0, 1e3 and for larger ones. */
bool json_u64(struct view number, uint64_t *out_value);
bool json_i64(struct view number, int64_t *out_value);

#endif

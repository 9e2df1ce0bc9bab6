/* JSON text: validated and compacted in one pass, read by spans, written into a buffer.
 *
 * The text stays what its author wrote: numbers keep their digits (1E5, -0, 30-digit integers),
 * strings keep their escapes, objects keep their order and their duplicate keys. Only blanks
 * outside strings go. Grammar: RFC 8259; strings must be well-formed UTF-8, and escaped
 * surrogates must come in pairs; nesting ends at LIMIT_JSON_DEPTH. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/buf.h"
#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where and why a text is not JSON. Meant to be read as one sentence:
 * "line 3, column 17 (byte 58): unexpected '}', expected a string as key; <hint>". */
struct json_error {
    size_t offset;        /* of the offending byte; the text's length if it ends too early */
    size_t line;          /* from 1; a line ends with LF */
    size_t column;        /* from 1, in bytes */
    const char *problem;  /* "trailing comma", ...: static text */
    const char *expected; /* "',' or '}' after a member": static text; NULL if nothing helps */
    const char *hint;     /* "strings need double quotes": static text, or NULL */
};

/* Compacting may write up to this many bytes behind the compact text. */
#define JSON_SLACK 64

/* Validates text as exactly one JSON value, blanks around it allowed, and writes its compact
 * form to out, which has room for len + JSON_SLACK bytes and does not overlap text.
 * Returns true and sets *out_len; false: *out_error says why (out's content is undefined).
 * Reads nothing beyond text + len. Allocates nothing. out_error may be NULL.
 *
 * Texts that begin with an object or an array take the fast path where the CPU has AVX2; other
 * values, very short texts, and every refused one take the byte-wise one. */
bool json_compact(
    const uint8_t *text, size_t len, uint8_t *out, size_t *out_len, struct json_error *out_error);

/* Whether the first byte of this compact text begins an object. */
static inline bool json_is_object(struct view compact)
{
    return compact.len > 0 && compact.data[0] == '{';
}

/* Finds where the first value in a text that is still growing ends, so that values which run
 * over several lines can be cut out of a stream. Start from {0}; feed the same text again,
 * longer, until the end is found: bytes looked at once are not looked at again. To go on to the
 * next value, begin from {0} at the text behind the end.
 *
 * Only brackets and strings are followed. The text found is not validated: whatever is wrong
 * in it, json_compact() says. Nothing but a closing bracket, or a comma or colon between
 * values, is an "end" too, so that the caller is never stuck on it. */
struct json_end {
    size_t offset; /* how far the text is known */
    size_t depth;  /* open brackets */
    uint8_t state; /* private */
};

/* Returns true and sets *out_len to the length of blanks and value together; false: the value
 * goes on behind len, or there is none yet. `complete`: no more text will come, so that a
 * number at the very end of the text counts; an unfinished value is still false. */
bool json_end_find(
    struct json_end *end, const uint8_t *text, size_t len, bool complete, size_t *out_len);

/* Whether json_end_find() has seen nothing but blanks so far. */
bool json_end_is_blank(const struct json_end *end);

#endif

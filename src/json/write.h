/* Writing JSON text into a buffer.
 *
 *     struct json_writer writer = json_writer(&buf);
 *     json_object_begin(&writer);
 *     json_key(&writer, "name");
 *     json_str(&writer, "demo");
 *     json_object_end(&writer);
 *     if (json_writer_failed(&writer))
 *         return error_oom(err);
 *
 * Commas and colons come by themselves; the caller keeps the order of calls right (a key before
 * each member, an end for each begin). Text is compact. Out of memory is remembered and asked
 * for once, at the end.
 *
 * Strings are written with `"` `\` and control characters escaped (\b \f \n \r \t, else \u00xx)
 * and everything else as it is: they have to be UTF-8, or go through json_string_lossy. */
#ifndef JSON_WRITE_H
#define JSON_WRITE_H

#include "base/buf.h"
#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
    struct buf *buf;
    bool comma;  /* something precedes on this level */
    bool failed; /* memory was out */
};

static inline struct json_writer json_writer(struct buf *buf)
{
    return (struct json_writer){.buf = buf};
}

static inline bool json_writer_failed(const struct json_writer *writer)
{
    return writer->failed;
}

void json_object_begin(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer);
void json_array_end(struct json_writer *writer);

void json_key(struct json_writer *writer, const char *key);
void json_key_view(struct json_writer *writer, struct view key);

void json_string(struct json_writer *writer, struct view string);
void json_str(struct json_writer *writer, const char *string);

/* Each part that is not UTF-8 becomes U+FFFD: for file names and output of other programs. */
void json_string_lossy(struct json_writer *writer, struct view string);

void json_uint(struct json_writer *writer, uint64_t value);
void json_int(struct json_writer *writer, int64_t value);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);

/* The fewest digits that read back as the same double: 0.1, 3.0, 1.5e+300, 1e-6, -0.0. Infinite
 * and NaN, which JSON cannot say, become null. */
void json_number(struct json_writer *writer, double value);

/* Compact JSON text, as it is. */
void json_raw(struct json_writer *writer, struct view text);

/* The longest text json_format_double() writes, without a NUL. */
#define JSON_DOUBLE_MAX 32

/* The text of a finite double as in json_number; returns its length. */
size_t json_format_double(double value, char out[static JSON_DOUBLE_MAX]);

/* Whether all of it is well-formed UTF-8 (RFC 3629). */
bool json_is_utf8(struct view text);

/* Appends a string with its quotes. -1: out of memory. */
int json_quote(struct buf *buf, struct view string);

/* Appends compact text with line breaks and an indent of two blanks; with colour, each token
 * in ANSI colours. Text that is not JSON gives some text, but harms nothing. -1: out of memory. */
int json_pretty(struct view compact, bool colour, struct buf *buf);

#endif

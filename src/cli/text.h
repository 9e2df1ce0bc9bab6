/* Text that is built whole and written once: tables, JSON documents, errors, help.
 *
 * A failed allocation is remembered instead of being checked at each step: text_write() reports
 * it. For the paths that do not run often. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

struct text {
    struct buf buf;
    bool failed;
};

void text_fini(struct text *text);

static inline void text_fini_scoped(struct text *text)
{
    text_fini(text);
}

void text_put(struct text *text, const void *data, size_t len);
void text_str(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_pad(struct text *text, size_t n_blanks);
void text_u64(struct text *text, uint64_t number);

/* A JSON string with its quotes. Bytes that are not UTF-8 (file names may be anything) become
 * U+FFFD, so that what we print is always JSON. */
void text_json(struct text *text, struct view string);
void text_json_str(struct text *text, const char *string);

/* RFC 3339 as JSON shows it; and whole seconds, as people read it. */
void text_time(struct text *text, uint64_t time_ns);
void text_time_seconds(struct text *text, uint64_t time_ns);

/* The length of the control character at the front, 0 if there is none: those below 0x20, DEL,
 * U+0080 to U+009F, which some terminals obey, and U+202A to U+202E and U+2066 to U+2069, which
 * turn the order of what is shown around. *out_code is its number. */
size_t text_control(struct view text, unsigned *out_code);

/* Makes bytes that came from outside safe for a terminal and for lines of text: control characters
 * become \n, \r, \t or \u001b, bytes that are not UTF-8 \x9b. */
void text_printable(struct text *text, struct view string);

/* Writes all of it; -1: Io or out of memory. */
int text_write(const struct text *text, int fd, plsm_error_t **err);

#endif

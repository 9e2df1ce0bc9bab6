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

/* Makes bytes that came from outside safe for a terminal: control characters become '?', line
 * ends "\n" and "\r". */
void text_printable(struct text *text, struct view string);

/* Writes all of it; -1: Io or out of memory. */
int text_write(const struct text *text, int fd, plsm_error_t **err);

#endif

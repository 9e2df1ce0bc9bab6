/* Output of the commands that print much: one buffer of 64 KiB before one descriptor.
 *
 * At most OUT_BATCH bytes lie unwritten, and the holder flushes before anything that may wait,
 * so that a reader sees every message at once and a slow one holds us back at once. Room is
 * reserved, filled in place and committed; what was not committed was never there. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define OUT_BATCH 65536u

struct out {
    int fd;
    uint8_t *data; /* OUT_BATCH bytes, or more for one large message */
    size_t len;
    size_t capacity;
};

/* Writes to fd, which stays the caller's. */
void out_init(struct out *out, int fd);
void out_fini(struct out *out); /* drops what was not flushed */

static inline void out_fini_scoped(struct out *out)
{
    out_fini(out);
}

/* The slow half of out_reserve. */
uint8_t *out_make_room(struct out *out, size_t n, plsm_error_t **err);

/* Room for n bytes, behind those already there. NULL: *err is set. */
static inline uint8_t *out_reserve(struct out *out, size_t n, plsm_error_t **err)
{
    if (__builtin_expect(n <= out->capacity - out->len && out->len < OUT_BATCH, 1))
        return out->data + out->len;
    return out_make_room(out, n, err);
}

static inline void out_commit(struct out *out, size_t n)
{
    out->len += n;
}

int out_put(struct out *out, const void *data, size_t len, plsm_error_t **err);

/* Writes all that is buffered. */
int out_flush(struct out *out, plsm_error_t **err);

/* write() until everything is out. A reader that closed its end stops the program quietly, with
 * the status a shell shows for SIGPIPE, where that signal was ignored before we were started.
 * -1: Io. */
int out_write_all(int fd, const void *data, size_t len, plsm_error_t **err);

#endif

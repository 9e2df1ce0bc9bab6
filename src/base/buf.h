/* A growing byte buffer that its holder owns.
 *
 * The zero state {0} is empty and owns nothing. Functions that may grow it return 0, or -1 when
 * memory is out (the content is then unchanged): callers turn that into an error with
 * error_oom(). Growth doubles, so n appended bytes cost O(n). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/scoped.h"
#include "base/view.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

/* Makes room for n more bytes behind len. */
int buf_grow(struct buf *buf, size_t n);

static inline int buf_reserve(struct buf *buf, size_t n)
{
    return n <= buf->capacity - buf->len ? 0 : buf_grow(buf, n);
}

static inline int buf_append(struct buf *buf, const void *data, size_t len)
{
    if (buf_reserve(buf, len) < 0)
        return -1;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return 0;
}

static inline int buf_append_str(struct buf *buf, const char *string)
{
    return buf_append(buf, string, strlen(string));
}

/* Appends printf-formatted text (without a NUL). */
int buf_appendf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct view buf_view(const struct buf *buf)
{
    return view_of(buf->data, buf->len);
}

/* Frees the bytes and returns to the zero state. */
void buf_fini(struct buf *buf);

static inline void buf_fini_scoped(struct buf *buf)
{
    buf_fini(buf);
}

#endif

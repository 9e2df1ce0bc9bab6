#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int buf_grow(struct buf *buf, size_t n)
{
    if (n > SIZE_MAX - buf->len)
        return -1;

    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < buf->len + n) {
        if (capacity > SIZE_MAX / 2)
            return -1;
        capacity *= 2;
    }

    uint8_t *data = realloc(buf->data, capacity);
    if (data == NULL)
        return -1;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int buf_appendf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || buf_reserve(buf, (size_t)len + 1) < 0)
        return -1;

    va_start(args, format);
    vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

/* A borrowed run of bytes. Who owns them, and until when, is said where a view is handed out. */
#ifndef BASE_VIEW_H
#define BASE_VIEW_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct view {
    const uint8_t *data;
    size_t len;
};

static inline struct view view_of(const void *data, size_t len)
{
    return (struct view){data, len};
}

/* The view of a NUL-terminated string, without the NUL. */
static inline struct view view_str(const char *string)
{
    assert(string != NULL);
    return view_of(string, strlen(string));
}

static inline bool view_equal(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif

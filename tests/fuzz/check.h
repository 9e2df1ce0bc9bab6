/* What the targets share: properties that are told before the program ends, and inputs that are
 * read piece by piece. */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include "base/buf.h"
#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program where a property does not hold, in every build. */
#define check(right) ((right) ? (void)0 : check_failed(__FILE__, __LINE__, #right))

_Noreturn static inline void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

/* The next bytes of an input; fewer where it ends. */
static inline struct view input_bytes(struct view *input, size_t len)
{
    const struct view taken = view_of(input->data, len < input->len ? len : input->len);
    *input = view_of(input->data + taken.len, input->len - taken.len);
    return taken;
}

/* Numbers, little-endian; what the input does not have any more is 0. */
static inline uint64_t input_number(struct view *input, size_t n_bytes)
{
    const struct view taken = input_bytes(input, n_bytes);
    uint64_t number = 0;
    for (size_t i = 0; i < taken.len; i++)
        number |= (uint64_t)taken.data[i] << (8 * i);
    return number;
}

static inline uint8_t input_u8(struct view *input)
{
    return (uint8_t)input_number(input, 1);
}

/* The same bytes in memory of exactly their size, so that the sanitizers see what reads beyond
 * them. To be released by bytes_free(). */
static inline struct view bytes_copy(struct view bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    check(copy != NULL);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return view_of(copy, bytes.len);
}

static inline void bytes_free(struct view bytes)
{
    uint8_t *data;
    memcpy(&data, &bytes.data, sizeof(data)); /* it came from malloc in bytes_copy() */
    free(data);
}

/* As a C string: up to the first NUL. To be released by free(). */
static inline char *bytes_string(struct view bytes)
{
    char *string = strndup((const char *)bytes.data, bytes.len);
    check(string != NULL);
    return string;
}

#endif

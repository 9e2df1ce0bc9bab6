/* Where a JSON value ends, while its text is still arriving.
 *
 * A pushdown automaton over the structure of JSON: it sees brackets, strings, separators and
 * runs of other characters, remembers where it stands between two pieces of text, and looks at
 * every byte once. What it lets pass may still be wrong inside (a misspelt literal, bad UTF-8);
 * json_compact() has the last word. What it refuses is never JSON, whatever follows. */
#ifndef CLI_EXTENT_H
#define CLI_EXTENT_H

#include "base/limits.h"

#include <stddef.h>
#include <stdint.h>

enum {
    EXTENT_MORE = 0, /* a beginning: the value goes on */
    EXTENT_DONE = 1, /* one whole value */
    EXTENT_DEAD = 2, /* no JSON value begins like this */
};

struct extent {
    uint8_t state;
    uint8_t string_state; /* where to go on behind the string */
    uint16_t depth;
    uint8_t objects[LIMIT_JSON_DEPTH / 8 + 1]; /* a bit for each level: an object, not an array */
};

void extent_init(struct extent *extent);

/* Reads on. *out_used is how many bytes belong to the value (DONE) or lead to the offending
 * byte (DEAD, and so it stays); all of them with MORE. Blanks before the value belong to it. A number or literal
 * outside brackets ends only with the byte behind it: see extent_finish. */
int extent_feed(struct extent *extent, const uint8_t *text, size_t len, size_t *out_used);

/* The caller knows better: DEAD from now on. */
void extent_refuse(struct extent *extent);

/* The text is at its end: DONE if that ends a number or literal, MORE if the value is cut off. */
int extent_finish(const struct extent *extent);

#endif

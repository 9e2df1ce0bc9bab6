/* Lite3: messages as a binary tree of members, which programs read in place without parsing.
 *
 *     {"meta":{"tags":["a"]},"data":{...}}
 *
 * is one payload: one run of bytes in which offsets count from its start. Objects and arrays are
 * B-trees of nodes of 96 bytes, members ordered by the hash of their keys. docs/lite3.md describes
 * every byte.
 *
 * Readers take any bytes: they never go beyond the payload, follow no circle, end in time that is
 * proportional to its length, and need memory for its nesting alone. Bytes behind the last used
 * one do not matter to them. */
#ifndef JSON_LITE3_H
#define JSON_LITE3_H

#include "base/buf.h"
#include "base/view.h"

#include <stddef.h>
#include <stdint.h>

/* Outcomes beside -1, which here is always: out of memory. */
enum {
    LITE3_OK = 0,
    LITE3_FAULT = 1, /* *out_fault says why */
};

struct lite3_fault {
    const char *problem; /* "data is not object": static text */
    size_t offset;       /* in the payload; when writing: 0 */
};

/* Whether the payload is a message, and sound in all its parts: those that are not needed here,
 * too. What it accepts, the two functions below read. */
int lite3_check(struct view payload, struct lite3_fault *out_fault);

/* Append what the message says as compact JSON text: its tags, an array of strings; its data, an
 * object, members in the order of the tree. Check what they read. On failure, *out is as before. */
int lite3_message_tags(struct view payload, struct buf *out, struct lite3_fault *out_fault);
int lite3_message_data(struct view payload, struct buf *out, struct lite3_fault *out_fault);

/* Writes a message into an empty buffer, from compact JSON: tags (an array of strings; empty: no
 * tags) and data (an object). Of members with the same name the last one counts; integers that do
 * not fit 64 bits, with sign, become doubles.
 *
 * LITE3_FAULT where Lite3 cannot say it: nested deeper than 32 levels (data itself is the second),
 * a number beyond all doubles, an object with more than 128 keys of one hash, 4 GiB. */
int lite3_from_json(
    struct view tags, struct view data, struct buf *out, struct lite3_fault *out_fault);

#endif

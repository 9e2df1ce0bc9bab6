/* A stream of bytes into messages, one for each line:
 *
 *     {"kind":"line","line":"text","stream":"stdout"}
 *
 * The bytes are whatever a program prints: they come in pieces that end anywhere, what is not
 * UTF-8 becomes U+FFFD, control characters are escaped, and the carriage returns before the end
 * of a line are dropped. Messages leave in batches; what is not ended yet waits as finished JSON
 * text at the front of the buffer, so that each byte is looked at once.
 *
 * A line that is longer than one message can be is stored in parts, as many messages with
 * "part":1, "part":2, ... of which all but the last have "more":true. Parts are small against the
 * ring, so that a pool keeps about as much of such a line as it has room for; they end between
 * characters. Memory: one message, and one batch. */
#ifndef CLI_TAP_LINES_H
#define CLI_TAP_LINES_H

#include "base/buf.h"
#include "base/error.h"
#include "base/view.h"
#include "engine/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes a batch; the views in it are good until it returns. 0 or -1. */
typedef int lines_append_function(
    void *context, const struct message *messages, size_t n_messages, plsm_error_t **err);

struct lines {
    lines_append_function *append;
    void *context;
    struct view tags;
    char tail[32]; /* what ends each message: ,"stream":"stdout"} */
    size_t tail_len;
    uint64_t batch_max; /* bytes of ring that a batch takes at most, unless it is one message */
    size_t whole_max;   /* bytes of JSON text of a line that is stored in one */
    size_t part_max;    /* the same of a part */

    struct buf text; /* the messages of the batch, then the beginning of the unfinished one */
    size_t start;    /* of the unfinished one, if there is one */
    bool unfinished;
    uint64_t n_parts; /* of the unfinished line, that are stored */
    struct message *messages;
    size_t n_messages;
    uint64_t batch_bytes; /* of ring */
    uint64_t n_lines;     /* that have ended */
};

/* Whether messages with these tags fit into the ring at all, with a line worth its name. */
bool lines_fit(struct view tags, uint64_t ring_size);

/* stream: "stdout", or a name as short. tags and context are borrowed. -1: out of memory. lines_fini() in every case. */
int lines_init(struct lines *lines, const char *stream, struct view tags, uint64_t ring_size,
    lines_append_function *append, void *context, plsm_error_t **err);

void lines_fini(struct lines *lines);

/* Takes bytes; all lines that end in them have left when it returns. The last few bytes may be
 * the beginning of a character: these are not used and have to come again, in front of what
 * follows. final: nothing will follow. -1: out of memory, or what append() said. */
int lines_put(
    struct lines *lines, struct view bytes, bool final, size_t *out_used, plsm_error_t **err);

/* No more bytes will come: a line that has begun ends here. */
int lines_end(struct lines *lines, plsm_error_t **err);

#endif

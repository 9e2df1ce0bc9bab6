/* A stream: a cursor of its own over a pool of its own, and what its reader wants of it. */
#ifndef ABI_STREAM_H
#define ABI_STREAM_H

#include "abi/abi.h"
#include "client/select.h"
#include "engine/bell.h"

#include <stdatomic.h>

struct plsm_stream {
    struct pool *pool;
    struct cursor cursor;
    struct cursor before; /* where the cursor stood before the message taken last */
    struct frame pending; /* taken already, by plsm_stream_wait */
    bool has_pending;
    struct select select;    /* tags and filters */
    char **tags;             /* the strings of its tags, owned */
    uint64_t n_left;         /* messages still to deliver; UINT64_MAX: no end */
    uint64_t deadline_ns;    /* counted from opening */
    uint64_t idle_ns;        /* DEADLINE_NEVER: as long as it takes */
    uint64_t idle_until_ns;  /* the end, unless a message comes before */
    uint64_t position;       /* the seq to go on with */
    uint64_t n_dropped;      /* messages lost to writers */
    uint64_t dropped_at_pos; /* the gap counted last, so that it is counted once */
    bool gap_is_error;
    bool gap_failed; /* the error just made is that of a gap */
    bool ended;
    atomic_bool cancelled;
    struct bell *bell;   /* of plsm_stream_fd; else NULL */
    bool file_is_broken; /* plsm_stream_wait saw so; whoever takes next is told */
};

enum {
    STREAM_ENDED = 0,
    STREAM_FRAME = 1,
    STREAM_NOT_YET = 2, /* until_ns has passed, or a signal handler ran */
};

/* Takes the next message that is wanted, in place. Waits for it until until_ns, or for good if
 * that is DEADLINE_NEVER; ends with the stream's own deadlines.
 *
 * STREAM_FRAME: *out_frame. If it turns out to be overwritten, stream_step_back(); else
 * stream_taken(). -1: RetentionGap, Corrupt, Io, Usage (a filter); if the caller is not to hear
 * of it now, stream_step_back(), else stream_failed(). */
int stream_take(
    plsm_stream_t *stream, uint64_t until_ns, struct frame *out_frame, plsm_error_t **err);

/* What was taken, or failed, last counts as not looked at. */
void stream_step_back(plsm_stream_t *stream);

/* The frame taken last was delivered. */
void stream_taken(plsm_stream_t *stream, const struct frame *frame);

/* An error was given to the caller: after a gap the stream has ended. Returns -1. */
int stream_failed(plsm_stream_t *stream);

#endif

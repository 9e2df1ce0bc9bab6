/* Records out of a stream of text: JSON Lines, one JSON document, RFC 7464 sequences,
 * server-sent events, values one behind the other. Each record comes out as validated compact
 * JSON, or as a bad one with its reason.
 *
 * The reader is pulled, and tells its caller before it would have to wait: what is complete is
 * handed out first, so that a slow stream's records leave at once and a fast one's in batches.
 *
 *     for (;;) switch (ingest_next(&ingest, &record)) {
 *     case INGEST_RECORD: keep record.data; it stays valid until ingest_release()
 *     case INGEST_BAD: record.reason, record.snippet
 *     case INGEST_FULL: deal with the records kept; ingest_release(); go on
 *     case INGEST_WAIT: the same, then ingest_read(), which may block
 *     case INGEST_END: done
 *     }
 *
 * Memory: one input block, one record (LIMIT_RECORD_BYTES), one block of results. */
#ifndef CLI_INGEST_H
#define CLI_INGEST_H

#include "base/buf.h"
#include "base/error.h"
#include "base/view.h"
#include "cli/extent.h"
#include "json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ingest_mode {
    INGEST_AUTO, /* until the first line says which of the others */
    INGEST_JSONL,
    INGEST_LINES, /* JSON Lines as `auto` reads them: values may run over several lines */
    INGEST_JSON,
    INGEST_SEQ,
    INGEST_EVENTS,
    INGEST_JQ,
};

enum {
    INGEST_RECORD = 0,
    INGEST_BAD = 1,
    INGEST_FULL = 2,
    INGEST_WAIT = 3,
    INGEST_END = 4,
};

enum ingest_reason {
    INGEST_PARSE,
    INGEST_OVERSIZE,
};

struct ingest_record {
    struct view data; /* compact JSON */
    uint64_t index;   /* from 1, bad ones count too */
    uint64_t line;    /* where it began, from 1; 0: the mode knows no lines */
    enum ingest_reason reason;
    struct view text;        /* the record as it came, or what is there of a large one; valid */
                             /* until the next call */
    struct json_error error; /* for INGEST_PARSE */
};

struct ingest {
    int fd;
    enum ingest_mode mode;
    bool skip;  /* bad records are stepped over: changes where a broken one ends */
    bool ended; /* no more input will come */
    struct buf input;
    size_t at;      /* input before this is done with */
    size_t scanned; /* bytes behind `at` in which no end of the record was found */
    struct buf results;
    uint64_t n_bytes; /* read so far */
    uint64_t n_records;
    uint64_t n_lines;     /* read so far */
    bool started;         /* a byte order mark, if there was one, is behind us */
    bool discarding;      /* the rest of an oversize record */
    bool absorbing;       /* lines that belong to a broken record of several lines */
    struct extent extent; /* of the value that is still arriving */
    size_t record_len;    /* bytes of a record of several lines, so far; 0: there is none */
    uint64_t record_line; /* where it began */
    size_t split_len;     /* bytes left of a line of several values */
    struct buf event;     /* data lines of the present event */
    bool event_has_data;
    bool event_too_long; /* it was reported; the rest of it is dropped */
    struct buf lossy;    /* a record with its broken UTF-8 replaced */
};

void ingest_init(struct ingest *ingest, int fd, enum ingest_mode mode, bool skip);
void ingest_fini(struct ingest *ingest);

static inline void ingest_fini_scoped(struct ingest *ingest)
{
    ingest_fini(ingest);
}

/* One of INGEST_*, or -1: out of memory. Never reads, never waits. */
int ingest_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err);

/* The records handed out so far are no longer needed. */
void ingest_release(struct ingest *ingest);

/* Reads what there is, or waits for it. 0, or -1 with errno as the error's cause (Io). */
int ingest_read(struct ingest *ingest, plsm_error_t **err);

/* "jsonl", as notices name it. */
const char *ingest_mode_name(enum ingest_mode mode);

/* Appends text to out with every byte that is not UTF-8 replaced by U+FFFD. -1: out of memory. */
int ingest_lossy(struct view text, struct buf *out);

#endif

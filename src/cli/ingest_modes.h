/* What the ways of cutting records out of a stream share; private to ingest*.c. */
#ifndef CLI_INGEST_MODES_H
#define CLI_INGEST_MODES_H

#include "base/limits.h"
#include "cli/ingest.h"

#include <string.h>

#define INGEST_SEPARATOR 0x1e /* before each record of a sequence */

int ingest_lines_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err);
int ingest_json_next(struct ingest *ingest, struct ingest_record *out_record);
int ingest_seq_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err);
int ingest_events_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err);
int ingest_jq_next(struct ingest *ingest, struct ingest_record *out_record);

/* Validates and compacts a whole record: INGEST_RECORD or INGEST_BAD. */
int ingest_finish(
    struct ingest *ingest, struct view text, uint64_t line, struct ingest_record *out_record);

/* The record is larger than LIMIT_RECORD_BYTES. */
int ingest_oversize(
    struct ingest *ingest, struct view text, uint64_t line, struct ingest_record *out_record);

/* Drops input up to and including the next such byte. true: found. */
bool ingest_discard(struct ingest *ingest, uint8_t end);

/* Input that was not dealt with yet. */
static inline struct view ingest_pending(const struct ingest *ingest)
{
    return view_of(ingest->input.data + ingest->at, ingest->input.len - ingest->at);
}

/* The first n bytes of it are dealt with. */
static inline void ingest_take(struct ingest *ingest, size_t n)
{
    ingest->at += n;
    ingest->scanned = 0;
}

static inline size_t ingest_skip_blanks(struct view text)
{
    size_t i = 0;
    while (i < text.len && (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '\r' ||
                               text.data[i] == '\n'))
        i++;
    return i;
}

static inline bool ingest_is_blank(struct view text)
{
    return ingest_skip_blanks(text) == text.len;
}

static inline int ingest_wait_or_end(const struct ingest *ingest)
{
    return ingest->ended ? INGEST_END : INGEST_WAIT;
}

#endif

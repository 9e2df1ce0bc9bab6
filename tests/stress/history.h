/* What many processes did to one pool, and the judge who looks for broken promises in it.
 *
 * Each worker tells its own story in records: what it is about to append, what the append gave it,
 * what it read, lost, flushed, found empty. The judge takes them one by one, in the order of each
 * worker but with the workers mixed in any way, knows nothing of pools, and names what must not
 * be. Its memory does not grow with the number of messages. */
#ifndef STRESS_HISTORY_H
#define STRESS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_SLOTS 32          /* workers at a time */
#define HISTORY_SEQS  (1u << 20)  /* the judge remembers the last so many messages */
#define HISTORY_LIVES (1u << 15)  /* and the last so many lives */
#define HISTORY_ANY   UINT64_C(0) /* a reader that begins at the oldest message */

/* A life is one process, from its start to its end; they are numbered from 1, without holes. Its
 * messages are counted from 1. A slot is where lives follow each other. */
enum record_kind {
    RECORD_START = 1, /* life; reader: seq it begins at, or HISTORY_ANY. By whoever starts it */
    RECORD_END,       /* life; by whoever saw it end */
    RECORD_CALL,      /* life, n, count of the first; seq: the highest acknowledged before */
    RECORD_DONE,      /* life, n, count of the first; seq of the first, time_ns of the last */
    RECORD_FLUSHED,   /* life; seq: position to be made durable; count: how far it is */
    RECORD_SEEN,      /* seq, time_ns; life and count of its writer, n of its batch, left of it */
    RECORD_TORN,      /* seq: a message whose bytes nobody wrote */
    RECORD_GAP,       /* seq of the first one lost, count: seq that comes next */
    RECORD_EMPTY,     /* seq: which comes next; count: the highest acknowledged before the look */
};

struct record {
    uint8_t kind;
    uint8_t n;
    uint8_t left;
    bool writer; /* of RECORD_START */
    uint32_t life;
    uint64_t seq;
    uint64_t count;
    uint64_t time_ns;
};

enum fault {
    FAULT_LOST,      /* a writer's message is not between its neighbours */
    FAULT_DUPLICATE, /* one message, or one seq, twice */
    FAULT_HOLE,      /* a reader passed a seq without a word, or nobody can have written it */
    FAULT_TORN,      /* bytes that nobody wrote, or a batch by half */
    FAULT_REORDERED, /* a writer's messages, or appends that did not overlap, the other way round */
    FAULT_TIME,      /* a message older than the one before it */
    FAULT_MISSING,   /* acknowledged, but not there at the end, or not for a reader who looked */
    FAULT_OTHER,     /* two who saw the same seq saw different messages */
    FAULT_PHANTOM,   /* a message that no living writer ever tried to append */
    FAULT_UNDURABLE, /* a flush returned before what it was asked for was durable */
    FAULT_GAP,       /* lost messages were told that were not next, or none */
    FAULT_HISTORY,   /* the history contradicts itself, or is too long for the judge */
    N_FAULTS,
};

const char *fault_name(enum fault fault);

struct history_counts {
    uint64_t n_acked;   /* messages */
    uint64_t n_appends; /* that returned */
    uint64_t n_orphans; /* messages seen, of writers that died before they could tell of them */
    uint64_t n_unseen;  /* seqs that nobody saw or acknowledged: of the dead, then overwritten */
    uint64_t n_seen;    /* by all readers together */
    uint64_t n_lost;    /* told to be lost, by all readers together */
    uint64_t n_gaps;
    uint64_t n_flushes;
    uint64_t n_empty;
    uint64_t n_faults[N_FAULTS];
    uint64_t n_all_faults;
};

struct history;

/* tell, if not NULL, is called with a sentence for each fault. */
struct history *history_new(void (*tell)(enum fault fault, const char *text));
void history_free(struct history *history);

void history_take(struct history *history, unsigned slot, const struct record *record);

/* No more records will come, all lives have ended, and the pool's next message would be next_seq:
 * every reader should have come so far. */
void history_end(struct history *history, uint64_t next_seq);

const struct history_counts *history_counts(const struct history *history);

#endif

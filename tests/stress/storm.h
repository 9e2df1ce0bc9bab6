/* The storm's parts: workers, who write and read; the supervisor, who kills, stops and replaces
 * them; the judge's process; and what they share. */
#ifndef STRESS_STORM_H
#define STRESS_STORM_H

#include "base/clock.h"
#include "engine/handle.h"
#include "tests/proof/proof.h"
#include "tests/stress/history.h"

#include <stdalign.h>
#include <stdatomic.h>

#define RING_RECORDS 4096u
#define BATCH_MAX    64u
#define TEXT_MAX     2048u
#define WORKERS_MAX  (HISTORY_SLOTS / 2) /* of either kind */
#define BUCKETS      1001u               /* milliseconds; the last: a second and more */

struct options {
    uint64_t writers;
    uint64_t readers;
    uint64_t kill_ms;  /* somebody is killed or stopped every 1 .. kill_ms; 0: nobody */
    uint64_t kills;    /* a round ends after so many, */
    uint64_t messages; /* or so many, */
    uint64_t seconds;  /* or so many; 0: no matter */
    uint64_t pool;     /* bytes */
    uint64_t batch;    /* the largest */
    uint64_t text;     /* most messages have up to so many bytes of it, some nine times that */
    uint64_t flush;    /* one in so many appends; 0: none */
    uint64_t pace;     /* writers are never so many messages ahead of a reader; 0: they may be */
    uint64_t soak;     /* seconds of rounds with random options; 0: one round */
    uint64_t round;    /* seconds of each */
};

/* A worker's records on their way to the judge. Its successor writes on where it died: a record
 * that was not published is nothing. */
struct story {
    alignas(64) _Atomic(uint64_t) head;
    alignas(64) _Atomic(uint64_t) tail;
    struct record records[RING_RECORDS];
};

enum { KILL_ANY, KILL_OWNER, N_KILLS };

/* How long nobody appended after kills. */
struct takeovers {
    _Atomic(uint64_t) killed_ns; /* 0: somebody has appended since */
    _Atomic(uint64_t) max_ns;
    _Atomic(uint64_t) n[BUCKETS];
};

/* What a process that outlives its pools holds. */
struct holdings {
    uint64_t n_rounds;
    uint64_t n_descriptors;
    uint64_t n_descriptors_first; /* after its first round */
    uint64_t memory_kib;
    uint64_t memory_first_kib;
};

struct shared {
    struct options options;
    char path[96];
    _Atomic(uint64_t) final_seq;                /* what readers must reach; 0: not known yet */
    _Atomic(uint64_t) acked_seq;                /* the highest */
    _Atomic(uint64_t) positions[HISTORY_SLOTS]; /* seqs that readers have read */
    _Atomic(uint32_t) leases[HISTORY_SLOTS];
    atomic_bool stop; /* writers */
    atomic_bool told; /* no more records will come */
    struct takeovers takeovers[N_KILLS];
    struct history_counts counts;
    struct holdings elders[HISTORY_SLOTS];
    struct story stories[HISTORY_SLOTS];
};

extern struct shared *shared;

/* What the supervisor counts, over all rounds. */
struct tally {
    uint64_t n_messages;
    uint64_t n_kills;
    uint64_t n_writer_kills;
    uint64_t n_owner_kills; /* inside the lock */
    uint64_t n_flusher_kills;
    uint64_t n_pauses;
    uint64_t n_owner_pauses;
    uint64_t n_errors;
    struct history_counts counts;
};

extern struct tally tally;
extern struct rng storm_rng;

/* Writers have the first slots, readers the last ones. */
static inline unsigned reader_slot(unsigned number)
{
    return HISTORY_SLOTS - 1 - number;
}

/* storm_story.c */
void story_tell(unsigned slot, const struct record *record);
uint64_t story_reached(unsigned slot);
void judge_run(void);

/* storm_worker.c: a life, from opening the pool to closing it */
void writer_run(unsigned slot, uint32_t life);
void reader_run(unsigned slot, uint32_t life, uint64_t from_seq);
_Noreturn void die(const char *what, const plsm_error_t *err);

/* storm_round.c */
__attribute__((format(printf, 1, 2))) void wrong(const char *format, ...);
void round_run(void);

/* storm_soak.c: processes that live through all rounds */
void elders_start(void);
void elders_end(void);
pid_t elder_pid(unsigned slot); /* 0: none has this slot */
void elder_begin(unsigned slot, uint32_t life);
void elder_wait(unsigned slot);
void soak_run(void);

#endif

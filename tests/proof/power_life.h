/* The lives of a pool between its creation and the power losses. */
#ifndef PROOF_POWER_LIFE_H
#define PROOF_POWER_LIFE_H

#include "engine/pool.h"
#include "tests/proof/power_record.h"
#include "tests/proof/proof.h"

/* How a pool is used. */
struct habits {
    const char *name;
    uint64_t flush_every; /* calls of append, on average; 0: never */
    uint64_t batch_max;
    uint32_t len_max;  /* of most messages; 0: as long as the ring allows */
    bool two_handles;  /* flushes and appends alternate; one appends while the other one syncs */
    uint64_t fail_one; /* of so many syncs; 0: none */
};

#define N_HABITS 10
extern const struct habits all_habits[N_HABITS];

/* One pool, from its creation through several power losses. */
struct chain {
    struct rng rng;
    const struct habits *habits;
    char path[128];
    unsigned n_lives; /* that have ended */
    /* what the present one begins with */
    uint8_t bytes[RECORD_BYTES_MAX];
    bool fresh; /* of what was written since the file was created nothing is on the disk yet */
    size_t n_created;               /* entries of the log that creating it made */
    uint64_t oldest, flushed, next; /* what is asked while the pool is being opened */
    /* of the workload */
    struct pool *pools[2];
    uint64_t ring_size;
    uint64_t promised; /* messages before it were flushed */
    uint64_t clock_step_ns;
    bool clock_back;
};

extern struct chain chain;

/* NULL, and a line to stderr, if it does not open. */
struct pool *chain_open(const char *path);

/* A new pool; for most chains one that has been in use for a while, all of it on the disk. */
void chain_create(void);

/* One life of the pool, from a start of the machine to its end, and everything recorded. false:
 * it could not be opened. */
bool chain_live(void);

/* What a fresh file holds. */
extern const uint8_t chain_nothing[RECORD_BYTES_MAX];

#endif

/* What the proofs about damaged files share: pools whose every message is known (scenes), the
 * file that is damaged, and all that one does with a pool, each answer compared with the scene.
 *
 * A wrong answer is counted and told, and the proof goes on. A case that takes longer than a
 * second is repeated, so that only one that is late each time counts as a hang. */
#ifndef PROOF_DAMAGE_H
#define PROOF_DAMAGE_H

#include "engine/format.h"
#include "engine/pool.h"

#include <stdbool.h>
#include <stdint.h>

#define DAMAGE_BYTES  ((size_t)65536) /* of every pool file */
#define DAMAGE_SEQS   8192            /* no scene has more */
#define DAMAGE_LATER  64              /* appends that are made after the damage */
#define DAMAGE_IMAGES 4               /* the pool as it was earlier */

/* A message, as it was appended. */
struct written {
    struct view tags;
    struct view data;
    uint64_t time_ns;
};

/* A frame that the sound pool retains. */
struct standing {
    uint64_t offset; /* in the file */
    uint64_t length; /* of header, tags and data; of a pad the header's */
    uint64_t pos;
    uint64_t seq;
    bool is_message;
};

struct scene {
    const char *name;
    uint64_t index_capacity;
    uint8_t image[DAMAGE_BYTES];                  /* the sound file */
    uint8_t earlier[DAMAGE_IMAGES][DAMAGE_BYTES]; /* the same pool, before its last messages */
    struct written messages[DAMAGE_SEQS];         /* by seq; those ever appended */
    uint64_t next_seq;
    struct standing frames[DAMAGE_SEQS]; /* from head to tail */
    size_t n_frames;
    size_t n_messages; /* among them */
};

/* Each makes another kind of pool; seed varies identity and contents. */
struct scene *scene_wrapped(uint64_t seed);
struct scene *scene_batches(uint64_t seed);
struct scene *scene_long(uint64_t seed);
struct scene *scene_young(uint64_t seed);
struct scene *scene_mended(uint64_t seed); /* has holes, by a repair */
struct scene *scene_unindexed(uint64_t seed);
void scene_free(struct scene *scene);

/* What was found in a damaged pool. */
struct found {
    bool refused;       /* it could not be opened for reading */
    bool write_refused; /* nor for writing, or not be appended to */
    bool flush_refused;
    unsigned n_control; /* errors of reading that blame the control words */
    unsigned n_frames;  /* ... and a message */
    unsigned n_get_refused;
    unsigned n_missing; /* messages not read, that are untouched */
    unsigned n_get_missing;
    bool follow_missed; /* what was appended did not reach a follower */
    struct pool_report report;
    uint64_t seen[DAMAGE_SEQS / 64]; /* messages that were read */
};

/* Begins a run of the proof: its folder, the alarm. */
void damage_start(void);

/* Says how it went: one line of TAP. */
void damage_end(const char *what, uint64_t n_cases);

/* All that went wrong until now: wrong messages, hangs, disagreements. */
uint64_t damage_n_wrong(void);

/* What is being tried, for whoever reads of a wrong answer. */
void damage_case(const struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void damage_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The file with these bytes. */
extern char damage_path[80];
void damage_put(const uint8_t *bytes);

/* Runs a case, again if it is late. */
void damage_try(void (*run)(void *context), void *context);

/* Opens for reading, reads everything in every way. */
void damage_read(const struct scene *scene, struct found *found);

/* Opens for writing while a follower waits, appends more than the ring holds, flushes, verifies.
 * Both handles were opened before, if patch is given: it is called then, to do the damage. */
void damage_write(const struct scene *scene, struct found *found,
    void (*patch)(const void *context), const void *context);

/* What a repair of the damaged pool gave: POOL_OK, POOL_HEALTHY or -1; after POOL_OK it is sound,
 * and what it has is found. */
int damage_repair(const struct scene *scene, struct found *found);

static inline bool seen_has(const struct found *found, uint64_t seq)
{
    return seq < DAMAGE_SEQS && (found->seen[seq / 64] >> seq % 64 & 1) != 0;
}

#endif

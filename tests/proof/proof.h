/* What the proofs share: an end at once when the proof itself goes wrong, random numbers that a
 * seed repeats, and a folder in memory that goes away. */
#ifndef PROOF_PROOF_H
#define PROOF_PROOF_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What must hold for the proof to mean anything. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (errno: %s)\n", __FILE__, __LINE__, #condition,             \
                strerror(errno));                                                                  \
            _exit(99);                                                                             \
        }                                                                                          \
    } while (0)

/* Deterministic random numbers: splitmix64 (Steele, Lea, Flood, 2014). */
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. n - 1 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}

/* A new folder, in memory where there is such a file system; for the caller to remove. */
static inline void proof_folder(char out_path[static 64])
{
    snprintf(out_path, 64, "%s/plasmite-proof-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(out_path) != NULL);
}

#endif

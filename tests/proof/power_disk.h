/* What a disk may hold when the power goes: each page of the recorded file in any version that it
 * has had since the last sync that ended, torn between sectors, lines of the cache, or words. */
#ifndef PROOF_POWER_DISK_H
#define PROOF_POWER_DISK_H

#include "tests/proof/power_record.h"
#include "tests/proof/proof.h"

#define DISK_SYNCS_MAX 4

/* A sync that has begun: it carries to the disk what it found then. */
struct disk_sync {
    uint32_t number;
    size_t at;
    uint64_t words[RECORD_WORDS];
    bool dirty[RECORD_PAGES];
};

struct disk {
    size_t at;                     /* so many entries of the log have happened */
    uint64_t live[RECORD_WORDS];   /* memory */
    uint64_t synced[RECORD_WORDS]; /* what is certainly on the disk, if nothing newer is */
    size_t since[RECORD_PAGES];    /* stores from this entry on may be there too */
    bool dirty[RECORD_PAGES];      /* stored to since the last sync began */
    struct disk_sync syncs[DISK_SYNCS_MAX];
    size_t n_syncs;
};

/* How an image was drawn, to tell when it fails. */
struct draw {
    unsigned mode;
    unsigned header_shift; /* the unit of the first page is 2^this bytes */
    unsigned ring_shift;   /* of the others */
};

/* A disk that holds these bytes, and a machine that has just read them. */
void disk_start(struct disk *disk, const uint8_t *bytes);

/* Lets the log happen up to an entry. */
void disk_advance(struct disk *disk, size_t to);

/* Draws what a power loss now may leave behind. */
struct draw disk_draw(const struct disk *disk, struct rng *rng, uint8_t *image);

#endif

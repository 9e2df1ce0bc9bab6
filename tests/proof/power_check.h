/* What must be true of a pool after a power loss. */
#ifndef PROOF_POWER_CHECK_H
#define PROOF_POWER_CHECK_H

#include "engine/pool.h"
#include "tests/proof/power_record.h"
#include "tests/proof/proof.h"

#define CHECK_MESSAGES_MAX 65536

/* What was appended. A message's text follows from its mark, of which no two have the same. */
struct appends {
    uint64_t first_seq; /* the pool's */
    uint64_t next_seq;
    uint32_t n_marks;
    struct {
        uint32_t mark;
        uint32_t len;
    } messages[CHECK_MESSAGES_MAX]; /* from first_seq on */
};

extern struct appends appends;

struct view check_text(char *buffer, uint32_t mark, uint32_t len);

/* What is asked of an image. */
struct demand {
    uint64_t oldest;  /* seqs from here on ... */
    uint64_t flushed; /* ... and before this must be there, with what was appended under them */
    uint64_t visible; /* no seq from here on may be there */
    bool may_be_corrupt;
    bool first_life; /* this is the first loss of power */
    bool repaired;
};

struct found {
    bool corrupt;
    bool repaired;      /* it was corrupt, and a repair brought back all that is asked for */
    uint64_t first_seq; /* of the messages that are there: first_seq .. next_seq - 1 */
    uint64_t next_seq;  /* of the next append */
};

/* Opens the image as after a reboot, reads, verifies and appends. Returns false and says why to
 * stderr if it is not as it must be. */
bool check_image(
    const char *path, const uint8_t *image, const struct demand *demand, struct found *out_found);

/* Changes the boot id of an image, unless it is that of an earlier boot already. */
void check_reboot(uint8_t *image);

#endif

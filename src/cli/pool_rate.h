/* How fast a pool has been written lately, and how full it is, for people. */
#ifndef CLI_POOL_RATE_H
#define CLI_POOL_RATE_H

#include "cli/text.h"
#include "engine/pool.h"

struct pool_rate {
    bool known;
    uint64_t n_messages; /* in the window */
    uint64_t bytes;      /* of ring that they took */
    uint64_t window_ns;  /* a minute, or as far back as the pool's memory goes */
};

/* Looks a minute back from now_ns. Two places are sought, nothing between them is read: known is
 * false where that is too much (a large pool without an index) or the pool is damaged there. */
void pool_rate(
    struct pool *pool, const struct pool_info *info, uint64_t now_ns, struct pool_rate *out_rate);

/* "12/s, 3.1K/s over the last minute". */
void pool_rate_text(struct text *text, const struct pool_rate *rate);

/* A bar of so many characters, `part` (0 to 1) of it filled: in block elements, to an eighth of a
 * character, or in ASCII, between brackets. */
void pool_bar(struct text *text, double part, size_t width, bool utf8);

#endif

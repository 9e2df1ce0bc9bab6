/* Opening local pools, with a busy one as an error. */
#ifndef CLIENT_OPEN_H
#define CLIENT_OPEN_H

#include "base/error.h"
#include "engine/pool.h"

/* Kind Busy, for POOL_BUSY. */
int open_busy(const char *path, plsm_error_t **err);

/* For a flush that gave r, POOL_BUSY or -1, after messages from first_seq on were appended: says
 * that they are stored, so that nobody appends them again. Returns -1. */
int open_not_flushed(int r, const char *path, uint64_t first_seq, plsm_error_t **err);

/* pool_open() with POOL_BUSY made an error. */
int open_pool(const char *path, enum pool_mode mode, const struct pool_open_options *options,
    struct pool **out_pool, plsm_error_t **err);

/* The same, and where there is no such pool it is created, with its directories. Somebody else
 * may do so at the same time. Options may be NULL. */
int open_or_create(const char *path, const struct pool_create_options *create,
    const struct pool_open_options *options, enum pool_mode mode, struct pool **out_pool,
    plsm_error_t **err);

#endif

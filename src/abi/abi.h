/* What stands behind the handles of the public interface, and what its functions share. They
 * check arguments, in the order that their callers rely on, convert, and call what lies below. */
#ifndef ABI_ABI_H
#define ABI_ABI_H

#include "base/buf.h"
#include "base/error.h"
#include "engine/pool.h"
#include "plasmite.h"

#include <stdbool.h>
#include <stdint.h>

struct plsm_client {
    char *pool_dir;
};

struct plsm_pool {
    struct pool *pool;
};

/* "NAME is null": Usage. */
int abi_null(plsm_error_t **err, const char *name);

bool abi_is_utf8(struct view text);

/* pool_open() with POOL_BUSY made an error. */
int abi_pool_open(
    const char *path, enum pool_mode mode, struct pool **out_pool, plsm_error_t **err);

/* Kind Busy, for POOL_BUSY. */
int abi_busy(const struct pool *pool, plsm_error_t **err);

/* Copies the frame's message, as JSON, into *out_message. 0; 1: it was overwritten meanwhile;
 * -1: Internal. */
int abi_copy(const struct pool *pool, const struct frame *frame, plsm_buf_t *out_message,
    plsm_error_t **err);

#endif

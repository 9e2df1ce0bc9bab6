/* What stands behind the handles of the public interface, and what its functions share. They
 * check arguments, in the order that their callers rely on, convert, and call what lies below. */
#ifndef ABI_ABI_H
#define ABI_ABI_H

#include "base/buf.h"
#include "base/error.h"
#include "client/ref.h"
#include "engine/pool.h"
#include "plasmite.h"

#include <stdbool.h>
#include <stdint.h>

struct plsm_client {
    char *pool_dir;
};

struct plsm_pool {
    struct pool *pool;
    bool read_only;
};

/* "NAME is null": Usage. */
int abi_null(plsm_error_t **err, const char *name);

/* Usage: the pool was opened read-only. */
int abi_read_only(const plsm_pool_t *pool, plsm_error_t **err);

/* The file that a reference means. -1: Usage; the client or the reference may be NULL. */
int abi_resolve(
    const plsm_client_t *client, const char *pool_ref, struct ref *out_ref, plsm_error_t **err);

/* Copies the frame's message, as JSON, into *out_message. 0; 1: it was overwritten meanwhile;
 * -1: Internal. */
int abi_copy(const struct pool *pool, const struct frame *frame, plsm_buf_t *out_message,
    plsm_error_t **err);

#endif

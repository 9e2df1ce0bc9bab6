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

/* Appends, and flushes where durability says so. 0 or -1. */
int abi_append(plsm_pool_t *pool, const struct message *messages, size_t n_messages,
    uint32_t durability, struct appended *out_appended, plsm_error_t **err);

/* Hands the frame's message to *out, of whatever type that is. 0; ABI_LOST; -1. */
typedef int abi_take(
    const struct pool *pool, const struct frame *frame, void *out, plsm_error_t **err);

enum { ABI_LOST = 1 }; /* it was overwritten meanwhile */

/* Copies the message, as JSON, into a plsm_buf_t. */
abi_take abi_copy;

/* What plsm_pool_get_json and plsm_stream_next do, for any way to hand a message over. */
int abi_get(plsm_pool_t *pool, uint64_t seq, abi_take *take, void *out, plsm_error_t **err);
int abi_stream_next(plsm_stream_t *stream, abi_take *take, void *out, plsm_error_t **err);

#endif

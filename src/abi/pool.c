/* Pools: creating, opening, reading one message, flushing. */
#include "abi/abi.h"

#include "client/ref.h"

#include <stdlib.h>
#include <string.h>

/* The file that a reference means. */
static int pool_resolve(
    const plsm_client_t *client, const char *pool_ref, struct ref *out_ref, plsm_error_t **err)
{
    if (client == NULL)
        return abi_null(err, "client");
    if (pool_ref == NULL)
        return abi_null(err, "pool_ref");
    if (!abi_is_utf8(view_str(pool_ref)))
        return error_set(err, PLSM_ERROR_USAGE, "pool_ref is not valid UTF-8");
    if (strstr(pool_ref, "://") != NULL)
        return error_set(err, PLSM_ERROR_USAGE, "remote pool refs are not supported in v0");
    return ref_resolve_local(pool_ref, client->pool_dir, "the library", out_ref, err);
}

static int pool_open_at(const char *path, plsm_pool_t **out_pool, plsm_error_t **err)
{
    plsm_pool_t *pool = malloc(sizeof(*pool));
    if (pool == NULL)
        return error_oom(err);
    if (abi_pool_open(path, POOL_WRITE, &pool->pool, err) < 0) {
        free(pool);
        return -1;
    }
    *out_pool = pool;
    return 0;
}

int plsm_pool_create(plsm_client_t *client, const char *pool_ref, uint64_t size_bytes,
    plsm_pool_t **out_pool, plsm_error_t **out_err)
{
    const struct pool_create_options options = {
        .size_bytes = size_bytes, .index_capacity = POOL_INDEX_DEFAULT};
    scoped(ref_fini) struct ref ref = {0};

    if (pool_resolve(client, pool_ref, &ref, out_err) < 0)
        return -1;
    if (out_pool == NULL) /* before there is a file */
        return abi_null(out_err, "out_pool");
    if (ref_make_parents(ref.path, out_err) < 0 || pool_create(ref.path, &options, out_err) < 0)
        return -1;
    return pool_open_at(ref.path, out_pool, out_err);
}

int plsm_pool_open(
    plsm_client_t *client, const char *pool_ref, plsm_pool_t **out_pool, plsm_error_t **out_err)
{
    scoped(ref_fini) struct ref ref = {0};

    if (pool_resolve(client, pool_ref, &ref, out_err) < 0)
        return -1;
    if (out_pool == NULL)
        return abi_null(out_err, "out_pool");
    return pool_open_at(ref.path, out_pool, out_err);
}

void plsm_pool_free(plsm_pool_t *pool)
{
    if (pool == NULL)
        return;
    pool_close(pool->pool);
    free(pool);
}

int plsm_pool_get_json(
    plsm_pool_t *pool, uint64_t seq, plsm_buf_t *out_message, plsm_error_t **out_err)
{
    struct frame frame;
    int r;

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (out_message == NULL)
        return abi_null(out_err, "out_message");
    do {
        const int found = pool_get(pool->pool, seq, &frame, out_err);
        if (found == POOL_MISSING) {
            error_set(out_err, PLSM_ERROR_NOT_FOUND, "message not found");
            return error_at_seq(out_err, seq);
        }
        if (found < 0)
            return -1;
        r = abi_copy(pool->pool, &frame, out_message, out_err);
    } while (r > 0); /* overwritten while it was copied: it is missing now */
    return r;
}

int plsm_pool_flush(plsm_pool_t *pool, plsm_error_t **out_err)
{
    if (pool == NULL)
        return abi_null(out_err, "pool");
    const int r = pool_flush(pool->pool, out_err);
    return r == POOL_BUSY ? abi_busy(pool->pool, out_err) : r;
}

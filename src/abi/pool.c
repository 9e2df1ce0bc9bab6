/* Pools: creating, opening, closing, reading one message, flushing. */
#include "abi/abi.h"

#include "client/open.h"
#include "client/ref.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

int abi_resolve(
    const plsm_client_t *client, const char *pool_ref, struct ref *out_ref, plsm_error_t **err)
{
    if (client == NULL)
        return abi_null(err, "client");
    if (pool_ref == NULL)
        return abi_null(err, "pool_ref");
    if (!json_is_utf8(view_str(pool_ref)))
        return error_set(err, PLSM_ERROR_USAGE, "pool_ref is not valid UTF-8");
    if (strstr(pool_ref, "://") != NULL)
        return error_set(err, PLSM_ERROR_USAGE, "remote pool refs are not supported in v0");
    return ref_resolve_local(pool_ref, client->pool_dir, "the library", out_ref, err);
}

/* Wraps an open pool in a handle. Takes it, also when it fails. */
static int pool_wrap(struct pool *inner, bool read_only, plsm_pool_t **out_pool, plsm_error_t **err)
{
    plsm_pool_t *pool = malloc(sizeof(*pool));
    if (pool == NULL) {
        pool_close(inner);
        return error_oom(err);
    }
    *pool = (plsm_pool_t){.pool = inner, .read_only = read_only};
    *out_pool = pool;
    return 0;
}

int plsm_pool_create(plsm_client_t *client, const char *pool_ref, uint64_t size_bytes,
    plsm_pool_t **out_pool, plsm_error_t **out_err)
{
    const plsm_open_options_t options = {
        .struct_size = sizeof(options), .create = PLSM_CREATE_NEW, .size_bytes = size_bytes};
    return plsm_pool_open_ex(client, pool_ref, &options, out_pool, out_err);
}

int plsm_pool_open(
    plsm_client_t *client, const char *pool_ref, plsm_pool_t **out_pool, plsm_error_t **out_err)
{
    const plsm_open_options_t options = {.struct_size = sizeof(options)};
    return plsm_pool_open_ex(client, pool_ref, &options, out_pool, out_err);
}

static int pool_check_options(const plsm_open_options_t *options, plsm_error_t **err)
{
    if (options == NULL)
        return error_set(err, PLSM_ERROR_USAGE, "open options are null");
    if (options->struct_size < sizeof(*options))
        return error_set(err, PLSM_ERROR_USAGE,
            "open options are too small: got %u bytes, need at least %zu", options->struct_size,
            sizeof(*options));
    if (options->create > PLSM_CREATE_NEW)
        return error_set(err, PLSM_ERROR_USAGE, "invalid create option");
    return 0;
}

/* Opens or makes the file, as the options say. */
static int pool_obtain(const char *path, const plsm_open_options_t *options, struct pool **out_pool,
    plsm_error_t **err)
{
    const enum pool_mode mode = options->read_only != 0 ? POOL_READ : POOL_WRITE;
    const struct pool_create_options create = {
        .size_bytes = options->size_bytes,
        .index_capacity =
            options->has_index_capacity != 0 ? options->index_capacity : POOL_INDEX_DEFAULT,
    };
    struct pool_open_options open = POOL_OPEN_DEFAULTS;

    if (options->has_busy_timeout != 0)
        open.busy_timeout_ms = options->busy_timeout_ms;
    switch (options->create) {
    case PLSM_OPEN_EXISTING: return open_pool(path, mode, &open, out_pool, err);
    case PLSM_OPEN_OR_CREATE: return open_or_create(path, &create, &open, mode, out_pool, err);
    default:
        if (ref_make_parents(path, err) < 0 || pool_create(path, &create, err) < 0)
            return -1;
        return open_pool(path, mode, &open, out_pool, err);
    }
}

int plsm_pool_open_ex(plsm_client_t *client, const char *pool_ref,
    const plsm_open_options_t *options, plsm_pool_t **out_pool, plsm_error_t **out_err)
{
    scoped(ref_fini) struct ref ref = {0};
    struct pool *pool = NULL;

    if (pool_check_options(options, out_err) < 0 ||
        abi_resolve(client, pool_ref, &ref, out_err) < 0)
        return -1;
    if (out_pool == NULL) /* before there is a file */
        return abi_null(out_err, "out_pool");
    if (pool_obtain(ref.path, options, &pool, out_err) < 0)
        return -1;
    return pool_wrap(pool, options->read_only != 0, out_pool, out_err);
}

void plsm_pool_free(plsm_pool_t *pool)
{
    if (pool == NULL)
        return;
    pool_close(pool->pool);
    free(pool);
}

int abi_get(plsm_pool_t *pool, uint64_t seq, abi_take *take, void *out, plsm_error_t **err)
{
    struct frame frame;
    int r;

    do {
        const int found = pool_get(pool->pool, seq, &frame, err);
        if (found == POOL_MISSING) {
            error_set(err, PLSM_ERROR_NOT_FOUND, "message not found");
            return error_at_seq(err, seq);
        }
        if (found < 0)
            return -1;
        r = take(pool->pool, &frame, out, err);
    } while (r == ABI_LOST); /* overwritten while it was copied: it is missing now */
    return r;
}

int plsm_pool_get_json(
    plsm_pool_t *pool, uint64_t seq, plsm_buf_t *out_message, plsm_error_t **out_err)
{
    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (out_message == NULL)
        return abi_null(out_err, "out_message");
    return abi_get(pool, seq, abi_copy, out_message, out_err);
}

int plsm_pool_flush(plsm_pool_t *pool, plsm_error_t **out_err)
{
    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (pool->read_only)
        return abi_read_only(pool, out_err);
    const int r = pool_flush(pool->pool, out_err);
    return r == POOL_BUSY ? open_busy(pool_path(pool->pool), out_err) : r;
}

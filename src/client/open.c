#include "client/open.h"

#include "client/ref.h"

int open_busy(const char *path, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_BUSY, "pool is busy");
    error_hint(err, "Another program holds the pool's file or its lock: try again.");
    return error_at_path(err, path);
}

int open_not_flushed(int r, const char *path, uint64_t first_seq, plsm_error_t **err)
{
    if (r == POOL_BUSY)
        open_busy(path, err);
    error_hint(err, "What was appended is stored, but a power loss may take it: do not append it "
                    "again, flush.");
    return error_at_seq(err, first_seq);
}

int open_pool(const char *path, enum pool_mode mode, const struct pool_open_options *options,
    struct pool **out_pool, plsm_error_t **err)
{
    const int r = pool_open(path, mode, options, out_pool, err);
    return r == POOL_BUSY ? open_busy(path, err) : r;
}

/* Hands an error on to the caller. */
static int open_failed(plsm_error_t **error, plsm_error_t **err)
{
    if (err != NULL) {
        *err = *error;
        *error = NULL;
    }
    return -1;
}

int open_or_create(const char *path, const struct pool_create_options *create,
    const struct pool_open_options *options, enum pool_mode mode, struct pool **out_pool,
    plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *missing = NULL;
    scoped(plsm_error_free) plsm_error_t *exists = NULL;

    const int r = pool_open(path, mode, options, out_pool, &missing);
    if (r == POOL_BUSY)
        return open_busy(path, err);
    if (r == POOL_OK)
        return POOL_OK;
    if (missing->kind != PLSM_ERROR_NOT_FOUND)
        return open_failed(&missing, err);
    if (ref_make_parents(path, err) < 0)
        return -1;
    if (pool_create(path, create, &exists) < 0 && exists->kind != PLSM_ERROR_ALREADY_EXISTS)
        return open_failed(&exists, err);
    return open_pool(path, mode, options, out_pool, err);
}

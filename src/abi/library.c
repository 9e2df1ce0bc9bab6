/* What needs no handle: the version, and giving back what the library handed out; and what the
 * other files here share. */
#include "abi/abi.h"

#include "client/envelope.h"
#include "json/scan.h"

#include <stdlib.h>

const char *plsm_version(void)
{
    return PLASMITE_INTERFACE_VERSION;
}

const char *plsm_error_hint(const plsm_error_t *err)
{
    return error_hint_of(err);
}

void plsm_buf_free(plsm_buf_t *buf)
{
    if (buf == NULL)
        return;
    free(buf->data);
    *buf = (plsm_buf_t){0};
}

int abi_null(plsm_error_t **err, const char *name)
{
    return error_set(err, PLSM_ERROR_USAGE, "%s is null", name);
}

bool abi_is_utf8(struct view text)
{
    const uint8_t *end = text.data + text.len;
    for (const uint8_t *at = text.data; at < end;) {
        const size_t len = *at < 0x80 ? 1 : scan_utf8(at, end);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

static int abi_busy_at(const char *path, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_BUSY, "pool is busy");
    error_hint(err, "Another program holds the pool's file or its lock: try again.");
    return error_at_path(err, path);
}

int abi_busy(const struct pool *pool, plsm_error_t **err)
{
    return abi_busy_at(pool_path(pool), err);
}

int abi_pool_open(const char *path, enum pool_mode mode, struct pool **out_pool, plsm_error_t **err)
{
    const int r = pool_open(path, mode, NULL, out_pool, err);
    return r == POOL_BUSY ? abi_busy_at(path, err) : r;
}

int abi_copy(
    const struct pool *pool, const struct frame *frame, plsm_buf_t *out_message, plsm_error_t **err)
{
    struct envelope envelope = {0};

    if (frame->encoding != ENCODING_JSON) {
        error_set(
            err, PLSM_ERROR_USAGE, "message %llu is not JSON", (unsigned long long)frame->seq);
        return error_at_seq(err, frame->seq);
    }
    uint8_t *data = malloc(envelope_size(frame));
    if (data == NULL)
        return error_oom(err);
    const size_t len = envelope_put(&envelope, frame, data);
    if (!frame_still_valid(pool, frame)) {
        free(data);
        return 1;
    }
    *out_message = (plsm_buf_t){data, len};
    return 0;
}

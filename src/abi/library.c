/* What needs no handle: the version, and giving back what the library handed out; and what the
 * other files here share. */
#include "abi/abi.h"

#include "client/envelope.h"
#include "os/guard.h"
#include "os/module.h"

#include <errno.h>
#include <stdlib.h>

#define ABI_ADDITIONS 1 /* goes up with what is added to plasmite.h */

const char *plsm_version(void)
{
    return PLASMITE_INTERFACE_VERSION;
}

const char *plsm_build_version(void)
{
    return PLASMITE_BUILD_VERSION;
}

uint32_t plsm_abi_version(void)
{
    return ABI_ADDITIONS;
}

const char *plsm_error_kind_name(int32_t kind)
{
    return error_kind_name((plsm_error_kind_t)kind);
}

const char *plsm_error_hint(const plsm_error_t *err)
{
    return error_hint_of(err);
}

int plsm_guard_install(plsm_error_t **out_err)
{
    os_module_stay(); /* a handler whose library was unloaded would be no code any more */
    if (guard_install() < 0)
        return error_io(out_err, errno, "failed to install a handler for SIGBUS");
    return 0;
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

int abi_read_only(const plsm_pool_t *pool, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "pool was opened read-only");
    return error_at_path(err, pool_path(pool->pool));
}

/* The same for a message that has to be made JSON first. */
static int abi_copy_rendered(
    const struct pool *pool, struct frame frame, void *out, plsm_error_t **err)
{
    scoped(buf_fini) struct buf data = {0};
    const int r = envelope_json(pool, &frame, &data, err);
    if (r != 0)
        return r == ENVELOPE_LOST ? ABI_LOST : -1;
    return abi_copy(pool, &frame, out, err);
}

int abi_copy(const struct pool *pool, const struct frame *frame, void *out, plsm_error_t **err)
{
    struct envelope envelope = {0};

    if (frame->encoding != ENCODING_JSON)
        return abi_copy_rendered(pool, *frame, out, err);
    uint8_t *data = malloc(envelope_size(frame));
    if (data == NULL)
        return error_oom(err);
    const size_t len = envelope_put(&envelope, frame, data);
    if (!frame_still_valid(pool, frame)) {
        free(data);
        return ABI_LOST;
    }
    *(plsm_buf_t *)out = (plsm_buf_t){data, len};
    return 0;
}

/* What needs no handle: the version, and giving back what the library handed out. */
#include "base/error.h"
#include "plasmite.h"

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

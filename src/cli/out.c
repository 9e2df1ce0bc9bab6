#include "cli/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_SIGPIPE 141

void out_init(struct out *out, int fd)
{
    *out = (struct out){.fd = fd};
}

void out_fini(struct out *out)
{
    free(out->data);
    *out = (struct out){.fd = -1};
}

int out_write_all(int fd, const void *data, size_t len, plsm_error_t **err)
{
    const uint8_t *at = data;
    while (len > 0) {
        const ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            _exit(EXIT_SIGPIPE);
        if (n < 0)
            return error_io(err, errno, "failed to write output");
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int out_flush(struct out *out, plsm_error_t **err)
{
    const size_t len = out->len;
    out->len = 0; /* also after a failure: nothing is printed twice */
    return len == 0 ? 0 : out_write_all(out->fd, out->data, len, err);
}

uint8_t *out_make_room(struct out *out, size_t n, plsm_error_t **err)
{
    if (out->len > 0 && (out->len >= OUT_BATCH || n > out->capacity - out->len) &&
        out_flush(out, err) < 0)
        return NULL;
    if (n > out->capacity) {
        const size_t capacity = n < OUT_BATCH ? OUT_BATCH : n;
        free(out->data); /* it is empty */
        out->capacity = 0;
        out->data = malloc(capacity);
        if (out->data == NULL) {
            error_oom(err);
            return NULL;
        }
        out->capacity = capacity;
    }
    return out->data + out->len;
}

int out_put(struct out *out, const void *data, size_t len, plsm_error_t **err)
{
    uint8_t *room = out_reserve(out, len, err);
    if (room == NULL)
        return -1;
    if (len > 0)
        memcpy(room, data, len);
    out_commit(out, len);
    return 0;
}

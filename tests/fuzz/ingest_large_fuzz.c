/* As ingest_fuzz.c, for streams with records near the limit and beyond it, which are slow: three
 * bytes 0xf8 C N of the input stand for N times 8192 bytes C. */
#include "tests/fuzz/ingest_check.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    INPUT_MAX_BYTES = 20000,
    STREAM_MAX_BYTES = 3 << 20,
    RUN_MARK = 0xf8,
    RUN_UNIT_BYTES = 8192,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

static void expand(const uint8_t *data, size_t size, struct buf *out)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != RUN_MARK || size - i < 3) {
            check(buf_append(out, &data[i], 1) == 0);
            continue;
        }
        const size_t n = (size_t)data[i + 2] * RUN_UNIT_BYTES;
        if (n > 0 && out->len + n <= STREAM_MAX_BYTES) {
            check(buf_reserve(out, n) == 0);
            memset(out->data + out->len, data[i + 1], n);
            out->len += n;
        }
        i += 2;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(buf_fini) struct buf stream = {0};

    if (size < 1 || size > INPUT_MAX_BYTES)
        return 0;
    expand(data + 1, size - 1, &stream);
    ingest_check(buf_view(&stream), data[0], ingest_seed(data, size));
    return 0;
}

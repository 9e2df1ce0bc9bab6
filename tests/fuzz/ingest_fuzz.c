/* Streams of any bytes must not crash or hang the reader of records, and however they are cut into
 * reads, the same records come out. The first byte of an input is the options of ingest_check(),
 * the rest is the stream. */
#include "tests/fuzz/ingest_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        ingest_check(view_of(data + 1, size - 1), data[0], ingest_seed(data, size));
    return 0;
}

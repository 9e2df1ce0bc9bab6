/* Streams of any bytes must not crash or hang the reader of records, and however they are cut
 * into reads, the same records come out.
 *
 * The first byte of an input chooses the mode (low three bits), skip (bit 3) and the size of the
 * pieces (bits 4 to 7, plus one); the rest is the stream. */
#include "cli/ingest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE_MAX_BYTES = 60000 }; /* a pipe takes so much at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

static void keep(struct buf *out, const struct ingest_record *record, int outcome)
{
    static const char bad[] = "!";
    uint8_t compact[SIZE_MAX_BYTES * 3 + JSON_SLACK];
    size_t len = 0;

    if (outcome == INGEST_BAD) {
        check(buf_append(out, bad, 1) == 0);
        return;
    }
    /* what is handed out is compact already */
    check(json_compact(record->data.data, record->data.len, compact, &len, NULL));
    check(len == record->data.len && memcmp(compact, record->data.data, len) == 0);
    check(buf_append(out, compact, len) == 0 && buf_append(out, "\n", 1) == 0);
}

static void read_stream(
    const uint8_t *data, size_t size, uint8_t options, size_t piece, struct buf *out)
{
    static const enum ingest_mode modes[] = {INGEST_JSONL, INGEST_LINES, INGEST_JSON, INGEST_SEQ,
        INGEST_EVENTS, INGEST_JQ, INGEST_LINES, INGEST_SEQ};
    const enum ingest_mode mode = modes[options & 7];
    scoped(ingest_fini) struct ingest ingest = {0};
    struct ingest_record record;
    int ends[2];
    int outcome;

    check(pipe(ends) == 0);
    ingest_init(&ingest, ends[0], mode, mode != INGEST_JQ && (options & 8) != 0);
    while ((outcome = ingest_next(&ingest, &record, NULL)) != INGEST_END) {
        check(outcome >= 0);
        if (outcome == INGEST_RECORD || outcome == INGEST_BAD) {
            keep(out, &record, outcome);
            if (outcome == INGEST_BAD && !ingest.skip)
                break;
            continue;
        }
        ingest_release(&ingest);
        const size_t n = piece < size ? piece : size;
        check(write(ends[1], data, n) == (ssize_t)n);
        data += n;
        size -= n;
        if (n == 0 && ends[1] >= 0) {
            close(ends[1]);
            ends[1] = -1;
        }
        check(ingest_read(&ingest, NULL) == 0);
    }
    if (ends[1] >= 0)
        close(ends[1]);
    close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(buf_fini) struct buf whole = {0};
    scoped(buf_fini) struct buf pieces = {0};

    if (size < 1 || size > SIZE_MAX_BYTES)
        return 0;
    read_stream(data + 1, size - 1, data[0], SIZE_MAX_BYTES, &whole);
    read_stream(data + 1, size - 1, data[0], (size_t)(data[0] >> 4) + 1, &pieces);
    check(view_equal(buf_view(&whole), buf_view(&pieces)));
    return 0;
}

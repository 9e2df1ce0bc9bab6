#include "tests/fuzz/ingest_check.h"

#include "base/limits.h"
#include "cli/ingest.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    PIECE_MAX_BYTES = 60000, /* a pipe takes so much at once */
    BYTEWISE_MAX_BYTES = 512,
    FINE_BYTES = 64,
};

static void check(bool right)
{
    if (!right)
        abort();
}

/* How a stream is cut: pieces of at most max bytes; random ones if seed is not zero; single bytes
 * where fine is set, at the beginning and where a first record would reach the limit. */
struct cut {
    size_t max;
    uint64_t seed;
    bool fine;
    size_t pos;
};

static size_t cut_next(struct cut *cut)
{
    const size_t from = LIMIT_RECORD_BYTES - FINE_BYTES, to = LIMIT_RECORD_BYTES + FINE_BYTES;
    if (cut->fine && (cut->pos < FINE_BYTES || (cut->pos >= from && cut->pos < to)))
        return 1;
    if (cut->fine && cut->pos < from && cut->pos + cut->max > from)
        return from - cut->pos;
    if (cut->seed == 0)
        return cut->max;
    cut->seed = cut->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return 1 + (size_t)(cut->seed >> 33) % cut->max;
}

static void keep_bytes(struct buf *out, const void *data, size_t len)
{
    check(buf_append(out, data, len) == 0);
}

/* What users see of a bad record: its number, its line, the reason and where it was found. */
static void keep_bad(
    struct buf *out, const struct ingest *ingest, const struct ingest_record *record)
{
    const uint64_t seen[] = {'!', ingest->mode, record->index, record->line, record->reason,
        record->reason == INGEST_PARSE ? record->error.offset : 0};
    keep_bytes(out, seen, sizeof(seen));
}

static void keep_good(struct buf *out, const struct ingest_record *record)
{
    scoped(buf_fini) struct buf compact = {0};

    /* What is handed out is compact already. */
    check(buf_reserve(&compact, record->data.len + JSON_SLACK) == 0);
    check(json_compact(record->data.data, record->data.len, compact.data, &compact.len, NULL));
    check(view_equal(buf_view(&compact), record->data));
    const uint64_t seen[] = {record->index, record->line};
    keep_bytes(out, seen, sizeof(seen));
    keep_bytes(out, compact.data, compact.len);
    keep_bytes(out, "\n", 1);
}

/* Gives the reader its next piece; at the end closes the pipe. */
static void give(struct ingest *ingest, int *fd, struct view *stream, struct cut *cut)
{
    const size_t wanted = cut_next(cut);
    const size_t n = wanted < stream->len ? wanted : stream->len;
    if (n > 0) {
        check(write(*fd, stream->data, n) == (ssize_t)n);
        *stream = view_of(stream->data + n, stream->len - n);
        cut->pos += n;
    }
    if (n == 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    check(ingest_read(ingest, NULL) == 0);
}

static void read_stream(
    struct view stream, enum ingest_mode mode, bool skip, struct cut cut, struct buf *out)
{
    scoped(ingest_fini) struct ingest ingest = {0};
    struct ingest_record record;
    int ends[2];
    int outcome;
    bool ended = false; /* by a bad record, as feed without --errors skip is */

    check(pipe(ends) == 0);
    ingest_init(&ingest, ends[0], mode, skip);
    while (!ended && (outcome = ingest_next(&ingest, &record, NULL)) != INGEST_END) {
        switch (outcome) {
        case INGEST_RECORD: keep_good(out, &record); break;
        case INGEST_BAD:
            keep_bad(out, &ingest, &record);
            ended = !skip;
            break;
        case INGEST_FULL: ingest_release(&ingest); break;
        case INGEST_WAIT:
            ingest_release(&ingest);
            check(!ingest.ended); /* nothing to wait for: feed would spin */
            give(&ingest, &ends[1], &stream, &cut);
            break;
        default: check(false);
        }
    }
    if (ends[1] >= 0)
        close(ends[1]);
    close(ends[0]);
}

uint64_t ingest_seed(const uint8_t *data, size_t size)
{
    uint64_t seed = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * UINT64_C(1099511628211);
    return seed | 1;
}

void ingest_check(struct view stream, uint8_t options, uint64_t seed)
{
    static const enum ingest_mode modes[] = {INGEST_JSONL, INGEST_LINES, INGEST_JSON, INGEST_SEQ,
        INGEST_EVENTS, INGEST_JQ, INGEST_AUTO, INGEST_AUTO};
    const enum ingest_mode mode = modes[options & 7];
    const bool skip = mode != INGEST_JQ && (options & 8) != 0;
    const bool small = stream.len <= BYTEWISE_MAX_BYTES;
    const struct cut cuts[] = {
        {.max = small ? 1 : 4099, .fine = !small},
        {.max = small ? (size_t)(options >> 4) + 2 : stream.len / 64, .seed = seed},
    };
    scoped(buf_fini) struct buf expected = {0};

    read_stream(stream, mode, skip, (struct cut){.max = PIECE_MAX_BYTES}, &expected);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        scoped(buf_fini) struct buf found = {0};
        read_stream(stream, mode, skip, cuts[i], &found);
        check(view_equal(buf_view(&expected), buf_view(&found)));
    }
}

/* What programs print, as messages: however the bytes are cut into reads, and however many parts the
 * ring makes of a line, the text of the lines is the same; each message is compact JSON that fits the
 * ring, and parts are numbered. The first byte of an input is options, the rest is the stream. */
#include "cli/tap_lines.h"

#include "base/limits.h"
#include "base/scoped.h"
#include "tests/fuzz/check.h"
#include "json/json.h"
#include "json/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM_MAX = 1 << 16 };

struct stored {
    struct buf lines; /* the text of each line, parts joined, as escaped text */
    uint64_t n_parts; /* of the line that goes on */
    uint64_t ring_size;
};

static void stored_fini_scoped(struct stored *stored)
{
    buf_fini(&stored->lines);
}

static void check_compact(struct view text)
{
    uint8_t *compact = malloc(text.len + JSON_SLACK);
    size_t len = 0;
    check(compact != NULL && json_compact(text.data, text.len, compact, &len, NULL));
    check(view_equal(view_of(compact, len), text));
    free(compact);
}

static void store(struct stored *stored, struct view data)
{
    struct json_value line, part = {0}, more;
    uint64_t number = 0;

    check_compact(data);
    check(json_find(data, view_str("line"), &line) && line.kind == JSON_STRING);
    const bool in_parts = json_find(data, view_str("part"), &part);
    const bool goes_on = json_find(data, view_str("more"), &more);
    check(in_parts == (stored->n_parts > 0 || goes_on));
    if (in_parts)
        check(json_u64(part.text, &number) && number == stored->n_parts + 1);
    stored->n_parts = goes_on ? number : 0;
    check(buf_append(&stored->lines, line.text.data + 1, line.text.len - 2) == 0);
    if (!goes_on)
        check(buf_append(&stored->lines, "\n", 1) == 0);
}

static int stored_append(
    void *context, const struct message *messages, size_t n_messages, plsm_error_t **err)
{
    struct stored *stored = context;
    uint64_t bytes = 0;

    (void)err;
    check(n_messages >= 1 && n_messages <= LIMIT_BATCH_MESSAGES);
    for (size_t i = 0; i < n_messages; i++) {
        bytes += message_footprint(&messages[i]);
        store(stored, messages[i].data);
    }
    check(bytes <= stored->ring_size);
    return 0;
}

static void lines_fini_scoped(struct lines *lines)
{
    lines_fini(lines);
}

/* Pieces of 1 to max bytes, chosen by seed; one piece if max is 0. */
static void put_all(struct stored *stored, struct view stream, struct view tags, uint32_t max)
{
    scoped(lines_fini) struct lines lines = {0};
    uint64_t seed = 1;
    size_t at = 0, end = 0, used = 0;

    check(lines_init(&lines, "stderr", tags, stored->ring_size, stored_append, stored, NULL) == 0);
    do {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const size_t piece = max == 0 ? stream.len : 1 + (size_t)(seed >> 33) % max;
        end = stream.len - end < piece ? stream.len : end + piece;
        const struct view bytes = bytes_copy(view_of(stream.data + at, end - at));
        check(lines_put(&lines, bytes, end == stream.len, &used, NULL) == 0);
        bytes_free(bytes);
        check(end - at - used <= (end == stream.len ? 0 : 3));
        at += used;
    } while (at < stream.len);
    check(lines_end(&lines, NULL) == 0 && stored->n_parts == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t sizes[] = {1024, 2048, 4096, 65536};
    if (size < 1 || size > STREAM_MAX)
        return 0;
    const struct view stream = view_of(data + 1, size - 1);
    const struct view tags = view_str((data[0] & 4) != 0 ? "[\"some tag\"]" : "");
    scoped(stored_fini) struct stored whole = {.ring_size = sizes[data[0] & 3]};
    scoped(stored_fini) struct stored pieces = {.ring_size = whole.ring_size};
    scoped(stored_fini) struct stored roomy = {.ring_size = 64 << 20};

    put_all(&whole, stream, tags, 0);
    put_all(&pieces, stream, tags, (data[0] >> 3) + 1u);
    put_all(&roomy, stream, tags, 4096);
    check(view_equal(buf_view(&whole.lines), buf_view(&pieces.lines)));
    check(view_equal(buf_view(&whole.lines), buf_view(&roomy.lines)));
    return 0;
}

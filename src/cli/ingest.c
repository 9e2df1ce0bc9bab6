#include "cli/ingest.h"

#include "cli/ingest_modes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* One read. More than a pipe holds; small enough to stay in the cache. */
#define INGEST_BLOCK 262144u

/* Results are handed over when this much lies there; one more record always has room. */
#define INGEST_BATCH   262144u
#define INGEST_RESULTS (INGEST_BATCH + LIMIT_RECORD_BYTES + JSON_SLACK)
#define INGEST_SNIFF   8192u

void ingest_init(struct ingest *ingest, int fd, enum ingest_mode mode, bool skip)
{
    *ingest = (struct ingest){.fd = fd, .mode = mode, .skip = skip};
    extent_init(&ingest->extent);
}

void ingest_fini(struct ingest *ingest)
{
    buf_fini(&ingest->input);
    buf_fini(&ingest->results);
    buf_fini(&ingest->event);
    buf_fini(&ingest->lossy);
    *ingest = (struct ingest){.fd = -1};
}

const char *ingest_mode_name(enum ingest_mode mode)
{
    switch (mode) {
    case INGEST_AUTO: return "auto";
    case INGEST_JSONL:
    case INGEST_LINES: return "jsonl";
    case INGEST_JSON: return "json";
    case INGEST_SEQ: return "seq";
    case INGEST_EVENTS: return "event";
    case INGEST_JQ: return "jq";
    }
    return "auto";
}

int ingest_read(struct ingest *ingest, plsm_error_t **err)
{
    struct buf *input = &ingest->input;
    if (ingest->at > 0) {
        memmove(input->data, input->data + ingest->at, input->len - ingest->at);
        input->len -= ingest->at;
        ingest->at = 0;
    }
    if (buf_reserve(input, INGEST_BLOCK) < 0)
        return error_oom(err);

    ssize_t n;
    do
        n = read(ingest->fd, input->data + input->len, INGEST_BLOCK);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_io(err, errno, "failed to read");
    input->len += (size_t)n;
    ingest->n_bytes += (size_t)n;
    ingest->ended = n == 0;
    return 0;
}

void ingest_release(struct ingest *ingest)
{
    ingest->results.len = 0;
}

int ingest_finish(
    struct ingest *ingest, struct view text, uint64_t line, struct ingest_record *out_record)
{
    struct buf *results = &ingest->results;
    uint8_t *out = results->data + results->len;
    size_t len = 0;

    *out_record = (struct ingest_record){
        .index = ++ingest->n_records, .line = line, .reason = INGEST_PARSE, .text = text};
    if (!json_compact(text.data, text.len, out, &len, &out_record->error))
        return INGEST_BAD;
    results->len += len;
    out_record->data = view_of(out, len);
    return INGEST_RECORD;
}

int ingest_oversize(
    struct ingest *ingest, struct view text, uint64_t line, struct ingest_record *out_record)
{
    *out_record = (struct ingest_record){
        .index = ++ingest->n_records, .line = line, .reason = INGEST_OVERSIZE, .text = text};
    return INGEST_BAD;
}

bool ingest_discard(struct ingest *ingest, uint8_t end)
{
    const struct view pending = ingest_pending(ingest);
    const uint8_t *found = pending.len == 0 ? NULL : memchr(pending.data, end, pending.len);
    ingest_take(ingest, found == NULL ? pending.len : (size_t)(found - pending.data) + 1);
    return found != NULL;
}

/* How long text is the beginning of UTF-8: a whole character (1..4), or 0 for a bad byte. */
static size_t ingest_character(struct view text)
{
    const uint8_t lead = text.data[0];
    const size_t len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (len == 0 || len > text.len || lead > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text.data[1] < 0xa0) || (lead == 0xed && text.data[1] > 0x9f) ||
        (lead == 0xf0 && text.data[1] < 0x90) || (lead == 0xf4 && text.data[1] > 0x8f))
        return 0;
    return len;
}

int ingest_lossy(struct view text, struct buf *out)
{
    while (text.len > 0) {
        size_t len = 0; /* of what is right */
        for (size_t n = 1; n > 0 && len < text.len; len += n)
            n = ingest_character(view_of(text.data + len, text.len - len));
        const bool broken = len < text.len;
        if (buf_append(out, text.data, len) < 0 ||
            (broken && buf_append_str(out, "\xef\xbf\xbd") < 0))
            return -1;
        text = view_of(text.data + len + broken, text.len - len - broken);
    }
    return 0;
}

static bool ingest_starts(struct view text, const char *word)
{
    const size_t len = strlen(word);
    return text.len >= len && memcmp(text.data, word, len) == 0;
}

static bool ingest_is_event(struct view line)
{
    static const char *const fields[] = {"data:", "event:", "id:", "retry:", ":"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (ingest_starts(line, fields[i]))
            return true;
    return false;
}

/* Steps over blank lines before the first record, as far as they are short enough to look into. */
static void ingest_skip_blank_lines(struct ingest *ingest)
{
    const struct view pending = ingest_pending(ingest);
    const size_t blanks = ingest_skip_blanks(pending);
    size_t len = 0; /* of whole lines */
    for (size_t i = 0; i < blanks && i - len < INGEST_SNIFF; i++) {
        if (pending.data[i] != '\n')
            continue;
        ingest->n_lines++;
        len = i + 1;
    }
    ingest_take(ingest, len);
}

/* Decides as soon as something can be decided: at a record separator, or at the end of the first
 * line that is not blank. What stands behind does not count, even if it is there already: the
 * same stream is read the same way whether it comes at once or slowly. false: more input is
 * needed. */
static bool ingest_detect(struct ingest *ingest)
{
    ingest_skip_blank_lines(ingest);
    const struct view pending = ingest_pending(ingest);
    const size_t sniff = pending.len < INGEST_SNIFF ? pending.len : INGEST_SNIFF;
    const uint8_t *end = sniff == 0 ? NULL : memchr(pending.data, '\n', sniff);
    const struct view line =
        view_of(pending.data, end == NULL ? sniff : (size_t)(end - pending.data));
    const size_t blanks = ingest_skip_blanks(line);

    if (line.len > 0 && memchr(line.data, INGEST_SEPARATOR, line.len) != NULL)
        ingest->mode = INGEST_SEQ;
    else if (end == NULL && sniff < INGEST_SNIFF && !ingest->ended)
        return false;
    else
        ingest->mode = ingest_is_event(view_of(line.data + blanks, line.len - blanks))
                           ? INGEST_EVENTS
                           : INGEST_LINES;
    return true;
}

/* Steps over a UTF-8 byte order mark. false: too little input to say. */
static bool ingest_start(struct ingest *ingest)
{
    static const char mark[] = "\xef\xbb\xbf";
    const struct view pending = ingest_pending(ingest);
    const size_t len = pending.len < 3 ? pending.len : 3;
    if (len < 3 && !ingest->ended && (len == 0 || memcmp(pending.data, mark, len) == 0))
        return false;
    ingest->started = true;
    if (len == 3 && memcmp(pending.data, mark, 3) == 0)
        ingest_take(ingest, 3);
    return true;
}

int ingest_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err)
{
    if (__builtin_expect(ingest->results.data == NULL, 0) &&
        (buf_reserve(&ingest->input, INGEST_BLOCK) < 0 ||
            buf_reserve(&ingest->results, INGEST_RESULTS) < 0))
        return error_oom(err);
    if (ingest->results.len > INGEST_BATCH)
        return INGEST_FULL;
    if (!ingest->started && !ingest_start(ingest))
        return INGEST_WAIT;
    if (ingest->mode == INGEST_AUTO && !ingest_detect(ingest))
        return INGEST_WAIT;

    switch (ingest->mode) {
    case INGEST_AUTO:
    case INGEST_JSONL:
    case INGEST_LINES: return ingest_lines_next(ingest, out_record, err);
    case INGEST_JSON: return ingest_json_next(ingest, out_record);
    case INGEST_SEQ: return ingest_seq_next(ingest, out_record, err);
    case INGEST_EVENTS: return ingest_events_next(ingest, out_record, err);
    case INGEST_JQ: return ingest_jq_next(ingest, out_record);
    }
    return INGEST_END;
}

/* The other ways to cut a stream: one document, RFC 7464 sequences, server-sent events, values
 * one behind the other. */
#include "cli/ingest_modes.h"

/* The name of a field, its blank and a carriage return do not belong to the record. */
#define EVENT_LINE_BYTES (LIMIT_RECORD_BYTES + sizeof("data: \r") - 1)

int ingest_json_next(struct ingest *ingest, struct ingest_record *out_record)
{
    const struct view pending = ingest_pending(ingest);
    if (ingest->discarding) {
        ingest_take(ingest, pending.len);
        return ingest_wait_or_end(ingest);
    }
    if (pending.len > LIMIT_RECORD_BYTES) {
        ingest->discarding = true;
        return ingest_oversize(ingest, pending, 0, out_record);
    }
    if (!ingest->ended)
        return INGEST_WAIT;
    if (ingest_is_blank(pending))
        return INGEST_END;
    ingest_take(ingest, pending.len);
    return ingest_finish(ingest, pending, 0, out_record);
}

/* Records of a sequence may hold broken UTF-8 (system logs do), which is replaced. */
static int seq_repair(
    struct ingest *ingest, struct view text, struct ingest_record *out_record, plsm_error_t **err)
{
    ingest->lossy.len = 0;
    if (ingest_lossy(text, &ingest->lossy) < 0)
        return error_oom(err);
    if (ingest->lossy.len == text.len || ingest->lossy.len > LIMIT_RECORD_BYTES)
        return INGEST_BAD;
    ingest->n_records--; /* it was counted already */
    return ingest_finish(ingest, buf_view(&ingest->lossy), 0, out_record);
}

/* The length of the value at the front of text if its line ends with it; text.len otherwise. */
static size_t seq_line(struct ingest *ingest, struct view text)
{
    size_t used = 0;
    extent_init(&ingest->extent);
    if (extent_feed(&ingest->extent, text.data, text.len, &used) != EXTENT_DONE)
        return text.len;
    const struct view rest = view_of(text.data + used, text.len - used);
    const size_t blanks = ingest_skip_blanks(rest);
    return blanks > 0 && memchr(rest.data, '\n', blanks) != NULL ? used : text.len;
}

/* A record is a value and the end of its line; what stands behind that, before the next
 * separator, is a record of its own. So it does not matter whether the value was handed out
 * before the rest arrived. */
static int seq_finish(
    struct ingest *ingest, struct view text, struct ingest_record *out_record, plsm_error_t **err)
{
    int r = ingest_finish(ingest, text, 0, out_record);
    if (r != INGEST_BAD)
        return r;
    const size_t len = seq_line(ingest, text);
    if (len < text.len) {
        ingest->at = (size_t)(text.data - ingest->input.data) + len;
        ingest->n_records--; /* it was counted already */
        text.len = len;
        r = ingest_finish(ingest, text, 0, out_record);
    }
    return r == INGEST_BAD ? seq_repair(ingest, text, out_record, err) : r;
}

/* Too much before the next separator; but a value whose line ends within the limit, as seq_finish
 * would have it, is a record. */
static int seq_too_long(struct ingest *ingest, struct view text, bool ended,
    struct ingest_record *out_record, plsm_error_t **err)
{
    const struct view front = view_of(text.data, LIMIT_RECORD_BYTES);
    const size_t len = seq_line(ingest, front);
    if (len < front.len) {
        ingest_take(ingest, len);
        const struct view value = view_of(text.data, len);
        const int r = ingest_finish(ingest, value, 0, out_record);
        return r == INGEST_BAD ? seq_repair(ingest, value, out_record, err) : r;
    }
    ingest->discarding = !ended;
    ingest_take(ingest, text.len + ended);
    return ingest_oversize(ingest, text, 0, out_record);
}

/* Whether the record that no separator ends yet is a whole value and its line is at its end:
 * then it need not wait for the next record. */
static bool seq_is_whole(struct ingest *ingest, struct view text, size_t *out_len)
{
    size_t used = 0;
    if (ingest->scanned == 0)
        extent_init(&ingest->extent);
    const size_t from = ingest->scanned;
    const int r = extent_feed(&ingest->extent, text.data + from, text.len - from, &used);
    *out_len = text.len;
    const struct view rest = view_of(text.data + from + used, text.len - from - used);
    if (r != EXTENT_DONE)
        return false;
    if (!ingest_is_blank(rest)) {
        extent_refuse(&ingest->extent); /* what comes later does not make it whole */
        return false;
    }
    return text.data[text.len - 1] == '\n';
}

int ingest_seq_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err)
{
    if (ingest->discarding) {
        if (!ingest_discard(ingest, INGEST_SEPARATOR))
            return ingest_wait_or_end(ingest);
        ingest->discarding = false;
    }
    for (;;) {
        if (ingest->scanned == 0)
            ingest_take(ingest, ingest_skip_blanks(ingest_pending(ingest)));
        const struct view pending = ingest_pending(ingest);
        const size_t from = ingest->scanned;
        if (pending.len == 0)
            return ingest_wait_or_end(ingest);
        const uint8_t *end =
            from == pending.len ? NULL
                                : memchr(pending.data + from, INGEST_SEPARATOR, pending.len - from);
        size_t len = end == NULL ? pending.len : (size_t)(end - pending.data);
        const struct view text = view_of(pending.data, len);

        if (len > LIMIT_RECORD_BYTES)
            return seq_too_long(ingest, text, end != NULL, out_record, err);
        if (end == NULL && !ingest->ended) {
            if (from == len)
                return INGEST_WAIT;
            if (!seq_is_whole(ingest, text, &len)) {
                ingest->scanned = len;
                return INGEST_WAIT;
            }
        }
        ingest_take(ingest, len + (end != NULL));
        if (!ingest_is_blank(text))
            return seq_finish(ingest, text, out_record, err);
    }
}

int ingest_jq_next(struct ingest *ingest, struct ingest_record *out_record)
{
    if (ingest->scanned == 0) {
        ingest_take(ingest, ingest_skip_blanks(ingest_pending(ingest)));
        extent_init(&ingest->extent);
    }
    const struct view pending = ingest_pending(ingest);
    const size_t from = ingest->scanned;
    if (pending.len == 0)
        return ingest_wait_or_end(ingest);

    size_t used = 0;
    int r = extent_feed(&ingest->extent, pending.data + from, pending.len - from, &used);
    if (r == EXTENT_MORE && !ingest->ended && from + used <= LIMIT_RECORD_BYTES) {
        ingest->scanned = pending.len;
        return INGEST_WAIT;
    }
    /* Cut off, or no JSON from here on: the rest is one bad record. */
    const size_t len = r == EXTENT_DONE ? from + used : pending.len;
    ingest_take(ingest, len);
    const struct view text = view_of(pending.data, len);
    if (from + used > LIMIT_RECORD_BYTES)
        return ingest_oversize(ingest, text, 0, out_record);
    return ingest_finish(ingest,
        view_of(text.data, len < LIMIT_RECORD_BYTES ? len : LIMIT_RECORD_BYTES), 0, out_record);
}

/* One line of an event; comments and fields other than data say nothing to us. */
static int events_field(struct ingest *ingest, struct view line, plsm_error_t **err)
{
    static const char field[] = "data:";
    const size_t name = sizeof(field) - 1;

    if (line.len < name || memcmp(line.data, field, name) != 0 || ingest->event_too_long)
        return 0;
    struct view value = view_of(line.data + name, line.len - name);
    if (value.len > 0 && value.data[0] == ' ')
        value = view_of(value.data + 1, value.len - 1);
    if ((ingest->event_has_data && buf_append(&ingest->event, "\n", 1) < 0) ||
        buf_append(&ingest->event, value.data, value.len) < 0)
        return error_oom(err);
    ingest->event_has_data = true;
    return 0;
}

/* An empty line or the end: hands out what the event has. INGEST_WAIT: it has nothing. */
static int events_dispatch(struct ingest *ingest, struct ingest_record *out_record)
{
    const bool whole = ingest->event_has_data && !ingest->event_too_long;
    const struct view text = buf_view(&ingest->event);
    ingest->event_has_data = false;
    ingest->event_too_long = false;
    ingest->event.len = 0; /* its bytes stay until the next call */
    if (!whole || ingest_is_blank(text))
        return INGEST_WAIT;
    return ingest_finish(ingest, text, 0, out_record);
}

static int events_too_long(
    struct ingest *ingest, struct view text, struct ingest_record *out_record)
{
    ingest->event_too_long = true; /* what else the event has is dropped */
    ingest->event.len = 0;
    return ingest_oversize(ingest, text, 0, out_record);
}

int ingest_events_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err)
{
    if (ingest->discarding) {
        if (!ingest_discard(ingest, '\n'))
            return ingest_wait_or_end(ingest);
        ingest->discarding = false;
    }
    for (;;) {
        const struct view pending = ingest_pending(ingest);
        const size_t from = ingest->scanned;
        const uint8_t *end =
            from == pending.len ? NULL : memchr(pending.data + from, '\n', pending.len - from);
        struct view line =
            view_of(pending.data, end == NULL ? pending.len : (size_t)(end - pending.data));

        if (line.len > EVENT_LINE_BYTES) {
            ingest->discarding = end == NULL;
            ingest_take(ingest, line.len + (end != NULL));
            return events_too_long(ingest, line, out_record);
        }
        if (end == NULL && !ingest->ended) {
            ingest->scanned = pending.len;
            return INGEST_WAIT;
        }
        ingest_take(ingest, line.len + (end != NULL));
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        if (events_field(ingest, line, err) < 0)
            return -1;
        if (ingest->event.len > LIMIT_RECORD_BYTES)
            return events_too_long(ingest, buf_view(&ingest->event), out_record);
        if (line.len == 0) {
            const int r = events_dispatch(ingest, out_record);
            if (r != INGEST_WAIT)
                return r;
            if (end == NULL)
                return INGEST_END;
        }
    }
}

/* JSON Lines, strict and as `auto` reads them.
 *
 * Strict: one value a line. `auto` adds values that run over several lines (pretty JSON) and
 * several values on one line. A line that is not JSON but begins like an object or array is the
 * beginning of a longer record as long as it can still become one; the extent automaton says
 * so, and looks at each byte once. A record separator in one of the first lines means that they
 * were the banner of a sequence, as some programs print it. */
#include "cli/ingest_modes.h"

/* As far as `auto` looks for separators. */
#define LINES_SNIFF 8u

/* One line of the input, found behind what a record of several lines already has. */
struct line {
    struct view text; /* without its line end */
    size_t len;       /* with it */
};

enum line_outcome {
    LINE_FOUND,
    LINE_WAIT,
    LINE_NONE, /* the input is at its end */
    LINE_TOO_LONG,
};

static enum line_outcome lines_find(struct ingest *ingest, struct line *out_line)
{
    const struct view pending = ingest_pending(ingest);
    const size_t from = ingest->record_len;
    const size_t searched = ingest->scanned > from ? ingest->scanned : from;
    const uint8_t *end = searched == pending.len
                             ? NULL
                             : memchr(pending.data + searched, '\n', pending.len - searched);

    if (end == NULL) {
        ingest->scanned = pending.len;
        out_line->len = pending.len - from;
    } else {
        out_line->len = (size_t)(end - pending.data) + 1 - from;
    }
    out_line->text = view_of(pending.data + from, out_line->len - (end != NULL));
    if (from + out_line->text.len > LIMIT_RECORD_BYTES) {
        ingest->discarding = end == NULL;
        return LINE_TOO_LONG;
    }
    if (end == NULL && !ingest->ended)
        return LINE_WAIT;
    return end == NULL && out_line->len == 0 ? LINE_NONE : LINE_FOUND;
}

/* If the line with this number, which is no JSON, shows that the input is a sequence, reads on as
 * one, from the record that is not handed out yet. */
static bool lines_become_sequence(struct ingest *ingest, struct view line, uint64_t number)
{
    if (ingest->mode != INGEST_LINES || number > LINES_SNIFF || line.len == 0 ||
        memchr(line.data, INGEST_SEPARATOR, line.len) == NULL)
        return false;
    ingest->mode = INGEST_SEQ;
    ingest->record_len = 0;
    ingest->scanned = 0;
    return true;
}

static bool lines_opens(struct view line)
{
    const size_t blanks = ingest_skip_blanks(line);
    return blanks < line.len && (line.data[blanks] == '{' || line.data[blanks] == '[');
}

/* Hands out the record of several lines, which ends before or with the present line. */
static int lines_close(struct ingest *ingest, size_t len, struct ingest_record *out_record)
{
    const struct view text = view_of(ingest_pending(ingest).data, len);
    const int r = ingest_finish(ingest, text, ingest->record_line, out_record);
    ingest_take(ingest, len);
    ingest->record_len = 0;
    ingest->absorbing = r == INGEST_BAD && ingest->skip;
    return r;
}

/* Adds a line to a record of several. Returns INGEST_RECORD or _BAD when that ends it, _WAIT
 * (a word of this file alone, here) when it goes on. */
static int lines_extend(
    struct ingest *ingest, const struct line *line, struct ingest_record *out_record)
{
    const bool opens = lines_opens(line->text);
    size_t used = 0;

    if (lines_become_sequence(ingest, line->text, ingest->n_lines + 1))
        return INGEST_WAIT;
    /* In skip mode the next line that begins a value of its own ends a broken record. */
    if (ingest->skip && opens && (line->text.data[0] == '{' || line->text.data[0] == '['))
        return lines_close(ingest, ingest->record_len, out_record);

    const int r = extent_feed(&ingest->extent, line->text.data, line->len, &used);
    if (r == EXTENT_DEAD && ingest->skip && opens)
        return lines_close(ingest, ingest->record_len, out_record);
    ingest->n_lines++;
    if (r == EXTENT_MORE) {
        ingest->record_len += line->len;
        return INGEST_WAIT;
    }
    return lines_close(ingest, ingest->record_len + line->len, out_record);
}

/* Whether a line is several objects or arrays, one behind the other. */
static bool lines_is_several(struct view line, struct extent *extent)
{
    size_t n = 0;
    while (!ingest_is_blank(line)) {
        size_t used = 0;
        if (!lines_opens(line))
            return false;
        extent_init(extent);
        if (extent_feed(extent, line.data, line.len, &used) != EXTENT_DONE)
            return false;
        line = view_of(line.data + used, line.len - used);
        n++;
    }
    return n > 1;
}

/* The next value of a line of several. */
static int lines_split(struct ingest *ingest, struct ingest_record *out_record)
{
    const struct view line = view_of(ingest_pending(ingest).data, ingest->split_len);
    size_t used = 0;

    extent_init(&ingest->extent);
    extent_feed(&ingest->extent, line.data, line.len, &used);
    const int r = ingest_finish(ingest, view_of(line.data, used), ingest->n_lines, out_record);
    ingest->split_len -= used;
    if (ingest_is_blank(view_of(line.data + used, ingest->split_len))) {
        used = line.len;
        ingest->split_len = 0;
    }
    ingest_take(ingest, used);
    return r;
}

/* A line that is no JSON value of its own, in `auto`. */
static int lines_recover(
    struct ingest *ingest, const struct line *line, struct ingest_record *out_record)
{
    size_t used = 0;
    if (lines_is_several(line->text, &ingest->extent)) {
        ingest->n_records--; /* the line was counted as one */
        ingest->split_len = line->len;
        return lines_split(ingest, out_record);
    }
    extent_init(&ingest->extent);
    if (extent_feed(&ingest->extent, line->text.data, line->len, &used) == EXTENT_MORE) {
        ingest->n_records--; /* counted when it is whole */
        ingest->record_len = line->len;
        ingest->record_line = ingest->n_lines;
        return INGEST_WAIT;
    }
    ingest_take(ingest, line->len);
    ingest->absorbing = ingest->skip;
    return INGEST_BAD;
}

/* A fresh line. INGEST_WAIT: it gave nothing (yet), or the mode changed. */
static int lines_take(
    struct ingest *ingest, const struct line *line, struct ingest_record *out_record)
{
    const uint64_t number = ++ingest->n_lines;
    const bool blank = ingest_is_blank(line->text);
    if (blank || (ingest->absorbing && !lines_opens(line->text))) {
        if (blank || !lines_become_sequence(ingest, line->text, number))
            ingest_take(ingest, line->len);
        return INGEST_WAIT;
    }
    ingest->absorbing = false;

    const int r = ingest_finish(ingest, line->text, number, out_record);
    if (r == INGEST_BAD && lines_become_sequence(ingest, line->text, number)) {
        ingest->n_records--; /* the line was counted as one */
        return INGEST_WAIT;
    }
    if (r == INGEST_BAD && ingest->mode == INGEST_LINES && lines_opens(line->text))
        return lines_recover(ingest, line, out_record);
    ingest_take(ingest, line->len);
    return r;
}

static int lines_too_long(
    struct ingest *ingest, const struct line *line, struct ingest_record *out_record)
{
    const uint64_t first = ingest->record_len > 0 ? ingest->record_line : ingest->n_lines + 1;
    const struct view text =
        view_of(ingest_pending(ingest).data, ingest->record_len + line->text.len);
    const int r = ingest_oversize(ingest, text, first, out_record);
    ingest->n_lines++;
    ingest->absorbing = ingest->skip && ingest->record_len > 0;
    ingest_take(ingest, ingest->record_len + line->len);
    ingest->record_len = 0;
    return r;
}

int ingest_lines_next(struct ingest *ingest, struct ingest_record *out_record, plsm_error_t **err)
{
    if (ingest->discarding) {
        if (!ingest_discard(ingest, '\n'))
            return ingest_wait_or_end(ingest);
        ingest->discarding = false;
    }
    if (ingest->split_len > 0)
        return lines_split(ingest, out_record);
    for (;;) {
        struct line line;
        int r = INGEST_WAIT;
        switch (lines_find(ingest, &line)) {
        case LINE_WAIT: return INGEST_WAIT;
        case LINE_TOO_LONG: return lines_too_long(ingest, &line, out_record);
        case LINE_NONE:
            if (ingest->record_len == 0)
                return INGEST_END;
            return lines_close(ingest, ingest->record_len, out_record);
        case LINE_FOUND:
            r = ingest->record_len > 0 ? lines_extend(ingest, &line, out_record)
                                       : lines_take(ingest, &line, out_record);
            if (r != INGEST_WAIT)
                return r;
            if (ingest->mode == INGEST_SEQ)
                return ingest_seq_next(ingest, out_record, err);
        }
    }
}

#include "cli/tap_lines.h"

#include "base/limits.h"
#include "json/scan.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A batch takes at most this part of the ring, so that readers keep most of what there was; a
 * part of a line likewise. */
#define BATCH_RING_PART 8

/* A pool that takes fewer bytes of a line in one message is of no use. */
#define LINE_BYTES_MIN 64

/* Room for the text of one read of short lines; more only for a long line. */
#define TEXT_BYTES 262144u

/* The encoder stops where it has less room than this: its stores are eight bytes wide, and the
 * longest escape has six. */
#define ENCODE_ROOM 8

static const char message_head[] = "{\"kind\":\"line\",\"line\":\"";
#define HEAD_BYTES (sizeof(message_head) - 1)

/* What may follow the text: ","part":18446744073709551615,"more":true,"stream":"stdout"} */
#define TAIL_BYTES_MAX 80

/* ---- text into the content of a JSON string ------------------------------------------------ */

struct encoder {
    const uint8_t *in;
    const uint8_t *in_end;
    uint8_t *out;
    uint8_t *out_end;
};

enum {
    ENCODE_INPUT, /* all is used but the beginning of a character */
    ENCODE_LINE,  /* a line ended */
    ENCODE_FULL,  /* there is no room */
};

/* How many of the eight bytes stand in JSON strings as they are, up to the first that does not.
 * In the sums below, a borrow may make the byte above such a byte look like one too; the first
 * one is exact. */
static inline unsigned encode_n_plain(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    const uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    const uint64_t other =
        ((word - ones * 0x20) | (quote - ones) | (backslash - ones) | word) & high;
    return other == 0 ? 8 : (unsigned)__builtin_ctzll(other) / 8;
}

/* Copies up to the first byte that needs thought, or to where input or room come to an end. */
static void encode_plain(struct encoder *at)
{
    const uint8_t *in = at->in;
    uint8_t *out = at->out;
    uint64_t word;
    unsigned n = 8;

    while (n == 8 && at->in_end - in >= 8 && at->out_end - out >= ENCODE_ROOM) {
        memcpy(&word, in, 8);
        memcpy(out, &word, 8);
        n = encode_n_plain(le64toh(word));
        in += n;
        out += n;
    }
    while (n == 8 && in < at->in_end && at->out_end - out >= ENCODE_ROOM && *in >= 0x20 &&
           *in < 0x80 && *in != '"' && *in != '\\')
        *out++ = *in++;
    at->in = in;
    at->out = out;
}

static uint8_t *encode_escape(uint8_t *out, uint8_t byte)
{
    static const uint8_t letters[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const uint8_t hex[] = "0123456789abcdef";
    const uint8_t letter = byte < 0x20 ? letters[byte] : byte;

    *out++ = '\\';
    if (letter != 0) {
        *out++ = letter;
        return out;
    }
    const uint8_t digits[5] = {'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    memcpy(out, digits, sizeof(digits));
    return out + sizeof(digits);
}

/* Whether the bytes up to the end may be the beginning of a character. */
static bool encode_is_cut(const uint8_t *in, const uint8_t *end)
{
    const size_t len = (size_t)(end - in);
    const size_t wanted = in[0] < 0xc2 || in[0] > 0xf4 ? 1
                          : in[0] < 0xe0               ? 2
                          : in[0] < 0xf0               ? 3
                                                       : 4;
    for (size_t i = 1; i < len && i < wanted; i++)
        if ((in[i] & 0xc0) != 0x80)
            return false;
    return len < wanted;
}

/* A character beyond ASCII, or a byte that is none. false: it is not all there. */
static bool encode_wide(struct encoder *at, bool final)
{
    static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};
    const size_t n = scan_utf8(at->in, at->in_end);

    if (n == 0 && !final && encode_is_cut(at->in, at->in_end))
        return false;
    if (n == 0) {
        memcpy(at->out, replacement, sizeof(replacement));
        at->out += sizeof(replacement);
        at->in++;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        *at->out++ = *at->in++;
    return true;
}

static int encode(struct encoder *at, bool final)
{
    for (;;) {
        encode_plain(at);
        if (at->in == at->in_end)
            return ENCODE_INPUT;
        const uint8_t byte = *at->in;
        if (byte == '\n') {
            at->in++;
            return ENCODE_LINE;
        }
        if (at->out_end - at->out < ENCODE_ROOM)
            return ENCODE_FULL;
        if (byte >= 0x80) {
            if (!encode_wide(at, final))
                return ENCODE_INPUT;
        } else {
            at->out = encode_escape(at->out, byte);
            at->in++;
        }
    }
}

/* The length of encoded text without the carriage returns at its end, each of which is a
 * backslash and an r, the backslash not being escaped itself. */
static size_t encoded_trim(const uint8_t *text, size_t len)
{
    while (len >= 2 && text[len - 1] == 'r' && text[len - 2] == '\\') {
        size_t n = 1;
        while (n < len - 1 && text[len - 2 - n] == '\\')
            n++;
        if (n % 2 == 0)
            break;
        len -= 2;
    }
    return len;
}

/* Where encoded text can be cut: the last place between characters up to max, which is less than
 * its length. */
static size_t encoded_cut(const uint8_t *text, size_t max)
{
    const uint8_t *escape;
    size_t at = 0; /* behind the last escape */

    while ((escape = memchr(text + at, '\\', max - at)) != NULL) {
        const size_t begin = (size_t)(escape - text);
        const size_t end = begin + (escape[1] == 'u' ? 6 : 2);
        if (end > max)
            return begin;
        at = end;
    }
    while (max > at && (text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

/* ---- messages ------------------------------------------------------------------------------ */

static uint64_t lines_footprint(struct view tags, size_t data_len)
{
    const struct message message = {.tags = tags, .data = view_of(NULL, data_len)};
    return message_footprint(&message);
}

/* The bytes of JSON text for a line in a message of this footprint; 0: none. */
static size_t lines_room(struct view tags, uint64_t footprint)
{
    const uint64_t rounding = 32; /* of a message in the ring */
    const uint64_t rest = lines_footprint(tags, 0) + rounding + HEAD_BYTES + TAIL_BYTES_MAX;
    return footprint > rest ? (size_t)(footprint - rest) : 0;
}

static size_t lines_max(size_t room, size_t limit)
{
    if (room > limit)
        return limit;
    return room < LINE_BYTES_MIN ? LINE_BYTES_MIN : room;
}

bool lines_fit(struct view tags, uint64_t ring_size)
{
    return lines_room(tags, ring_size) >= LINE_BYTES_MIN;
}

int lines_init(struct lines *lines, const char *stream, struct view tags, uint64_t ring_size,
    lines_append_function *append, void *context, plsm_error_t **err)
{
    *lines = (struct lines){
        .append = append,
        .context = context,
        .tags = tags,
        .batch_max = ring_size / BATCH_RING_PART,
        .whole_max = lines_max(lines_room(tags, ring_size), LIMIT_LINE_BYTES),
        .part_max = lines_max(lines_room(tags, ring_size / BATCH_RING_PART), LIMIT_RECORD_BYTES),
    };
    lines->tail_len =
        (size_t)snprintf(lines->tail, sizeof(lines->tail), ",\"stream\":\"%s\"}", stream);
    assert(lines->tail_len < sizeof(lines->tail));
    lines->messages = calloc(LIMIT_BATCH_MESSAGES, sizeof(*lines->messages));
    if (lines->messages == NULL || buf_reserve(&lines->text, TEXT_BYTES) < 0)
        return error_oom(err);
    return 0;
}

void lines_fini(struct lines *lines)
{
    buf_fini(&lines->text);
    free(lines->messages);
    *lines = (struct lines){0};
}

static int lines_send(struct lines *lines, plsm_error_t **err)
{
    const size_t n = lines->n_messages;
    lines->n_messages = 0; /* also after a failure: nothing is appended twice */
    lines->batch_bytes = 0;
    return n == 0 ? 0 : lines->append(lines->context, lines->messages, n, err);
}

/* The batch leaves, and what is unfinished moves to the front. */
static int lines_flush(struct lines *lines, plsm_error_t **err)
{
    if (lines_send(lines, err) < 0)
        return -1;
    struct buf *text = &lines->text;
    const size_t rest = lines->unfinished ? text->len - lines->start : 0;
    if (lines->start > 0 && rest > 0)
        memmove(text->data, text->data + lines->start, rest);
    lines->start = 0;
    text->len = rest;
    return 0;
}

/* Puts a message into the batch, which leaves first if they do not go together. */
static int lines_add(struct lines *lines, struct view data, plsm_error_t **err)
{
    const struct message message = {.tags = lines->tags, .data = data};
    const uint64_t bytes = message_footprint(&message);

    if ((lines->n_messages == LIMIT_BATCH_MESSAGES ||
            lines->batch_bytes + bytes > lines->batch_max) &&
        lines_send(lines, err) < 0)
        return -1;
    lines->messages[lines->n_messages++] = message;
    lines->batch_bytes += bytes;
    return 0;
}

/* Writes what follows the text of a line and returns its length, at most TAIL_BYTES_MAX. */
static size_t lines_tail(const struct lines *lines, bool more, uint8_t *out)
{
    size_t len = 0;
    if (lines->n_parts > 0 || more)
        len = (size_t)snprintf((char *)out, TAIL_BYTES_MAX, "\",\"part\":%llu%s",
            (unsigned long long)lines->n_parts + 1, more ? ",\"more\":true" : "");
    else
        out[len++] = '"';
    memcpy(out + len, lines->tail, lines->tail_len);
    return len + lines->tail_len;
}

/* The first bytes of the unfinished line become a message of their own, which leaves alone. */
static int lines_send_part(struct lines *lines, struct view part, plsm_error_t **err)
{
    scoped(buf_fini) struct buf data = {0};

    if (buf_reserve(&data, HEAD_BYTES + part.len + TAIL_BYTES_MAX) < 0 ||
        buf_append(&data, message_head, HEAD_BYTES) < 0 ||
        buf_append(&data, part.data, part.len) < 0)
        return error_oom(err);
    data.len += lines_tail(lines, true, data.data + data.len);
    lines->n_parts++;
    if (lines_add(lines, buf_view(&data), err) < 0)
        return -1;
    return lines_send(lines, err);
}

/* The unfinished line is as long as it may become: all but less than a part of it leaves. */
static int lines_cut(struct lines *lines, plsm_error_t **err)
{
    if (lines_flush(lines, err) < 0)
        return -1;
    uint8_t *content = lines->text.data + HEAD_BYTES;
    const size_t len = lines->text.len - HEAD_BYTES;
    size_t at = 0;
    while (len - at + ENCODE_ROOM > lines->part_max) {
        const size_t n =
            len - at <= lines->part_max ? len - at : encoded_cut(content + at, lines->part_max);
        if (lines_send_part(lines, view_of(content + at, n), err) < 0)
            return -1;
        at += n;
    }
    memmove(content, content + at, len - at);
    lines->text.len = HEAD_BYTES + len - at;
    return 0;
}

/* How long the unfinished message may become. */
static size_t lines_unfinished_max(const struct lines *lines)
{
    return HEAD_BYTES + (lines->n_parts == 0 ? lines->whole_max : lines->part_max);
}

/* Makes room behind the unfinished line. */
static int lines_make_room(struct lines *lines, plsm_error_t **err)
{
    struct buf *text = &lines->text;
    if (text->len - lines->start + ENCODE_ROOM > lines_unfinished_max(lines))
        return lines_cut(lines, err);
    if (lines->start > 0)
        return lines_flush(lines, err);
    return buf_grow(text, text->capacity) < 0 ? error_oom(err) : 0;
}

static int lines_begin(struct lines *lines, plsm_error_t **err)
{
    struct buf *text = &lines->text;
    if (text->capacity - text->len < HEAD_BYTES + ENCODE_ROOM + TAIL_BYTES_MAX &&
        lines_flush(lines, err) < 0)
        return -1;
    lines->start = text->len;
    lines->unfinished = true;
    lines->n_parts = 0;
    memcpy(text->data + text->len, message_head, HEAD_BYTES);
    text->len += HEAD_BYTES;
    return 0;
}

static int lines_finish(struct lines *lines, plsm_error_t **err)
{
    struct buf *text = &lines->text;
    const size_t content = lines->start + HEAD_BYTES;
    text->len = content + encoded_trim(text->data + content, text->len - content);
    text->len += lines_tail(lines, false, text->data + text->len);
    lines->unfinished = false;
    lines->n_lines++;
    return lines_add(lines, view_of(text->data + lines->start, text->len - lines->start), err);
}

/* Encodes into what is left of the buffer, or of the message. */
static int lines_encode(struct lines *lines, const uint8_t **in, const uint8_t *in_end, bool final)
{
    struct buf *text = &lines->text;
    size_t end = text->capacity - TAIL_BYTES_MAX;
    const size_t max = lines->start + lines_unfinished_max(lines);
    if (end > max)
        end = max;
    struct encoder encoder = {*in, in_end, text->data + text->len, text->data + end};
    const int r = encode(&encoder, final);
    *in = encoder.in;
    text->len = (size_t)(encoder.out - text->data);
    return r;
}

int lines_put(
    struct lines *lines, struct view bytes, bool final, size_t *out_used, plsm_error_t **err)
{
    const uint8_t *in = bytes.data;
    const uint8_t *end = bytes.data + bytes.len;
    int r = ENCODE_LINE;

    while (in < end && r != ENCODE_INPUT) {
        if (!lines->unfinished && lines_begin(lines, err) < 0)
            return -1;
        r = lines_encode(lines, &in, end, final);
        if (r == ENCODE_LINE && lines_finish(lines, err) < 0)
            return -1;
        if (r == ENCODE_FULL && lines_make_room(lines, err) < 0)
            return -1;
    }
    *out_used = (size_t)(in - bytes.data);
    return lines_flush(lines, err);
}

int lines_end(struct lines *lines, plsm_error_t **err)
{
    if (lines->unfinished && lines_finish(lines, err) < 0)
        return -1;
    return lines_flush(lines, err);
}

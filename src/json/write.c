#include "json/write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Short forms of control characters; 0: \u00xx. */
static const uint8_t escape_letters[32] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

static inline bool quote_needs_escape(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static int quote_escape(struct buf *buf, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";

    if (c == '"' || c == '\\' || escape_letters[c] != 0) {
        const uint8_t text[2] = {'\\', c < 0x20 ? escape_letters[c] : c};
        return buf_append(buf, text, sizeof(text));
    }
    const char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    return buf_append(buf, text, sizeof(text));
}

/* The content of a string, without quotes. */
static int quote_content(struct buf *buf, struct view string)
{
    size_t start = 0;

    for (size_t i = 0; i < string.len; i++) {
        if (!quote_needs_escape(string.data[i]))
            continue;
        if (buf_append(buf, string.data + start, i - start) < 0 ||
            quote_escape(buf, string.data[i]) < 0)
            return -1;
        start = i + 1;
    }
    return start == string.len ? 0 : buf_append(buf, string.data + start, string.len - start);
}

int json_quote(struct buf *buf, struct view string)
{
    if (buf_reserve(buf, string.len + 2) < 0 || buf_append(buf, "\"", 1) < 0 ||
        quote_content(buf, string) < 0)
        return -1;
    return buf_append(buf, "\"", 1);
}

/* How many bytes at `at` are one well-formed character (RFC 3629); 0: not even one is. */
static size_t utf8_length(const uint8_t *at, size_t len)
{
    const uint8_t c = at[0];
    size_t n;

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (len < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    const bool overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    const bool surrogate = c == 0xed && at[1] > 0x9f;
    const bool too_large = c == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : n;
}

bool json_is_utf8(struct view text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.len && n > 0; i += n)
        n = utf8_length(text.data + i, text.len - i);
    return n > 0;
}

static int quote_lossy(struct buf *buf, struct view string)
{
    size_t start = 0, i = 0;

    if (buf_append(buf, "\"", 1) < 0)
        return -1;
    while (i < string.len) {
        const size_t n = utf8_length(string.data + i, string.len - i);
        if (n > 0) {
            i += n;
            continue;
        }
        if (quote_content(buf, view_of(string.data + start, i - start)) < 0 ||
            buf_append_str(buf, "\xef\xbf\xbd") < 0)
            return -1;
        i++;
        start = i;
    }
    if (quote_content(buf, view_of(string.data + start, string.len - start)) < 0)
        return -1;
    return buf_append(buf, "\"", 1);
}

static void writer_note(struct json_writer *writer, int result)
{
    if (result < 0)
        writer->failed = true;
}

/* What stands before a value or a key. */
static void writer_separate(struct json_writer *writer)
{
    if (writer->comma)
        writer_note(writer, buf_append(writer->buf, ",", 1));
    writer->comma = true;
}

static void writer_value(struct json_writer *writer, const void *text, size_t len)
{
    writer_separate(writer);
    writer_note(writer, buf_append(writer->buf, text, len));
}

static void writer_begin(struct json_writer *writer, const char *bracket)
{
    writer_value(writer, bracket, 1);
    writer->comma = false;
}

static void writer_end(struct json_writer *writer, const char *bracket)
{
    writer_note(writer, buf_append(writer->buf, bracket, 1));
    writer->comma = true;
}

void json_object_begin(struct json_writer *writer)
{
    writer_begin(writer, "{");
}

void json_object_end(struct json_writer *writer)
{
    writer_end(writer, "}");
}

void json_array_begin(struct json_writer *writer)
{
    writer_begin(writer, "[");
}

void json_array_end(struct json_writer *writer)
{
    writer_end(writer, "]");
}

void json_key_view(struct json_writer *writer, struct view key)
{
    json_string(writer, key);
    writer_note(writer, buf_append(writer->buf, ":", 1));
    writer->comma = false;
}

void json_key(struct json_writer *writer, const char *key)
{
    json_key_view(writer, view_str(key));
}

void json_string(struct json_writer *writer, struct view string)
{
    writer_separate(writer);
    writer_note(writer, json_quote(writer->buf, string));
}

void json_str(struct json_writer *writer, const char *string)
{
    json_string(writer, view_str(string));
}

void json_string_lossy(struct json_writer *writer, struct view string)
{
    writer_separate(writer);
    writer_note(writer, quote_lossy(writer->buf, string));
}

static void writer_digits(struct json_writer *writer, uint64_t value, bool negative)
{
    char text[21];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (negative)
        text[--at] = '-';
    writer_value(writer, text + at, sizeof(text) - at);
}

void json_uint(struct json_writer *writer, uint64_t value)
{
    writer_digits(writer, value, false);
}

void json_int(struct json_writer *writer, int64_t value)
{
    writer_digits(writer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void json_bool(struct json_writer *writer, bool value)
{
    writer_value(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json_writer *writer)
{
    writer_value(writer, "null", 4);
}

void json_raw(struct json_writer *writer, struct view text)
{
    writer_value(writer, text.data, text.len);
}

void json_number(struct json_writer *writer, double value)
{
    char text[JSON_DOUBLE_MAX];

    if (!isfinite(value)) {
        json_null(writer);
        return;
    }
    writer_value(writer, text, json_format_double(value, text));
}

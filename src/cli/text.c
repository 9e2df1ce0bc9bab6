#include "cli/text.h"

#include "base/clock.h"
#include "base/digits.h"
#include "cli/out.h"
#include "json/write.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_fini(struct text *text)
{
    buf_fini(&text->buf);
    text->failed = false;
}

void text_put(struct text *text, const void *data, size_t len)
{
    if (buf_append(&text->buf, data, len) < 0)
        text->failed = true;
}

void text_str(struct text *text, const char *string)
{
    text_put(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || buf_reserve(&text->buf, (size_t)len + 1) < 0) {
        text->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf((char *)text->buf.data + text->buf.len, (size_t)len + 1, format, args);
    va_end(args);
    text->buf.len += (size_t)len;
}

void text_pad(struct text *text, size_t n_blanks)
{
    while (n_blanks-- > 0)
        text_put(text, " ", 1);
}

void text_u64(struct text *text, uint64_t number)
{
    uint8_t digits[DIGITS_MAX];
    text_put(text, digits, digits_put(digits, number));
}

void text_json(struct text *text, struct view string)
{
    struct json_writer writer = json_writer(&text->buf);
    json_string_lossy(&writer, string);
    if (json_writer_failed(&writer))
        text->failed = true;
}

void text_json_str(struct text *text, const char *string)
{
    text_json(text, view_str(string));
}

void text_time(struct text *text, uint64_t time_ns)
{
    char time[CLOCK_TEXT_MAX];
    text_put(text, time, clock_format(time_ns, time));
}

void text_time_seconds(struct text *text, uint64_t time_ns)
{
    text_time(text, time_ns / NS_PER_SECOND * NS_PER_SECOND);
}

size_t text_control(struct view text, unsigned *out_code)
{
    const uint8_t *at = text.data;
    unsigned code;

    if (text.len >= 1 && (at[0] < 0x20 || at[0] == 0x7f)) {
        *out_code = at[0];
        return 1;
    }
    if (text.len >= 2 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) {
        *out_code = at[1];
        return 2;
    }
    if (text.len < 3 || at[0] != 0xe2 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80)
        return 0; /* not a character of three bytes, or not UTF-8 at all */
    code = 0x2000u | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    if ((code < 0x202a || code > 0x202e) && (code < 0x2066 || code > 0x2069))
        return 0;
    *out_code = code;
    return 3;
}

/* The length of the character at the front; 0 if there is none, but a byte that is not UTF-8. */
static size_t text_character(struct view text)
{
    const uint8_t lead = text.data[0];
    const size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return len <= text.len && json_is_utf8(view_of(text.data, len)) ? len : 0;
}

static void text_escape(struct text *text, unsigned code)
{
    if (code == '\n')
        text_str(text, "\\n");
    else if (code == '\r')
        text_str(text, "\\r");
    else if (code == '\t')
        text_str(text, "\\t");
    else
        text_printf(text, "\\u%04x", code);
}

void text_printable(struct text *text, struct view string)
{
    while (string.len > 0) {
        unsigned code = 0;
        size_t len = text_control(string, &code);
        if (len > 0) {
            text_escape(text, code);
        } else if ((len = text_character(string)) > 0) {
            text_put(text, string.data, len);
        } else {
            text_printf(text, "\\x%02x", string.data[0]);
            len = 1;
        }
        string = view_of(string.data + len, string.len - len);
    }
}

int text_write(const struct text *text, int fd, plsm_error_t **err)
{
    if (text->failed)
        return error_oom(err);
    return out_write_all(fd, text->buf.data, text->buf.len, err);
}

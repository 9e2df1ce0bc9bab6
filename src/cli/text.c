#include "cli/text.h"

#include "base/clock.h"
#include "cli/out.h"
#include "client/digits.h"
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

void text_printable(struct text *text, struct view string)
{
    for (size_t i = 0; i < string.len; i++) {
        const uint8_t byte = string.data[i];
        const bool upper = byte == 0xc2 && i + 1 < string.len && string.data[i + 1] <= 0x9f;
        if (byte == '\n' || byte == '\r')
            text_str(text, byte == '\n' ? "\\n" : "\\r");
        else if (byte < 0x20 || byte == 0x7f || upper)
            text_put(text, "?", 1);
        else
            text_put(text, &string.data[i], 1);
        i += upper; /* U+0080 to U+009F have two bytes */
    }
}

int text_write(const struct text *text, int fd, plsm_error_t **err)
{
    if (text->failed)
        return error_oom(err);
    return out_write_all(fd, text->buf.data, text->buf.len, err);
}

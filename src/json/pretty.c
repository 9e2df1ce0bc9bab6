/* Compact text with line breaks and, on request, colours. */
#include "json/span.h"
#include "json/write.h"

#define COLOUR_KEY         "36"
#define COLOUR_STRING      "32"
#define COLOUR_NUMBER      "33"
#define COLOUR_BOOL        "35"
#define COLOUR_NULL        "39"
#define COLOUR_PUNCTUATION "39"

struct printer {
    struct buf *buf;
    const uint8_t *at;
    const uint8_t *end;
    size_t depth;
    bool colour;
    bool failed;
};

static void print_bytes(struct printer *printer, const void *data, size_t len)
{
    if (buf_append(printer->buf, data, len) < 0)
        printer->failed = true;
}

static void print_token(
    struct printer *printer, const uint8_t *data, size_t len, const char *colour)
{
    if (printer->colour) {
        print_bytes(printer, "\x1b[", 2);
        print_bytes(printer, colour, 2);
        print_bytes(printer, "m", 1);
    }
    print_bytes(printer, data, len);
    if (printer->colour)
        print_bytes(printer, "\x1b[0m", 4);
}

static void print_punctuation(struct printer *printer)
{
    print_token(printer, printer->at, 1, COLOUR_PUNCTUATION);
    printer->at++;
}

static void print_new_line(struct printer *printer)
{
    print_bytes(printer, "\n", 1);
    for (size_t i = 0; i < printer->depth; i++)
        print_bytes(printer, "  ", 2);
}

static const char *colour_of(enum json_kind kind)
{
    switch (kind) {
    case JSON_STRING: return COLOUR_STRING;
    case JSON_NUMBER: return COLOUR_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE: return COLOUR_BOOL;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
    case JSON_DAMAGED: break;
    }
    return COLOUR_NULL;
}

static void print_scalar(struct printer *printer)
{
    struct json_value value;

    const uint8_t *next = json_read(printer->at, printer->end, &value);
    if (next == NULL) { /* not JSON: shown as it is */
        print_bytes(printer, printer->at, 1);
        printer->at++;
        return;
    }
    const bool is_key = value.kind == JSON_STRING && next < printer->end && *next == ':';
    print_token(
        printer, value.text.data, value.text.len, is_key ? COLOUR_KEY : colour_of(value.kind));
    printer->at = next;
}

static void print_open(struct printer *printer)
{
    print_punctuation(printer);
    if (printer->at < printer->end && (*printer->at == '}' || *printer->at == ']')) {
        print_punctuation(printer);
        return;
    }
    printer->depth++;
    print_new_line(printer);
}

static void print_close(struct printer *printer)
{
    printer->depth -= printer->depth > 0;
    print_new_line(printer);
    print_punctuation(printer);
}

static void print_next(struct printer *printer)
{
    switch (*printer->at) {
    case '{':
    case '[': print_open(printer); break;
    case '}':
    case ']': print_close(printer); break;
    case ',':
        print_punctuation(printer);
        print_new_line(printer);
        break;
    case ':':
        print_punctuation(printer);
        print_bytes(printer, " ", 1);
        break;
    default: print_scalar(printer);
    }
}

int json_pretty(struct view compact, bool colour, struct buf *buf)
{
    struct printer printer = {
        .buf = buf, .at = compact.data, .end = compact.data + compact.len, .colour = colour};

    while (printer.at < printer.end && !printer.failed)
        print_next(&printer);
    return printer.failed ? -1 : 0;
}

/* Finds where a value ends in a text that is still growing. */
#include "json/scan.h"

enum {
    END_BLANK,  /* nothing but blanks so far; the zero state */
    END_BARE,   /* in a number or a word that stands alone */
    END_INSIDE, /* between brackets */
    END_STRING,
    END_ESCAPED, /* behind a backslash in a string */
};

/* Whether this byte ends a number or a word. */
static bool end_is_delimiter(uint8_t byte)
{
    return scan_is_blank(byte) || byte == ',' || byte == ':' || byte == '"' || byte == '{' ||
           byte == '}' || byte == '[' || byte == ']';
}

/* Takes one byte outside of strings; true: the value ends behind it. */
static bool end_outside(struct json_end *end, uint8_t byte)
{
    if (scan_is_blank(byte))
        return false;
    if (byte == '"') {
        end->state = END_STRING;
    } else if (byte == '{' || byte == '[') {
        end->depth++;
        end->state = END_INSIDE;
    } else if (byte == '}' || byte == ']') {
        end->depth -= end->depth > 0;
        return end->depth == 0;
    } else if (end->state == END_BLANK) {
        end->state = END_BARE;
        return byte == ',' || byte == ':';
    }
    return false;
}

/* Moves on to the quote that ends the string, or to the end of the text. */
static void end_string(struct json_end *end, const uint8_t *text, size_t len)
{
    while (end->offset < len) {
        const uint8_t byte = text[end->offset++];
        if (end->state == END_ESCAPED) {
            end->state = END_STRING;
        } else if (byte == '\\') {
            end->state = END_ESCAPED;
        } else if (byte == '"') {
            end->state = END_INSIDE;
            return;
        }
    }
}

bool json_end_find(
    struct json_end *end, const uint8_t *text, size_t len, bool complete, size_t *out_len)
{
    bool found = false;
    while (!found && end->offset < len) {
        if (end->state == END_STRING || end->state == END_ESCAPED) {
            end_string(end, text, len);
            found = end->state == END_INSIDE && end->depth == 0;
        } else if (end->state == END_BARE && end_is_delimiter(text[end->offset])) {
            found = true;
        } else {
            found = end_outside(end, text[end->offset++]);
        }
    }
    if (!found && !(complete && end->state == END_BARE))
        return false;
    *out_len = end->offset;
    return true;
}

bool json_end_is_blank(const struct json_end *end)
{
    return end->state == END_BLANK;
}

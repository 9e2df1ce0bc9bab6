#include "cli/extent.h"

#include <stdbool.h>

enum state {
    STATE_VALUE = 0,
    STATE_VALUE_OR_END, /* behind '[' */
    STATE_KEY_OR_END,   /* behind '{' */
    STATE_KEY,          /* behind ',' in an object */
    STATE_COLON,
    STATE_AFTER, /* behind a value in a container */
    STATE_STRING,
    STATE_ESCAPE,
    STATE_TOKEN, /* in a number or literal */
    STATE_DONE,
    STATE_DEAD,
};

void extent_init(struct extent *extent)
{
    extent->state = STATE_VALUE;
    extent->string_state = STATE_VALUE;
    extent->depth = 0;
}

static bool extent_in_object(const struct extent *extent)
{
    const unsigned level = extent->depth - 1u;
    return (extent->objects[level / 8] >> (level % 8) & 1) != 0;
}

static uint8_t extent_after(const struct extent *extent)
{
    return extent->depth == 0 ? STATE_DONE : STATE_AFTER;
}

static bool extent_open(struct extent *extent, bool object)
{
    if (extent->depth == LIMIT_JSON_DEPTH)
        return false;
    const unsigned level = extent->depth++;
    const uint8_t bit = (uint8_t)(1u << (level % 8));
    if (object)
        extent->objects[level / 8] |= bit;
    else
        extent->objects[level / 8] &= (uint8_t)~bit;
    extent->state = object ? STATE_KEY_OR_END : STATE_VALUE_OR_END;
    return true;
}

static bool extent_close(struct extent *extent, bool object)
{
    if (extent->depth == 0 || extent_in_object(extent) != object)
        return false;
    extent->depth--;
    extent->state = extent_after(extent);
    return true;
}

static bool extent_is_token(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '+' || byte == '-' || byte == '.';
}

static void extent_string(struct extent *extent, uint8_t state_behind)
{
    extent->string_state = state_behind;
    extent->state = STATE_STRING;
}

/* A byte where a value may begin. */
static bool extent_begin(struct extent *extent, uint8_t byte)
{
    if (byte == '{' || byte == '[')
        return extent_open(extent, byte == '{');
    if (byte == '"') {
        extent_string(extent, extent_after(extent));
        return true;
    }
    const bool begins =
        byte == '-' || (byte >= '0' && byte <= '9') || byte == 't' || byte == 'f' || byte == 'n';
    extent->state = STATE_TOKEN;
    return begins;
}

/* A byte outside strings and tokens, not a blank. false: it cannot stand here. */
static bool extent_step(struct extent *extent, uint8_t byte)
{
    switch ((enum state)extent->state) {
    case STATE_VALUE: return extent_begin(extent, byte);
    case STATE_VALUE_OR_END:
        return byte == ']' ? extent_close(extent, false) : extent_begin(extent, byte);
    case STATE_KEY_OR_END:
        if (byte == '}')
            return extent_close(extent, true);
        __attribute__((fallthrough));
    case STATE_KEY: extent_string(extent, STATE_COLON); return byte == '"';
    case STATE_COLON: extent->state = STATE_VALUE; return byte == ':';
    case STATE_AFTER:
        if (byte == '}' || byte == ']')
            return extent_close(extent, byte == '}');
        extent->state = extent_in_object(extent) ? STATE_KEY : STATE_VALUE;
        return byte == ',';
    case STATE_STRING:
    case STATE_ESCAPE:
    case STATE_TOKEN:
    case STATE_DONE:
    case STATE_DEAD: break;
    }
    return false;
}

static bool extent_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Skips to what ends the string or its plain part. */
static size_t extent_skip_string(const uint8_t *text, size_t len, size_t at)
{
    while (at < len && text[at] != '"' && text[at] != '\\' && text[at] >= 0x20)
        at++;
    return at;
}

/* Takes one byte, or the plain part of a string. false: the byte at *at cannot stand there. */
static bool extent_take(struct extent *extent, const uint8_t *text, size_t len, size_t *at)
{
    if (extent->state == STATE_STRING) {
        *at = extent_skip_string(text, len, *at);
        if (*at == len)
            return true;
        if (text[*at] < 0x20)
            return false;
        extent->state = text[*at] == '"' ? extent->string_state : STATE_ESCAPE;
    } else if (extent->state == STATE_ESCAPE) {
        if (text[*at] < 0x20)
            return false;
        extent->state = STATE_STRING;
    } else if (extent->state == STATE_TOKEN) {
        if (!extent_is_token(text[*at])) {
            extent->state = extent_after(extent);
            return true; /* the byte is looked at again */
        }
    } else if (!extent_is_blank(text[*at]) && !extent_step(extent, text[*at])) {
        return false;
    }
    (*at)++;
    return true;
}

int extent_feed(struct extent *extent, const uint8_t *text, size_t len, size_t *out_used)
{
    size_t at = 0;
    while (at < len && extent->state != STATE_DONE && extent->state != STATE_DEAD) {
        if (!extent_take(extent, text, len, &at))
            extent->state = STATE_DEAD;
    }
    *out_used = at;
    if (extent->state == STATE_DEAD)
        return EXTENT_DEAD;
    return extent->state == STATE_DONE ? EXTENT_DONE : EXTENT_MORE;
}

void extent_refuse(struct extent *extent)
{
    extent->state = STATE_DEAD;
}

int extent_finish(const struct extent *extent)
{
    return extent->state == STATE_TOKEN && extent->depth == 0 ? EXTENT_DONE : EXTENT_MORE;
}

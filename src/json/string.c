/* The content of JSON strings, with escapes resolved. */
#include "json/span.h"

#define REPLACEMENT_CHARACTER 0xfffdu

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four hexadecimal digits at `at`, or -1. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
    int32_t unit = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static uint8_t utf8_encode(uint32_t c, uint8_t out[static 4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* Reads what follows "\u": one unit, or a pair of surrogates with the second one's "\u". */
static const uint8_t *escape_unicode(const uint8_t *at, const uint8_t *end, uint32_t *out_c)
{
    const int32_t unit = hex4(at, end);

    if (unit < 0)
        return NULL;
    at += 4;
    *out_c = (uint32_t)unit;
    if (unit < 0xd800 || unit > 0xdfff)
        return at;
    *out_c = REPLACEMENT_CHARACTER;
    if (unit > 0xdbff || end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return at;
    const int32_t low = hex4(at + 2, end);
    if (low < 0xdc00 || low > 0xdfff)
        return at;
    *out_c = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return at + 6;
}

/* Reads the escape at `at`, which is a backslash. Returns what is behind it; NULL: no escape. */
static const uint8_t *escape_read(const uint8_t *at, const uint8_t *end, uint32_t *out_c)
{
    if (end - at < 2)
        return NULL;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/': *out_c = at[1]; return at + 2;
    case 'b': *out_c = '\b'; return at + 2;
    case 'f': *out_c = '\f'; return at + 2;
    case 'n': *out_c = '\n'; return at + 2;
    case 'r': *out_c = '\r'; return at + 2;
    case 't': *out_c = '\t'; return at + 2;
    case 'u': return escape_unicode(at + 2, end, out_c);
    default: return NULL;
    }
}

int json_next_byte(struct json_bytes *bytes)
{
    if (bytes->n_pending > 0) {
        const uint8_t c = bytes->pending[0];
        bytes->n_pending--;
        memmove(bytes->pending, bytes->pending + 1, sizeof(bytes->pending) - 1);
        return c;
    }
    if (bytes->at >= bytes->end)
        return -1;
    if (*bytes->at != '\\')
        return *bytes->at++;

    uint32_t c;
    const uint8_t *next = escape_read(bytes->at, bytes->end, &c);
    if (next == NULL) {
        bytes->at = bytes->end;
        bytes->damaged = true;
        return -1;
    }
    bytes->at = next;
    bytes->n_pending = utf8_encode(c, bytes->pending);
    return json_next_byte(bytes);
}

static int view_compare(struct view a, struct view b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int r = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return r != 0 ? r : (a.len > b.len) - (a.len < b.len);
}

bool json_string_is(struct json_value string, struct view plain)
{
    if (!string.escaped)
        return view_equal(json_inner(string), plain);

    struct json_bytes bytes = json_bytes(string);
    for (size_t i = 0; i < plain.len; i++) {
        if (json_next_byte(&bytes) != plain.data[i])
            return false;
    }
    return json_next_byte(&bytes) < 0 && !bytes.damaged;
}

int json_string_compare(struct json_value a, struct json_value b)
{
    if (!a.escaped && !b.escaped)
        return view_compare(json_inner(a), json_inner(b));

    struct json_bytes bytes_a = json_bytes(a);
    struct json_bytes bytes_b = json_bytes(b);
    for (;;) {
        const int byte_a = json_next_byte(&bytes_a);
        const int byte_b = json_next_byte(&bytes_b);
        if (byte_a != byte_b)
            return byte_a < byte_b ? -1 : 1;
        if (byte_a < 0)
            return 0;
    }
}

size_t json_string_length(struct json_value string)
{
    struct json_bytes bytes = json_bytes(string);
    size_t n = 0;

    for (int c = json_next_byte(&bytes); c >= 0; c = json_next_byte(&bytes))
        n += (c & 0xc0) != 0x80; /* every code point has one byte that is no continuation */
    return n;
}

int json_unescape(struct json_value string, struct buf *buf)
{
    const struct view inner = json_inner(string);
    const uint8_t *at = inner.data;
    const uint8_t *const end = inner.data + inner.len;

    if (!string.escaped)
        return buf_append(buf, inner.data, inner.len);
    if (buf_reserve(buf, inner.len) < 0) /* an escape is never shorter than what it stands for */
        return -1;
    while (at < end) {
        const uint8_t *backslash = memchr(at, '\\', (size_t)(end - at));
        const size_t plain_len = (size_t)((backslash == NULL ? end : backslash) - at);
        uint32_t c;
        if (buf_append(buf, at, plain_len) < 0)
            return -1;
        if (backslash == NULL)
            return 0;
        at = escape_read(backslash, end, &c);
        if (at == NULL)
            return 0;
        uint8_t utf8[4];
        if (buf_append(buf, utf8, utf8_encode(c, utf8)) < 0)
            return -1;
    }
    return 0;
}

/* The byte-wise scanner: a state machine over the grammar of RFC 8259 that copies what is not
 * blank. It runs on every CPU, and it is the one that knows positions: what an accelerated
 * scanner refuses is looked at again here.
 *
 * Nesting is one bit a level (object or array), so that no text makes it recurse or allocate. */
#include "json/scan.h"

#include "base/limits.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

struct scan {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t *out;
    enum scan_state state;
    size_t depth;
    uint64_t objects[LIMIT_JSON_DEPTH / 64]; /* bit of a level: set in an object */
};

static_assert(LIMIT_JSON_DEPTH % 64 == 0, "levels fill whole words");

int scan_hex4(const uint8_t digits[static 4])
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t digit = digits[i];
        if (scan_is_digit(digit))
            value = value * 16 + (digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            value = value * 16 + ((digit | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

size_t scan_unicode_escape(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 6)
        return 0;
    const int unit = scan_hex4(at + 2);
    if (unit < 0 || (unit & 0xfc00) == 0xdc00)
        return 0;
    if ((unit & 0xfc00) != 0xd800)
        return 6;
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u')
        return 0;
    const int low = scan_hex4(at + 8);
    return low >= 0 && (low & 0xfc00) == 0xdc00 ? 12 : 0;
}

/* The Unicode standard's table 3-7 of well-formed sequences: only the second byte's range
 * depends on the first. */
size_t scan_utf8(const uint8_t *at, const uint8_t *end)
{
    const uint8_t lead = at[0];
    const size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - at) < len)
        return 0;
    const uint8_t lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < lowest || at[1] > highest)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* How many of the eight bytes at `at` are neither a quote, a backslash, a control character nor
 * beyond ASCII, up to the first one that is. In the sums below, a borrow may make the byte above
 * such a byte look like one too; the first one is exact. */
static inline unsigned scan_plain(const uint8_t *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, at, 8);
    word = le64toh(word);
    const uint64_t quote = (word ^ ones * '"') - ones;
    const uint64_t backslash = (word ^ ones * '\\') - ones;
    const uint64_t control = word - ones * 0x20;
    const uint64_t special = (quote | backslash | control | word) & ones * 0x80;
    return special == 0 ? 8 : (unsigned)__builtin_ctzll(special) / 8;
}

/* Copies the sequence of `len` bytes at s->at; 0 stands for one that is refused. */
static enum scan_problem scan_copy(struct scan *s, size_t len, enum scan_problem refused)
{
    if (len == 0)
        return refused;
    memcpy(s->out, s->at, len);
    s->out += len;
    s->at += len;
    return SCAN_OK;
}

static enum scan_problem scan_escape(struct scan *s)
{
    if (s->end - s->at < 2)
        return SCAN_STRING;
    switch (s->at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return scan_copy(s, 2, SCAN_ESCAPE);
    case 'u': break;
    default: return SCAN_ESCAPE;
    }
    if (s->end - s->at < 6 || scan_hex4(s->at + 2) < 0)
        return SCAN_ESCAPE;
    return scan_copy(s, scan_unicode_escape(s->at, s->end), SCAN_SURROGATE);
}

/* Copies a string; s->at is at its opening quote. */
static enum scan_problem scan_string(struct scan *s)
{
    *s->out++ = *s->at++;
    for (;;) {
        while (s->end - s->at >= 8) {
            const unsigned n = scan_plain(s->at);
            memcpy(s->out, s->at, 8);
            s->out += n;
            s->at += n;
            if (n < 8)
                break;
        }
        if (s->at == s->end)
            return SCAN_STRING;

        const uint8_t byte = *s->at;
        enum scan_problem problem = SCAN_OK;
        if (byte == '\\') {
            problem = scan_escape(s);
        } else if (byte >= 0x80) {
            problem = scan_copy(s, scan_utf8(s->at, s->end), SCAN_UTF8);
        } else if (byte < 0x20) {
            problem = SCAN_CONTROL;
        } else {
            *s->out++ = *s->at++;
            if (byte == '"')
                return SCAN_OK;
        }
        if (problem != SCAN_OK)
            return problem;
    }
}

/* Copies digits; at least one is needed. */
static enum scan_problem scan_digits(struct scan *s)
{
    if (s->at == s->end || !scan_is_digit(*s->at))
        return SCAN_NUMBER;
    const uint8_t *at = s->at;
    uint8_t *out = s->out;
    while (at < s->end && scan_is_digit(*at))
        *out++ = *at++;
    s->at = at;
    s->out = out;
    return SCAN_OK;
}

/* Copies a number; s->at is at its minus or first digit. */
static enum scan_problem scan_number(struct scan *s)
{
    if (*s->at == '-')
        *s->out++ = *s->at++;
    const uint8_t *first = s->at;
    if (scan_digits(s) != SCAN_OK)
        return SCAN_NUMBER;
    if (*first == '0' && s->at - first > 1) {
        s->at = first + 1;
        return SCAN_ZERO;
    }
    if (s->at < s->end && *s->at == '.') {
        *s->out++ = *s->at++;
        if (scan_digits(s) != SCAN_OK)
            return SCAN_NUMBER;
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        *s->out++ = *s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            *s->out++ = *s->at++;
        if (scan_digits(s) != SCAN_OK)
            return SCAN_NUMBER;
    }
    return SCAN_OK;
}

static enum scan_problem scan_literal(struct scan *s, const char *word, size_t len)
{
    const size_t rest = (size_t)(s->end - s->at);
    if (rest < len || memcmp(s->at, word, len) != 0)
        return SCAN_WORD;
    if (rest > len && scan_is_word(s->at[len]))
        return SCAN_WORD;
    return scan_copy(s, len, SCAN_WORD);
}

/* The state behind a complete value. */
static enum scan_state scan_after(const struct scan *s)
{
    if (s->depth == 0)
        return SCAN_END;
    const size_t level = s->depth - 1;
    return s->objects[level / 64] >> (level % 64) & 1 ? SCAN_AFTER_MEMBER : SCAN_AFTER_ELEMENT;
}

static enum scan_problem scan_open(struct scan *s, bool object)
{
    if (s->depth == LIMIT_JSON_DEPTH)
        return SCAN_DEPTH;
    const uint64_t bit = UINT64_C(1) << (s->depth % 64);
    uint64_t *word = &s->objects[s->depth / 64];
    if (s->depth % 64 == 0)
        *word = 0;
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    s->state = object ? SCAN_FIRST_KEY : SCAN_FIRST_ELEMENT;
    *s->out++ = *s->at++;
    return SCAN_OK;
}

static enum scan_problem scan_close(struct scan *s)
{
    assert(s->depth > 0);
    s->depth--;
    s->state = scan_after(s);
    *s->out++ = *s->at++;
    return SCAN_OK;
}

/* A byte that only moves the grammar on. */
static enum scan_problem scan_sign(struct scan *s, enum scan_state next)
{
    *s->out++ = *s->at++;
    s->state = next;
    return SCAN_OK;
}

static enum scan_problem scan_value(struct scan *s)
{
    enum scan_problem problem = SCAN_UNEXPECTED;
    const uint8_t byte = *s->at;
    if (byte == '{' || byte == '[')
        return scan_open(s, byte == '{');
    if (byte == '"')
        problem = scan_string(s);
    else if (byte == '-' || scan_is_digit(byte))
        problem = scan_number(s);
    else if (byte == 't')
        problem = scan_literal(s, "true", 4);
    else if (byte == 'f')
        problem = scan_literal(s, "false", 5);
    else if (byte == 'n')
        problem = scan_literal(s, "null", 4);
    else if (scan_is_word(byte))
        problem = SCAN_WORD;
    if (problem == SCAN_OK)
        s->state = scan_after(s);
    return problem;
}

static enum scan_problem scan_key(struct scan *s)
{
    if (*s->at != '"')
        return SCAN_UNEXPECTED;
    const enum scan_problem problem = scan_string(s);
    if (problem == SCAN_OK)
        s->state = SCAN_COLON;
    return problem;
}

/* One token. */
static enum scan_problem scan_step(struct scan *s)
{
    const uint8_t byte = *s->at;
    switch (s->state) {
    case SCAN_FIRST_KEY: return byte == '}' ? scan_close(s) : scan_key(s);
    case SCAN_KEY: return scan_key(s);
    case SCAN_COLON: return byte == ':' ? scan_sign(s, SCAN_MEMBER) : SCAN_UNEXPECTED;
    case SCAN_FIRST_ELEMENT: return byte == ']' ? scan_close(s) : scan_value(s);
    case SCAN_VALUE:
    case SCAN_MEMBER:
    case SCAN_ELEMENT: return scan_value(s);
    case SCAN_AFTER_MEMBER:
        if (byte == ',')
            return scan_sign(s, SCAN_KEY);
        return byte == '}' ? scan_close(s) : SCAN_UNEXPECTED;
    case SCAN_AFTER_ELEMENT:
        if (byte == ',')
            return scan_sign(s, SCAN_ELEMENT);
        return byte == ']' ? scan_close(s) : SCAN_UNEXPECTED;
    case SCAN_END: return SCAN_UNEXPECTED;
    }
    return SCAN_UNEXPECTED;
}

bool scan_portable(
    const uint8_t *text, size_t len, uint8_t *out, size_t *out_len, struct scan_fault *out_fault)
{
    struct scan s;
    s.at = text;
    s.end = text + len;
    s.out = out;
    s.state = SCAN_VALUE;
    s.depth = 0; /* s.objects is written word by word, as the text opens brackets */

    enum scan_problem problem = SCAN_OK;
    while (problem == SCAN_OK) {
        while (s.at < s.end && scan_is_blank(*s.at))
            s.at++;
        if (s.at == s.end)
            break;
        problem = scan_step(&s);
    }
    if (problem == SCAN_OK && s.state == SCAN_END) {
        *out_len = (size_t)(s.out - out);
        assert(*out_len <= len);
        return true;
    }

    out_fault->problem = problem == SCAN_OK ? SCAN_ENDED : problem;
    out_fault->state = s.state;
    out_fault->offset = (size_t)(s.at - text);
    return false;
}

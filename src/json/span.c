/* Finding things in compact JSON text.
 *
 * Strings are searched eight bytes at a time, in a register. That beats vector instructions
 * here: most keys and values are shorter than one vector, and their setup would cost more than
 * it saves. The containers that are skipped whole use the same trick for brackets. */
#include "json/span.h"

#include "json/find.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

static inline uint64_t span_load8(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    /* The first byte of memory must be the lowest one. */
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

/* Marks the high bit of each byte that equals c. Bytes above the lowest match may be marked
 * wrongly, so only the lowest mark counts. */
static inline uint64_t span_match8(uint64_t word, uint8_t c)
{
    const uint64_t x = word ^ (EACH_BYTE * c);
    return (x - EACH_BYTE) & ~x & HIGH_BITS;
}

static inline const uint8_t *span_lowest(const uint8_t *at, uint64_t marks)
{
    return at + ((unsigned)__builtin_ctzll(marks) >> 3);
}

/* The first quote or backslash at or behind `at`; end where there is none. */
static inline const uint8_t *span_quote_or_backslash(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        const uint64_t word = span_load8(at);
        const uint64_t marks = span_match8(word, '"') | span_match8(word, '\\');
        if (marks != 0)
            return span_lowest(at, marks);
        at += 8;
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* `at` is behind the opening quote. Returns the closing one; NULL where there is none. */
static inline const uint8_t *span_closing_quote(
    const uint8_t *at, const uint8_t *end, bool *out_escaped)
{
    *out_escaped = false;
    for (;;) {
        at = span_quote_or_backslash(at, end);
        if (at == end)
            return NULL;
        if (*at == '"')
            return at;
        *out_escaped = true;
        if (end - at < 2)
            return NULL;
        at += 2;
    }
}

/* The first quote or bracket; end where there is none. A set bit 5 makes '[' of '{' and ']' of
 * '}' the same byte, and leaves '"' alone (it turns 0x02 into '"', which a string never needs
 * and which the caller checks). */
static inline const uint8_t *span_quote_or_bracket(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        const uint64_t word = span_load8(at) | (EACH_BYTE * 0x20);
        const uint64_t marks =
            span_match8(word, '{') | span_match8(word, '}') | span_match8(word, '"');
        if (marks != 0)
            return span_lowest(at, marks);
        at += 8;
    }
    while (at < end && *at != '"' && (*at | 0x20) != '{' && (*at | 0x20) != '}')
        at++;
    return at;
}

/* `at` is the opening bracket. Which kind of bracket closes which is not looked at: the text was
 * validated, and if it is damaged, any end is as good as another. */
static const uint8_t *span_skip_container(const uint8_t *at, const uint8_t *end)
{
    size_t depth = 0;

    for (;;) {
        at = span_quote_or_bracket(at, end);
        if (at == end)
            return NULL;
        const uint8_t c = *at++;
        if (c == '"') {
            bool escaped;
            at = span_closing_quote(at, end, &escaped);
            if (at == NULL)
                return NULL;
            at++;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return at;
        }
    }
}

static inline bool span_ends_scalar(uint8_t c)
{
    return c == ',' || c == '}' || c == ']';
}

static inline const uint8_t *span_skip_scalar(const uint8_t *at, const uint8_t *end)
{
    while (at < end && !span_ends_scalar(*at))
        at++;
    return at;
}

static inline enum json_kind span_kind(uint8_t first)
{
    switch (first) {
    case '"': return JSON_STRING;
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    case '-': return JSON_NUMBER;
    default: return first >= '0' && first <= '9' ? JSON_NUMBER : JSON_DAMAGED;
    }
}

struct json_value json_value_of(struct view text)
{
    struct json_value value = {.kind = JSON_DAMAGED, .text = text};

    if (text.len == 0)
        return value;
    value.kind = span_kind(text.data[0]);
    if (value.kind == JSON_STRING) {
        value.escaped = memchr(text.data, '\\', text.len) != NULL;
        if (text.len < 2)
            value.kind = JSON_DAMAGED;
    }
    return value;
}

static inline const uint8_t *span_read(
    const uint8_t *at, const uint8_t *end, struct json_value *out_value)
{
    if (at >= end)
        return NULL;

    const uint8_t *const start = at;
    out_value->kind = span_kind(*at);
    out_value->escaped = false;
    switch (out_value->kind) {
    case JSON_STRING:
        at = span_closing_quote(at + 1, end, &out_value->escaped);
        at = at == NULL ? NULL : at + 1;
        break;
    case JSON_ARRAY:
    case JSON_OBJECT: at = span_skip_container(at, end); break;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_NUMBER: at = span_skip_scalar(at + 1, end); break;
    case JSON_DAMAGED: return NULL;
    }
    if (at != NULL)
        out_value->text = view_of(start, (size_t)(at - start));
    return at;
}

const uint8_t *json_read(const uint8_t *at, const uint8_t *end, struct json_value *out_value)
{
    return span_read(at, end, out_value);
}

struct json_walk json_walk(struct view container)
{
    struct json_walk walk = {0};

    if (container.len < 2 || (container.data[0] != '{' && container.data[0] != '[')) {
        walk.damaged = true;
        return walk;
    }
    walk.at = container.data + 1;
    walk.end = container.data + container.len;
    const uint8_t close = container.data[0] == '{' ? '}' : ']';
    if (*walk.at == close) {
        walk.damaged = container.len != 2;
        walk.at = NULL;
    }
    return walk;
}

static inline bool walk_damaged(struct json_walk *walk)
{
    walk->at = NULL;
    walk->damaged = true;
    return false;
}

/* Reads the value at `at` and what must follow it: a comma and more, or the end of all. */
static inline bool walk_value(
    struct json_walk *walk, const uint8_t *at, struct json_value *out_value)
{
    at = span_read(at, walk->end, out_value);
    if (at == NULL || at >= walk->end)
        return walk_damaged(walk);
    if (*at == ',')
        walk->at = at + 1;
    else if (at + 1 == walk->end && (*at == '}' || *at == ']'))
        walk->at = NULL;
    else
        return walk_damaged(walk);
    return true;
}

static inline bool walk_member(
    struct json_walk *walk, struct json_value *out_key, struct json_value *out_value)
{
    const uint8_t *at = walk->at;

    if (at == NULL)
        return false;
    if (at >= walk->end || *at != '"')
        return walk_damaged(walk);
    const uint8_t *quote = span_closing_quote(at + 1, walk->end, &out_key->escaped);
    if (quote == NULL || walk->end - quote < 2 || quote[1] != ':')
        return walk_damaged(walk);
    out_key->kind = JSON_STRING;
    out_key->text = view_of(at, (size_t)(quote + 1 - at));
    return walk_value(walk, quote + 2, out_value);
}

bool json_next_member(
    struct json_walk *walk, struct json_value *out_key, struct json_value *out_value)
{
    return walk_member(walk, out_key, out_value);
}

bool json_next_element(struct json_walk *walk, struct json_value *out_value)
{
    return walk->at != NULL && walk_value(walk, walk->at, out_value);
}

static bool find_by_walking(struct view object, struct view name, struct json_value *out_value)
{
    struct json_walk walk = json_walk(object);
    struct json_value key, value;
    bool found = false;

    while (walk_member(&walk, &key, &value)) {
        const bool same = key.escaped ? json_string_is(key, name)
                                      : key.text.len == name.len + 2 &&
                                            memcmp(key.text.data + 1, name.data, name.len) == 0;
        if (same) {
            *out_value = value;
            found = true;
        }
    }
    return found;
}

bool json_find(struct view object, struct view name, struct json_value *out_value)
{
    const uint8_t *at = NULL;

    if (object.len < 2 || object.data[0] != '{')
        return false;
    switch (find_accelerated(object, name, &at)) {
    case FIND_NONE: return false;
    case FIND_ONE: return span_read(at, object.data + object.len, out_value) != NULL;
    default: return find_by_walking(object, name, out_value);
    }
}

bool json_element(struct view array, int64_t index, struct json_value *out_value)
{
    if (array.len < 2 || array.data[0] != '[')
        return false;
    if (index < 0)
        index += (int64_t)json_count(array);
    if (index < 0)
        return false;
    struct json_walk walk = json_walk(array);
    while (json_next_element(&walk, out_value)) {
        if (index-- == 0)
            return true;
    }
    return false;
}

size_t json_count(struct view container)
{
    struct json_value key, value;
    size_t n = 0;

    struct json_walk walk = json_walk(container);
    if (walk.damaged)
        return 0;
    if (container.data[0] == '{') {
        while (walk_member(&walk, &key, &value))
            n++;
    } else {
        while (json_next_element(&walk, &value))
            n++;
    }
    return n;
}

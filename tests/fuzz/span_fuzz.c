/* Compact text read in place: whatever the bytes, values lie in the text, the ways to reach an
 * element agree, and nothing is read beyond the end. What is JSON is read as a whole and strings
 * come back from their content. */
#include "json/json.h"
#include "json/span.h"
#include "json/write.h"

#include "base/scoped.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    DEPTH_MAX = 24,
    ITEMS_MAX = 24, /* of a container, that are looked at in every way */
    TEXT_MAX = 4096,
};

/* valid: the text is JSON, so more must hold. */
static void check_value(struct json_value value, bool valid, int depth);

static void check_inside(struct view whole, struct view part)
{
    check(part.len > 0 && part.data >= whole.data);
    check(part.data + part.len <= whole.data + whole.len);
}

static void unescape(struct json_value string, struct buf *out)
{
    struct json_bytes bytes = json_bytes(string);

    check(json_unescape(string, out) == 0);
    size_t n = 0;
    for (int c; (c = json_next_byte(&bytes)) >= 0; n++)
        check(n < out->len && out->data[n] == c);
    check(n == out->len);
    check(json_string_is(string, buf_view(out)) == !bytes.damaged);
}

static uint32_t hex_unit(const uint8_t *at)
{
    char digits[5] = {0};
    memcpy(digits, at, 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* The character that an escape of valid text stands for, and the escape's length. */
static size_t escaped_character(const uint8_t *at, uint32_t *out_code)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

    if (at[1] != 'u') {
        const char *letter = strchr(letters, at[1]);
        check(letter != NULL);
        *out_code = (uint8_t)values[letter - letters];
        return 2;
    }
    *out_code = hex_unit(at + 2);
    if (*out_code < 0xd800 || *out_code > 0xdfff)
        return 6;
    *out_code = 0x10000 + (*out_code - 0xd800) * 0x400 + (hex_unit(at + 8) - 0xdc00);
    return 12;
}

static size_t encode(uint32_t code, uint8_t out[static 4])
{
    const size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(leads[n] | code);
    return n;
}

/* What a string of valid text says, read once more in the plainest way. */
static void check_content(struct view inner, const struct buf *content)
{
    size_t n = 0;

    for (size_t i = 0; i < inner.len;) {
        uint8_t bytes[4] = {inner.data[i]};
        uint32_t code = 0;
        size_t len = 1;
        if (inner.data[i] == '\\') {
            i += escaped_character(inner.data + i, &code);
            len = encode(code, bytes);
        } else {
            i++;
        }
        check(content->len - n >= len && memcmp(content->data + n, bytes, len) == 0);
        n += len;
    }
    check(n == content->len);
}

static void check_string(struct json_value string, bool valid)
{
    scoped(buf_fini) struct buf content = {0};
    scoped(buf_fini) struct buf quoted = {0};

    unescape(string, &content);
    check(json_string_compare(string, string) == 0);
    check(json_string_length(string) <= content.len);
    if (!valid)
        return;
    check_content(json_inner(string), &content);
    check(json_is_utf8(buf_view(&content)));
    check(json_quote(&quoted, buf_view(&content)) == 0);
    const struct json_value again = json_value_of(buf_view(&quoted));
    check(again.kind == JSON_STRING && json_string_compare(again, string) == 0);
    check(json_string_length(again) == json_string_length(string));
}

/* The order of strings is that of their content. */
static void check_order(struct json_value a, struct json_value b)
{
    scoped(buf_fini) struct buf content_a = {0};
    scoped(buf_fini) struct buf content_b = {0};

    unescape(a, &content_a);
    unescape(b, &content_b);
    const int r = json_string_compare(a, b);
    check(json_string_compare(b, a) == -r || (r != 0) == (json_string_compare(b, a) != 0));
    const size_t len = content_a.len < content_b.len ? content_a.len : content_b.len;
    int expected = len == 0 ? 0 : memcmp(content_a.data, content_b.data, len);
    if (expected == 0)
        expected = (content_a.len > content_b.len) - (content_a.len < content_b.len);
    check((r > 0) == (expected > 0) && (r < 0) == (expected < 0));
}

static void check_array(struct view array, bool valid, int depth)
{
    struct json_walk walk = json_walk(array);
    struct json_value value, again, last = {0};
    size_t n = 0;

    for (; json_next_element(&walk, &value); n++) {
        check_inside(array, value.text);
        if (n < ITEMS_MAX) {
            check(json_element(array, (int64_t)n, &again));
            check(again.text.data == value.text.data && again.text.len == value.text.len);
            check_value(value, valid, depth + 1);
        }
        last = value;
    }
    check(!valid || !walk.damaged);
    check(json_count(array) == n);
    check(!json_element(array, (int64_t)n, &again));
    check(json_element(array, -1, &again) == (n > 0));
    check(n == 0 || again.text.data == last.text.data);
    check(!json_element(array, -(int64_t)n - 1, &again));
}

/* By name, the last member of that name is found, as a look at each shows. */
static void check_find(struct view object, struct json_value wanted)
{
    scoped(buf_fini) struct buf name = {0};
    struct json_walk walk = json_walk(object);
    struct json_value key, value, last = {0}, found;

    unescape(wanted, &name);
    while (json_next_member(&walk, &key, &value))
        if (json_string_is(key, buf_view(&name)))
            last = value;
    const struct view copy = bytes_copy(buf_view(&name));
    check(json_find(object, copy, &found));
    check(found.text.data == last.text.data && found.text.len == last.text.len);
    check(found.kind == last.kind);
    bytes_free(copy);
}

static void check_object(struct view object, bool valid, int depth)
{
    struct json_walk walk = json_walk(object);
    struct json_value key, value, before = {0};
    size_t n = 0;

    for (; json_next_member(&walk, &key, &value); n++) {
        check_inside(object, key.text);
        check_inside(object, value.text);
        if (n >= ITEMS_MAX)
            continue;
        check_string(key, valid);
        if (before.kind == JSON_STRING && valid)
            check_order(before, key);
        if (valid)
            check_find(object, key);
        check_value(value, valid, depth + 1);
        before = key;
    }
    check(!valid || !walk.damaged);
    check(json_count(object) == n);
    (void)json_find(object, view_str("key"), &value);
}

static void check_value(struct json_value value, bool valid, int depth)
{
    double number;

    check(!valid || value.kind != JSON_DAMAGED);
    if (depth > DEPTH_MAX)
        return;
    switch (value.kind) {
    case JSON_STRING: check_string(value, valid); break;
    case JSON_ARRAY: check_array(value.text, valid, depth); break;
    case JSON_OBJECT: check_object(value.text, valid, depth); break;
    case JSON_NUMBER: check(json_double(value.text, &number) || !valid); break;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_DAMAGED: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_value value;
    size_t len = 0;

    if (size > TEXT_MAX)
        return 0;
    const struct view text = view_of(data, size);
    const uint8_t *end = size == 0 ? NULL : json_read(data, data + size, &value);
    if (end != NULL) {
        check_inside(text, value.text);
        check(end == value.text.data + value.text.len);
        check_value(value, false, 0);
    }
    value = json_value_of(text);
    check_value(value, false, 0);

    uint8_t *compact = malloc(size + JSON_SLACK);
    check(compact != NULL);
    if (json_compact(data, size, compact, &len, NULL)) {
        const struct view copy = bytes_copy(view_of(compact, len));
        check(json_read(copy.data, copy.data + len, &value) == copy.data + len);
        check_value(value, true, 0);
        bytes_free(copy);
    }
    free(compact);
    return 0;
}

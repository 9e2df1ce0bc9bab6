/* JSON text as Lite3: members sorted by their names, of those with the same name the last. */
#include "json/lite3_node.h"
#include "json/span.h"

#include <math.h>
#include <stdlib.h>

/* A member of an object that is being written. */
struct member {
    struct json_value key;
    struct json_value value;
    size_t order; /* in the text */
};

struct encoder {
    struct lite3_tree tree;
    struct buf members; /* of struct member: those of all objects that are being written */
    struct buf key;     /* a key and a string, their escapes resolved */
    struct buf string;
    unsigned depth; /* containers begun */
};

static void encoder_fini_scoped(struct encoder *encoder)
{
    buf_fini(&encoder->members);
    buf_fini(&encoder->key);
    buf_fini(&encoder->string);
}

static int encode_fault(const struct encoder *encoder, const char *problem)
{
    return lite3_tree_fault(&encoder->tree, problem);
}

static int encode_damaged(const struct encoder *encoder)
{
    return encode_fault(encoder, "the JSON text is damaged");
}

/* A value of this type whose bytes are all in its head. */
static struct lite3_bytes bytes_of(enum lite3_type type, const void *data, size_t len)
{
    struct lite3_bytes bytes = {.head = {(uint8_t)type}, .head_len = 1 + len};
    if (len > 0)
        memcpy(bytes.head + 1, data, len);
    return bytes;
}

static int encode_number(
    const struct encoder *encoder, struct view text, struct lite3_bytes *out_bytes)
{
    int64_t integer;
    double number;

    /* integers know no -0 */
    if (json_i64(text, &integer) && !(integer == 0 && text.data[0] == '-')) {
        *out_bytes = bytes_of(LITE3_I64, &integer, sizeof(integer));
        return LITE3_OK;
    }
    if (!json_double(text, &number))
        return encode_damaged(encoder);
    if (!isfinite(number))
        return encode_fault(encoder, "a number is larger than Lite3 can hold");
    *out_bytes = bytes_of(LITE3_F64, &number, sizeof(number));
    return LITE3_OK;
}

/* The content of a string or key; in buf where it had escapes. */
static int encode_content(struct json_value string, struct buf *buf, struct view *out_content)
{
    *out_content = json_inner(string);
    if (!string.escaped)
        return LITE3_OK;
    buf->len = 0;
    if (json_unescape(string, buf) < 0)
        return -1;
    *out_content = buf_view(buf);
    return LITE3_OK;
}

static int encode_string(
    struct encoder *encoder, struct json_value string, struct lite3_bytes *out_bytes)
{
    struct view content;

    if (encode_content(string, &encoder->string, &content) < 0)
        return -1;
    if (content.len >= UINT32_MAX)
        return encode_fault(encoder, "a string is longer than Lite3 can hold: 4 GiB");
    const uint32_t size = (uint32_t)content.len + 1;
    *out_bytes = bytes_of(LITE3_STRING, &size, sizeof(size));
    out_bytes->content = content;
    out_bytes->n_zeros = 1;
    return LITE3_OK;
}

/* What stands in the place of a value; of a container that is its first node, empty. */
static int encode_bytes(
    struct encoder *encoder, struct json_value value, struct lite3_bytes *out_bytes)
{
    const uint8_t truth = value.kind == JSON_TRUE;

    switch (value.kind) {
    case JSON_NULL: *out_bytes = bytes_of(LITE3_NULL, NULL, 0); return LITE3_OK;
    case JSON_FALSE:
    case JSON_TRUE: *out_bytes = bytes_of(LITE3_BOOL, &truth, 1); return LITE3_OK;
    case JSON_NUMBER: return encode_number(encoder, value.text, out_bytes);
    case JSON_STRING: return encode_string(encoder, value, out_bytes);
    case JSON_ARRAY:
    case JSON_OBJECT:
        *out_bytes = bytes_of(value.kind == JSON_ARRAY ? LITE3_ARRAY : LITE3_OBJECT, NULL, 0);
        out_bytes->n_zeros = sizeof(struct lite3_node) - 1;
        return LITE3_OK;
    case JSON_DAMAGED: break;
    }
    return encode_damaged(encoder);
}

static int encode_inside(struct encoder *encoder, size_t at, struct json_value container);

static int encode_value(
    struct encoder *encoder, size_t container, const struct view *key, struct json_value value)
{
    struct lite3_bytes bytes;
    size_t at = 0;

    int r = encode_bytes(encoder, value, &bytes);
    if (r == LITE3_OK)
        r = lite3_tree_add(&encoder->tree, container, key, &bytes, &at);
    if (r == LITE3_OK && (value.kind == JSON_OBJECT || value.kind == JSON_ARRAY))
        r = encode_inside(encoder, at, value);
    return r;
}

static int encode_elements(struct encoder *encoder, size_t at, struct view text)
{
    struct json_walk walk = json_walk(text);
    struct json_value value;
    int r = LITE3_OK;

    while (r == LITE3_OK && json_next_element(&walk, &value))
        r = encode_value(encoder, at, NULL, value);
    return r == LITE3_OK && walk.damaged ? encode_damaged(encoder) : r;
}

static int member_compare(const void *a, const void *b)
{
    const struct member *left = a;
    const struct member *right = b;
    const int order = json_string_compare(left->key, right->key);

    if (order != 0)
        return order;
    return left->order < right->order ? -1 : left->order > right->order;
}

static struct member *encoder_members(const struct encoder *encoder, size_t start)
{
    void *members = encoder->members.data;
    return (struct member *)members + start;
}

/* Adds the members of an object to the list, and sorts them. */
static int encode_collect(
    struct encoder *encoder, struct view text, size_t start, size_t *out_n_members)
{
    struct json_walk walk = json_walk(text);
    struct member member = {0};

    while (json_next_member(&walk, &member.key, &member.value)) {
        if (buf_append(&encoder->members, &member, sizeof(member)) < 0)
            return -1;
        member.order++;
    }
    if (member.order > 0)
        qsort(encoder_members(encoder, start), member.order, sizeof(member), member_compare);
    *out_n_members = member.order;
    return walk.damaged ? encode_damaged(encoder) : LITE3_OK;
}

static int encode_members(struct encoder *encoder, size_t at, struct view text)
{
    const size_t start = encoder->members.len / sizeof(struct member);
    size_t n_members;

    int r = encode_collect(encoder, text, start, &n_members);
    for (size_t i = 0; r == LITE3_OK && i < n_members; i++) {
        const struct member *members = encoder_members(encoder, start);
        const struct member member = members[i];
        struct view key;
        if (i + 1 < n_members && json_string_compare(member.key, members[i + 1].key) == 0)
            continue; /* a later one has the same name */
        r = encode_content(member.key, &encoder->key, &key);
        if (r == LITE3_OK)
            r = encode_value(encoder, at, &key, member.value);
    }
    encoder->members.len = start * sizeof(struct member);
    return r;
}

/* Fills a container that was begun at `at`. */
static int encode_inside(struct encoder *encoder, size_t at, struct json_value container)
{
    if (encoder->depth == LITE3_DEPTH_MAX)
        return encode_fault(encoder, "nested deeper than Lite3 can hold: more than 32 levels");
    encoder->depth++;
    const int r = container.kind == JSON_OBJECT ? encode_members(encoder, at, container.text)
                                                : encode_elements(encoder, at, container.text);
    encoder->depth--;
    return r;
}

int lite3_encode(struct view json, struct buf *out, struct lite3_fault *out_fault)
{
    scoped(encoder_fini) struct encoder encoder = {.tree = {out, out_fault}};
    const struct json_value value = json_value_of(json);

    if (value.kind != JSON_OBJECT && value.kind != JSON_ARRAY)
        return encode_damaged(&encoder);
    if (lite3_tree_begin(&encoder.tree, value.kind == JSON_OBJECT ? LITE3_OBJECT : LITE3_ARRAY) < 0)
        return -1;
    return encode_inside(&encoder, 0, value);
}

/* The one object whose members are not sorted: meta comes first. */
static int encode_message(struct encoder *encoder, struct json_value tags, struct json_value data)
{
    const struct view names[] = {view_str("meta"), view_str("tags"), view_str("data")};
    const struct lite3_bytes meta = {
        .head = {LITE3_OBJECT}, .head_len = 1, .n_zeros = sizeof(struct lite3_node) - 1};
    size_t meta_at;

    encoder->depth = 2;
    int r = lite3_tree_add(&encoder->tree, 0, &names[0], &meta, &meta_at);
    if (r == LITE3_OK)
        r = encode_value(encoder, meta_at, &names[1], tags);
    encoder->depth = 1;
    return r == LITE3_OK ? encode_value(encoder, 0, &names[2], data) : r;
}

int lite3_from_json(
    struct view tags, struct view data, struct buf *out, struct lite3_fault *out_fault)
{
    scoped(encoder_fini) struct encoder encoder = {.tree = {out, out_fault}};

    if (tags.len == 0)
        tags = view_str("[]");
    if (!(tags.data[0] == '[' && data.len > 0 && data.data[0] == '{'))
        return encode_damaged(&encoder);
    if (lite3_tree_begin(&encoder.tree, LITE3_OBJECT) < 0)
        return -1;
    return encode_message(&encoder, json_value_of(tags), json_value_of(data));
}

/* Lite3 payloads: values, members by their names, and what a message has to have. */
#include "json/lite3_node.h"

static bool read_inside(struct view payload, size_t at, size_t len)
{
    return at <= payload.len && len <= payload.len - at;
}

static uint64_t read_number(struct view payload, size_t at, size_t n_bytes)
{
    uint64_t number = 0;
    memcpy(&number, payload.data + at, n_bytes);
    return number;
}

bool lite3_read_node(struct view payload, size_t at, struct lite3_node *out_node)
{
    if (at % 4 != 0 || !read_inside(payload, at, sizeof(*out_node)))
        return false;
    memcpy(out_node, payload.data + at, sizeof(*out_node));
    return true;
}

bool lite3_read_key(struct view payload, size_t at, struct view *out_key, size_t *out_value_at)
{
    if (!read_inside(payload, at, 1))
        return false;
    const size_t tag_len = (payload.data[at] & 3u) + 1;
    if (!read_inside(payload, at, tag_len))
        return false;
    const size_t size = read_number(payload, at, tag_len) >> 2;
    const size_t key_at = at + tag_len;
    if (size == 0 || !read_inside(payload, key_at, size) || payload.data[key_at + size - 1] != 0)
        return false;
    *out_key = view_of(payload.data + key_at, size - 1);
    *out_value_at = key_at + size;
    return true;
}

static bool read_bad(struct lite3_value *value, const char *problem)
{
    value->problem = problem;
    return false;
}

static bool read_fixed(struct view payload, struct lite3_value *value, size_t n_bytes)
{
    if (!read_inside(payload, value->at + 1, n_bytes))
        return read_bad(value, "lite3 value goes beyond the payload");
    value->bits = read_number(payload, value->at + 1, n_bytes);
    value->size = 1 + n_bytes;
    return true;
}

/* What has a length before it; a string has a NUL behind it, which that length counts. */
static bool read_sized(struct view payload, struct lite3_value *value, bool has_nul)
{
    if (!read_inside(payload, value->at + 1, 4))
        return read_bad(value, "lite3 value goes beyond the payload");
    const size_t len = read_number(payload, value->at + 1, 4);
    const size_t content_at = value->at + 5;
    if (!read_inside(payload, content_at, len))
        return read_bad(value, "lite3 value goes beyond the payload");
    if (has_nul && (len == 0 || payload.data[content_at + len - 1] != 0))
        return read_bad(value, "lite3 string does not end in a zero byte");
    value->content = view_of(payload.data + content_at, len - has_nul);
    value->size = 5 + len;
    return true;
}

bool lite3_read_value(struct view payload, size_t at, struct lite3_value *out_value)
{
    *out_value = (struct lite3_value){.at = at};
    if (!read_inside(payload, at, 1))
        return read_bad(out_value, "lite3 value goes beyond the payload");
    out_value->type = (enum lite3_type)payload.data[at];
    switch (out_value->type) {
    case LITE3_NULL: return read_fixed(payload, out_value, 0);
    case LITE3_BOOL: return read_fixed(payload, out_value, 1);
    case LITE3_I64:
    case LITE3_F64: return read_fixed(payload, out_value, 8);
    case LITE3_BYTES: return read_sized(payload, out_value, false);
    case LITE3_STRING: return read_sized(payload, out_value, true);
    case LITE3_OBJECT:
    case LITE3_ARRAY: out_value->size = sizeof(struct lite3_node); return true;
    }
    return read_bad(out_value, "lite3 value of an unknown type");
}

/* Where the entry with this hash is; 0, where the root is and never an entry: nowhere. */
static size_t find_hash(struct view payload, size_t at, uint32_t hash)
{
    struct lite3_node node;

    for (int level = 0; level <= LITE3_HEIGHT_MAX; level++) {
        unsigned i = 0;
        if (!lite3_read_node(payload, at, &node))
            break;
        while (i < lite3_n_keys(&node) && node.hash[i] < hash)
            i++;
        if (i < lite3_n_keys(&node) && node.hash[i] == hash)
            return node.kv[i];
        if (lite3_is_leaf(&node))
            break;
        at = node.child[i];
    }
    return 0;
}

bool lite3_find(struct view payload, size_t at, const char *name, struct lite3_value *out_value)
{
    const struct view wanted = view_str(name);
    const uint32_t hash = lite3_hash(wanted);

    for (uint32_t attempt = 0; attempt < LITE3_ATTEMPTS; attempt++) {
        struct view key;
        size_t value_at;
        const size_t entry = find_hash(payload, at, lite3_attempt(hash, attempt));
        if (entry == 0 || !lite3_read_key(payload, entry, &key, &value_at))
            return false;
        if (view_equal(key, wanted))
            return lite3_read_value(payload, value_at, out_value);
    }
    return false;
}

static int message_fault(struct lite3_fault *fault, const char *problem, size_t offset)
{
    *fault = (struct lite3_fault){problem, offset};
    return LITE3_FAULT;
}

/* Finds the parts of a message; their insides are not looked at. */
static int message_parts(
    struct view payload, size_t *out_tags_at, size_t *out_data_at, struct lite3_fault *fault)
{
    struct lite3_value meta, tags, data;
    struct lite3_node root;

    if (!lite3_read_node(payload, 0, &root) || lite3_node_type(&root) != LITE3_OBJECT)
        return message_fault(fault, "root is not object", 0);
    if (!lite3_find(payload, 0, "meta", &meta) || meta.type != LITE3_OBJECT)
        return message_fault(fault, "meta is not object", 0);
    if (!lite3_find(payload, 0, "data", &data) || data.type != LITE3_OBJECT)
        return message_fault(fault, "data is not object", 0);
    if (!lite3_find(payload, meta.at, "tags", &tags) || tags.type != LITE3_ARRAY)
        return message_fault(fault, "meta.tags must be array", meta.at);
    *out_tags_at = tags.at;
    *out_data_at = data.at;
    return LITE3_OK;
}

int lite3_check(struct view payload, struct lite3_fault *out_fault)
{
    size_t tags_at, data_at;

    int r = message_parts(payload, &tags_at, &data_at, out_fault);
    if (r == LITE3_OK)
        r = lite3_walk(payload, tags_at, true, NULL, out_fault);
    if (r == LITE3_OK)
        r = lite3_walk(payload, 0, false, NULL, out_fault);
    return r;
}

int lite3_message_tags(struct view payload, struct buf *out, struct lite3_fault *out_fault)
{
    size_t tags_at, data_at;

    const int r = message_parts(payload, &tags_at, &data_at, out_fault);
    return r == LITE3_OK ? lite3_walk(payload, tags_at, true, out, out_fault) : r;
}

int lite3_message_data(struct view payload, struct buf *out, struct lite3_fault *out_fault)
{
    size_t tags_at, data_at;

    const int r = message_parts(payload, &tags_at, &data_at, out_fault);
    return r == LITE3_OK ? lite3_walk(payload, data_at, false, out, out_fault) : r;
}

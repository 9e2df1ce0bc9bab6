/* Walks a Lite3 container in the order of its tree, checks all of it, and writes it as JSON.
 *
 * The nodes on the way from the outermost container to the place where the walk is lie on a stack,
 * copied once: the payload may change under our hands if it lies in a pool's mapping. Whatever is
 * in use lies in the payload only once, so the bytes that were looked at can never sum up to more
 * than the payload has: that ends walks in circles, and those through parts that are used twice,
 * of which a few nodes could make a text without end. */
#include "base/limits.h"
#include "json/lite3_node.h"
#include "json/write.h"

#include <math.h>

/* A node on the way. Its children and entries take turns: child 0, entry 0, child 1, ... */
struct step {
    struct lite3_node node;
    unsigned next;
    unsigned level;     /* 0: the first node of a container */
    int64_t low, high;  /* hashes lie between */
    uint32_t n_entries; /* of the container seen so far; level 0 alone */
};

struct walk {
    struct view payload;
    size_t left;      /* bytes that may still be looked at */
    struct buf steps; /* of struct step */
    size_t depth;     /* containers begun */
    bool strings_only;
    struct json_writer *writer; /* NULL: only check */
    struct lite3_fault *fault;
};

static int walk_fault(struct walk *walk, const char *problem, size_t offset)
{
    *walk->fault = (struct lite3_fault){problem, offset};
    return LITE3_FAULT;
}

/* The newest step is 0. */
static struct step *walk_step(const struct walk *walk, size_t back)
{
    assert(walk->steps.len >= (back + 1) * sizeof(struct step));
    /* the buffer comes from malloc, so that steps are aligned */
    void *end = walk->steps.data + walk->steps.len;
    return (struct step *)end - 1 - back;
}

static int walk_spend(struct walk *walk, size_t n_bytes, size_t at)
{
    if (n_bytes > walk->left)
        return walk_fault(walk, "lite3 parts overlap", at);
    walk->left -= n_bytes;
    return LITE3_OK;
}

/* Whether keys rise, lie in the parent's range, and children are there where they have to be. */
static const char *step_problem(const struct step *step)
{
    const struct lite3_node *node = &step->node;
    int64_t low = step->low;

    for (unsigned i = 0; i < lite3_n_keys(node); i++) {
        if (node->hash[i] <= low || node->hash[i] >= step->high)
            return "lite3 node has its keys in the wrong order";
        low = node->hash[i];
    }
    for (unsigned i = 1; i <= lite3_n_keys(node); i++) {
        if ((node->child[i] == 0) != lite3_is_leaf(node))
            return "lite3 node has a part of its children";
    }
    return step->level > LITE3_HEIGHT_MAX ? "lite3 tree is too high" : NULL;
}

static int walk_enter(struct walk *walk, size_t at, enum lite3_type type, struct step *step)
{
    if (!lite3_read_node(walk->payload, at, &step->node))
        return walk_fault(walk, "lite3 node is not inside the payload", at);
    if (lite3_node_type(&step->node) != type)
        return walk_fault(walk, "lite3 node is of another type than its container", at);
    const char *problem = step_problem(step);
    if (problem != NULL)
        return walk_fault(walk, problem, at);
    if (walk_spend(walk, sizeof(step->node), at) != LITE3_OK)
        return LITE3_FAULT;
    return buf_append(&walk->steps, step, sizeof(*step));
}

static int walk_begin(struct walk *walk, size_t at, enum lite3_type type)
{
    struct step step = {.low = -1, .high = INT64_C(1) << 32};

    if (walk->depth == LIMIT_JSON_DEPTH + 1) /* data lies in the message */
        return walk_fault(walk, "lite3 values are nested too deeply", at);
    walk->depth++;
    if (walk->writer != NULL && type == LITE3_OBJECT)
        json_object_begin(walk->writer);
    else if (walk->writer != NULL)
        json_array_begin(walk->writer);
    return walk_enter(walk, at, type, &step);
}

static int walk_descend(struct walk *walk, unsigned i)
{
    const struct step *parent = walk_step(walk, 0);
    const struct lite3_node *node = &parent->node;
    struct step step = {
        .level = parent->level + 1,
        .low = i == 0 ? parent->low : (int64_t)node->hash[i - 1],
        .high = i == lite3_n_keys(node) ? parent->high : (int64_t)node->hash[i],
    };
    return walk_enter(walk, node->child[i], lite3_node_type(node), &step);
}

/* Behind the last child of a node. */
static int walk_leave(struct walk *walk)
{
    const struct step step = *walk_step(walk, 0);

    walk->steps.len -= sizeof(step);
    if (step.level > 0)
        return LITE3_OK;
    if (step.n_entries != lite3_n_entries(&step.node))
        return walk_fault(walk, "lite3 container has another number of entries than it says", 0);
    walk->depth--;
    if (walk->writer != NULL && lite3_node_type(&step.node) == LITE3_OBJECT)
        json_object_end(walk->writer);
    else if (walk->writer != NULL)
        json_array_end(walk->writer);
    return LITE3_OK;
}

static bool key_has_hash(struct view key, uint32_t hash)
{
    const uint32_t first = lite3_hash(key);

    for (uint32_t attempt = 0; attempt < LITE3_ATTEMPTS; attempt++) {
        if (lite3_attempt(first, attempt) == hash)
            return true;
    }
    return false;
}

/* Reads the key of an entry; *at moves on to its value. */
static int walk_key(struct walk *walk, uint32_t hash, size_t *at)
{
    struct view key;
    size_t value_at;

    if (!lite3_read_key(walk->payload, *at, &key, &value_at))
        return walk_fault(walk, "lite3 key goes beyond the payload or does not end", *at);
    if (walk_spend(walk, value_at - *at, *at) != LITE3_OK)
        return LITE3_FAULT;
    if (!key_has_hash(key, hash))
        return walk_fault(walk, "lite3 key does not have the hash it is filed under", *at);
    if (!json_is_utf8(key))
        return walk_fault(walk, "lite3 key is not UTF-8", *at);
    if (walk->writer != NULL)
        json_key_view(walk->writer, key);
    *at = value_at;
    return LITE3_OK;
}

static double value_double(const struct lite3_value *value)
{
    double number;
    memcpy(&number, &value->bits, sizeof(number));
    return number;
}

static const char *value_problem(const struct walk *walk, const struct lite3_value *value)
{
    if (walk->strings_only && value->type != LITE3_STRING)
        return "meta.tags must be string array";
    if (value->type == LITE3_BOOL && value->bits > 1)
        return "lite3 boolean is neither true nor false";
    if (value->type == LITE3_F64 && !isfinite(value_double(value)))
        return "lite3 number is not finite";
    if (value->type == LITE3_STRING && !json_is_utf8(value->content))
        return "lite3 string is not UTF-8";
    return NULL;
}

/* Bytes are a string in base64, in JSON. */
static int write_bytes(struct json_writer *writer, struct view bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    scoped(buf_fini) struct buf text = {0};

    if (buf_reserve(&text, (bytes.len + 2) / 3 * 4 + 2) < 0)
        return -1;
    buf_append(&text, "\"", 1);
    for (size_t i = 0; i < bytes.len; i += 3) {
        const size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;
        bits |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        bits |= n > 2 ? bytes.data[i + 2] : 0;
        const char four[4] = {letters[bits >> 18], letters[bits >> 12 & 63],
            (char)(n > 1 ? letters[bits >> 6 & 63] : '='),
            (char)(n > 2 ? letters[bits & 63] : '=')};
        buf_append(&text, four, sizeof(four));
    }
    buf_append(&text, "\"", 1);
    json_raw(writer, buf_view(&text));
    return 0;
}

static int write_value(struct json_writer *writer, const struct lite3_value *value)
{
    switch (value->type) {
    case LITE3_NULL: json_null(writer); break;
    case LITE3_BOOL: json_bool(writer, value->bits != 0); break;
    case LITE3_I64: json_int(writer, (int64_t)value->bits); break;
    case LITE3_F64: json_number(writer, value_double(value)); break;
    case LITE3_STRING: json_string(writer, value->content); break;
    case LITE3_BYTES: return write_bytes(writer, value->content);
    case LITE3_OBJECT:
    case LITE3_ARRAY: break; /* walk_begin() writes those */
    }
    return json_writer_failed(writer) ? -1 : 0;
}

static int walk_value(struct walk *walk, size_t at)
{
    struct lite3_value value;

    if (!lite3_read_value(walk->payload, at, &value))
        return walk_fault(walk, value.problem, at);
    const char *problem = value_problem(walk, &value);
    if (problem != NULL)
        return walk_fault(walk, problem, at);
    if (value.type == LITE3_OBJECT || value.type == LITE3_ARRAY)
        return walk_begin(walk, at, value.type);
    if (walk_spend(walk, value.size, at) != LITE3_OK)
        return LITE3_FAULT;
    return walk->writer != NULL ? write_value(walk->writer, &value) : LITE3_OK;
}

static int walk_entry(struct walk *walk, unsigned i)
{
    const struct step *step = walk_step(walk, 0);
    struct step *first = walk_step(walk, step->level);
    const uint32_t index = first->n_entries++;
    const uint32_t hash = step->node.hash[i];
    size_t at = step->node.kv[i];

    if (lite3_node_type(&step->node) == LITE3_OBJECT) {
        if (walk_key(walk, hash, &at) != LITE3_OK)
            return LITE3_FAULT;
    } else if (hash != index) {
        return walk_fault(walk, "lite3 array lacks an element", at);
    }
    return walk_value(walk, at);
}

static int walk_next(struct walk *walk)
{
    struct step *step = walk_step(walk, 0);
    const unsigned next = step->next++;

    if (next > 2 * lite3_n_keys(&step->node))
        return walk_leave(walk);
    if (next % 2 == 1)
        return walk_entry(walk, next / 2);
    return lite3_is_leaf(&step->node) ? LITE3_OK : walk_descend(walk, next / 2);
}

int lite3_walk(struct view payload, size_t at, bool strings_only, struct buf *json,
    struct lite3_fault *out_fault)
{
    struct json_writer writer = {.buf = json};
    struct walk walk = {
        .payload = payload,
        .left = payload.len,
        .strings_only = strings_only,
        .writer = json != NULL ? &writer : NULL,
        .fault = out_fault,
    };
    const size_t len = json != NULL ? json->len : 0;
    struct lite3_node node = {0};

    lite3_read_node(payload, at, &node); /* or walk_begin() refuses it */
    int r = walk_begin(&walk, at, lite3_node_type(&node));
    while (r == LITE3_OK && walk.steps.len > 0)
        r = walk_next(&walk);
    if (r == LITE3_OK && writer.failed)
        r = -1;
    if (r != LITE3_OK && json != NULL)
        json->len = len;
    buf_fini(&walk.steps);
    return r;
}

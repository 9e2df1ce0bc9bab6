/* The bytes of Lite3, for those who read and write them: lite3_read.c, lite3_walk.c, lite3_write.c
 * and their tests.
 *
 * A value begins with a byte that says its type. An array's entry is a value; an object's is
 *
 *     tag | key | 00 | value        tag: (length of key with its 00) << 2 | (bytes of tag - 1)
 *
 * A container's value is its first node. */
#ifndef JSON_LITE3_NODE_H
#define JSON_LITE3_NODE_H

#include "json/lite3.h"

#include <assert.h>
#include <stdbool.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are little-endian");

enum lite3_type {
    LITE3_NULL = 0,
    LITE3_BOOL = 1,   /* 1 byte */
    LITE3_I64 = 2,    /* 8 */
    LITE3_F64 = 3,    /* 8 */
    LITE3_BYTES = 4,  /* length (4), bytes */
    LITE3_STRING = 5, /* length with the NUL (4), bytes, NUL */
    LITE3_OBJECT = 6,
    LITE3_ARRAY = 7,
};

#define LITE3_NODE_KEYS  7
#define LITE3_HEIGHT_MAX 9   /* steps below a container's first node */
#define LITE3_ATTEMPTS   128 /* places for keys of one hash */
#define LITE3_DEPTH_MAX  32  /* containers in each other, in what we write */

struct lite3_node {
    uint32_t gen_type; /* the type in the low byte; above it, how often the container was changed */
    uint32_t hash[LITE3_NODE_KEYS]; /* ascending; in arrays: the index */
    uint32_t size_kc;             /* keys in the low 3 bits; entries of the whole container << 6 */
    uint32_t kv[LITE3_NODE_KEYS]; /* where the entries are */
    uint32_t child[LITE3_NODE_KEYS + 1]; /* a leaf has none */
};

static_assert(sizeof(struct lite3_node) == 96, "a node has no padding");

static inline unsigned lite3_n_keys(const struct lite3_node *node)
{
    return node->size_kc & 7;
}

static inline uint32_t lite3_n_entries(const struct lite3_node *node)
{
    return node->size_kc >> 6;
}

static inline enum lite3_type lite3_node_type(const struct lite3_node *node)
{
    return (enum lite3_type)(node->gen_type & 0xff);
}

static inline bool lite3_is_leaf(const struct lite3_node *node)
{
    return node->child[0] == 0;
}

static inline uint32_t lite3_hash(struct view key)
{
    uint32_t hash = 5381;
    for (size_t i = 0; i < key.len; i++)
        hash = hash * 33 + key.data[i];
    return hash;
}

/* Where a key is looked for if others of its hash came before it. */
static inline uint32_t lite3_attempt(uint32_t hash, uint32_t attempt)
{
    return hash + attempt * attempt;
}

/* Reading, bounded by the payload: false is damage ----------------------------------------------*/

struct lite3_value {
    enum lite3_type type;
    size_t at;           /* of its type byte */
    size_t size;         /* of all of it; of a container: of its first node */
    struct view content; /* of bytes; of a string, without its NUL */
    uint64_t bits;       /* of the others */
    const char *problem; /* why it could not be read */
};

bool lite3_read_node(struct view payload, size_t at, struct lite3_node *out_node);
bool lite3_read_key(struct view payload, size_t at, struct view *out_key, size_t *out_value_at);
bool lite3_read_value(struct view payload, size_t at, struct lite3_value *out_value);

/* The member of the object whose first node is at `at`; false: there is none. */
bool lite3_find(struct view payload, size_t at, const char *name, struct lite3_value *out_value);

/* Checks all of the container whose first node is at `at`, and appends it to json as compact text
 * unless that is NULL. strings_only: its elements have to be strings. LITE3_OK, LITE3_FAULT, -1. */
int lite3_walk(struct view payload, size_t at, bool strings_only, struct buf *json,
    struct lite3_fault *out_fault);

/* Writing ----------------------------------------------------------------------------------------*/

struct lite3_tree {
    struct buf *out;
    struct lite3_fault *fault;
};

/* A value as it is written: type and what else is short, content, zeros. */
struct lite3_bytes {
    uint8_t head[1 + 8];
    size_t head_len;
    struct view content;
    size_t n_zeros;
};

/* The functions that follow return LITE3_OK, LITE3_FAULT or -1. */
int lite3_tree_fault(const struct lite3_tree *tree, const char *problem);

/* The outermost container, in an empty buffer. */
int lite3_tree_begin(struct lite3_tree *tree, enum lite3_type type);

/* Adds a value to the container whose first node is at `container`: under a key that it does not
 * have, or, where key is NULL, behind its last element. *out_at: where the value is. */
int lite3_tree_add(struct lite3_tree *tree, size_t container, const struct view *key,
    const struct lite3_bytes *value, size_t *out_at);

/* Any JSON array or object as Lite3, into an empty buffer. */
int lite3_encode(struct view json, struct buf *out, struct lite3_fault *out_fault);

#endif

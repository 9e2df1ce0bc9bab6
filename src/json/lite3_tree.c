/* Builds the trees of Lite3. Everything is appended, in the order in which it is put: an entry
 * behind the nodes that were split to make room for it, a container's first node before what is
 * in it. Those who write the same members in the same order get the same bytes.
 *
 * Nodes are split on the way down, before they are looked at, so that there is room for what the
 * split of a child hands up. */
#include "json/lite3_node.h"

#include <string.h>

#define GENERATION UINT32_C(0x100)

/* Where the place of an entry that is about to be written is kept. */
struct slot {
    size_t node;
    unsigned i;
};

enum { SLOT_TAKEN = 2 }; /* beside LITE3_OK, LITE3_FAULT and -1 */

int lite3_tree_fault(const struct lite3_tree *tree, const char *problem)
{
    *tree->fault = (struct lite3_fault){problem, 0};
    return LITE3_FAULT;
}

static struct lite3_node *tree_node(const struct lite3_tree *tree, size_t at)
{
    assert(at % 4 == 0);
    assert(at + sizeof(struct lite3_node) <= tree->out->len);
    /* the buffer comes from malloc, so that nodes are aligned; until it grows */
    void *node = tree->out->data + at;
    return node;
}

static int tree_reserve(struct lite3_tree *tree, size_t n_bytes)
{
    if (n_bytes > UINT32_MAX - tree->out->len)
        return lite3_tree_fault(tree, "more than Lite3 can hold: 4 GiB");
    return buf_reserve(tree->out, n_bytes);
}

/* Zeros, or a copy of what lies elsewhere; there is room. */
static void tree_put(struct lite3_tree *tree, const void *bytes, size_t len)
{
    struct buf *out = tree->out;
    assert(len <= out->capacity - out->len);
    if (bytes == NULL)
        memset(out->data + out->len, 0, len);
    else if (len > 0)
        memcpy(out->data + out->len, bytes, len);
    out->len += len;
}

static void tree_align(struct lite3_tree *tree, size_t len_before)
{
    tree_put(tree, NULL, (4 - (tree->out->len + len_before) % 4) % 4);
}

/* Makes room for an entry at i, and for the child behind it. */
static void node_insert(struct lite3_node *node, unsigned i, uint32_t hash, uint32_t kv)
{
    const unsigned n = lite3_n_keys(node);
    assert(n < LITE3_NODE_KEYS);
    assert(i <= n);
    memmove(node->hash + i + 1, node->hash + i, (n - i) * sizeof(node->hash[0]));
    memmove(node->kv + i + 1, node->kv + i, (n - i) * sizeof(node->kv[0]));
    memmove(node->child + i + 2, node->child + i + 1, (n - i) * sizeof(node->child[0]));
    node->hash[i] = hash;
    node->kv[i] = kv;
    node->child[i + 1] = 0;
    node->size_kc++;
}

/* Moves the upper three of a full node's keys to a new sibling; the middle one becomes the key
 * between both in the parent, at i. */
static void node_split(struct lite3_node *node, struct lite3_node *sibling,
    struct lite3_node *parent, unsigned i, uint32_t sibling_at)
{
    const unsigned middle = LITE3_NODE_KEYS / 2;

    node_insert(parent, i, node->hash[middle], node->kv[middle]);
    parent->child[i + 1] = sibling_at;

    *sibling = (struct lite3_node){
        .gen_type = lite3_node_type(parent), .size_kc = LITE3_NODE_KEYS - middle - 1};
    for (unsigned k = 0; k < lite3_n_keys(sibling); k++) {
        sibling->hash[k] = node->hash[middle + 1 + k];
        sibling->kv[k] = node->kv[middle + 1 + k];
    }
    for (unsigned k = 0; k <= lite3_n_keys(sibling); k++)
        sibling->child[k] = node->child[middle + 1 + k];

    struct lite3_node rest = {.gen_type = node->gen_type, .size_kc = middle};
    memcpy(rest.hash, node->hash, middle * sizeof(rest.hash[0]));
    memcpy(rest.kv, node->kv, middle * sizeof(rest.kv[0]));
    memcpy(rest.child, node->child, (middle + 1) * sizeof(rest.child[0]));
    *node = rest;
}

/* Splits the full node at *at, which is child i of the parent. The first node of a container
 * stays where it is: its keys move to a node of their own, and it becomes the parent. */
static int tree_split(
    struct lite3_tree *tree, size_t *at, size_t *parent_at, unsigned *i, size_t container)
{
    const int r = tree_reserve(tree, 3 + 2 * sizeof(struct lite3_node));
    if (r != LITE3_OK)
        return r;
    tree_align(tree, 0);
    if (*at == container) {
        struct lite3_node *first = tree_node(tree, container);
        *at = tree->out->len;
        tree_put(tree, first, sizeof(*first));
        *first = (struct lite3_node){
            .gen_type = first->gen_type, .size_kc = first->size_kc & ~UINT32_C(7)};
        first->child[0] = (uint32_t)*at;
        *parent_at = container;
        *i = 0;
    }
    const size_t sibling_at = tree->out->len;
    tree_put(tree, NULL, sizeof(struct lite3_node));
    node_split(tree_node(tree, *at), tree_node(tree, sibling_at), tree_node(tree, *parent_at), *i,
        (uint32_t)sibling_at);
    return LITE3_OK;
}

/* Makes a slot for this hash, in a leaf. LITE3_OK, SLOT_TAKEN, LITE3_FAULT or -1. */
static int tree_slot(
    struct lite3_tree *tree, size_t container, uint32_t hash, struct slot *out_slot)
{
    size_t at = container;
    size_t parent_at = container;
    unsigned i = 0;

    for (int level = 0; level <= LITE3_HEIGHT_MAX; level++) {
        if (lite3_n_keys(tree_node(tree, at)) == LITE3_NODE_KEYS) {
            level += at == container;
            const int r = tree_split(tree, &at, &parent_at, &i, container);
            if (r != LITE3_OK)
                return r;
            const struct lite3_node *parent = tree_node(tree, parent_at);
            if (hash == parent->hash[i])
                return SLOT_TAKEN;
            if (hash > parent->hash[i])
                at = parent->child[i + 1];
        }
        struct lite3_node *node = tree_node(tree, at);
        for (i = 0; i < lite3_n_keys(node) && node->hash[i] < hash;)
            i++;
        if (i < lite3_n_keys(node) && node->hash[i] == hash)
            return SLOT_TAKEN;
        if (lite3_is_leaf(node)) {
            node_insert(node, i, hash, 0);
            tree_node(tree, container)->size_kc += 1 << 6;
            *out_slot = (struct slot){at, i};
            return LITE3_OK;
        }
        parent_at = at;
        at = node->child[i];
    }
    return lite3_tree_fault(tree, "more elements than one Lite3 container can hold");
}

/* How a key is written before its value: tag, key, NUL. Returns the length of the tag. */
static size_t key_tag(size_t key_len, uint8_t out_tag[static 4])
{
    const size_t size = key_len + 1;
    const size_t n_bytes = size < 64 ? 1 : size < 16384 ? 2 : 4;
    const uint32_t tag = (uint32_t)(size << 2 | (n_bytes - 1));
    memcpy(out_tag, &tag, sizeof(tag));
    return n_bytes;
}

/* Writes an entry behind all others. Where its value would have the length of a node, the value
 * is aligned like one. *out_at: where the value is. */
static int tree_entry(struct lite3_tree *tree, const struct view *key, struct slot slot,
    const struct lite3_bytes *value, size_t *out_at)
{
    const size_t value_len = value->head_len + value->content.len + value->n_zeros;
    uint8_t tag[4];
    const size_t tag_len = key == NULL ? 0 : key_tag(key->len, tag);
    const size_t key_len = key == NULL ? 0 : tag_len + key->len + 1;

    const int r = tree_reserve(tree, 3 + key_len + value_len);
    if (r != LITE3_OK)
        return r;
    if (value_len == sizeof(struct lite3_node))
        tree_align(tree, key_len);
    tree_node(tree, slot.node)->kv[slot.i] = (uint32_t)tree->out->len;
    if (key != NULL) {
        tree_put(tree, tag, tag_len);
        tree_put(tree, key->data, key->len);
        tree_put(tree, NULL, 1);
    }
    *out_at = tree->out->len;
    tree_put(tree, value->head, value->head_len);
    tree_put(tree, value->content.data, value->content.len);
    tree_put(tree, NULL, value->n_zeros);
    return LITE3_OK;
}

/* Adds an entry to a container: under a key, or, where that is NULL, behind the last one. */
int lite3_tree_add(struct lite3_tree *tree, size_t container, const struct view *key,
    const struct lite3_bytes *value, size_t *out_at)
{
    struct lite3_node *first = tree_node(tree, container);
    struct slot slot;
    int r = SLOT_TAKEN;

    first->gen_type += GENERATION; /* beyond 24 bits it is 0 again */
    if (key == NULL)
        r = tree_slot(tree, container, lite3_n_entries(first), &slot);
    else if (key->len + 1 >= UINT32_C(1) << 30)
        return lite3_tree_fault(tree, "a key is longer than Lite3 can hold: 1 GiB");
    for (uint32_t attempt = 0; key != NULL && r == SLOT_TAKEN && attempt < LITE3_ATTEMPTS;
         attempt++)
        r = tree_slot(tree, container, lite3_attempt(lite3_hash(*key), attempt), &slot);
    if (r == SLOT_TAKEN)
        return lite3_tree_fault(tree, "too many keys of the same hash for Lite3: more than 128");
    return r == LITE3_OK ? tree_entry(tree, key, slot, value, out_at) : r;
}

int lite3_tree_begin(struct lite3_tree *tree, enum lite3_type type)
{
    const struct lite3_node first = {.gen_type = type};
    assert(tree->out->len == 0);
    return buf_append(tree->out, &first, sizeof(first));
}

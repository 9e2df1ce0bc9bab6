/* The nodes of simple expressions, and what is known of each before any message is seen.
 *
 * The shape of a node tells when its output is the envelope or meta, which exist in no text:
 * only paths may start from them. The flags tell whether several outputs, errors and what
 * swallows errors come together in a way on which versions of jq differ. */
#include "json/filter_parse.h"

struct node *node_make(struct parser *parser, enum node_op op)
{
    struct native *const native = parser->native;

    if (native->n_nodes == NATIVE_NODES_MAX)
        return NULL;
    struct node *node = &native->nodes[native->n_nodes++];
    *node = (struct node){.op = op};
    return node;
}

/* Flags that pass from what a node is made of to the node. */
#define FLAGS_INHERITED                                                                            \
    (NODE_PLURAL | NODE_EMPTY | NODE_RAISES | NODE_RAISES_LATE | NODE_TRIES | NODE_BRANCHES)

/* A node on top of a (and perhaps b), whose own properties are `own`. With several outputs
 * below and an error here or in b, that error may come after an output. */
struct node *node_over(struct parser *parser, enum node_op op, const struct node *a,
    const struct node *b, unsigned own)
{
    struct node *node = a == NULL ? NULL : node_make(parser, op);

    if (node == NULL)
        return NULL;
    unsigned flags = own | (a->flags & FLAGS_INHERITED);
    if (b != NULL)
        flags |= b->flags & FLAGS_INHERITED;
    if (own & NODE_RAISES_SELF)
        flags |= NODE_RAISES;
    const bool raises_here = (own & NODE_RAISES_SELF) || (b != NULL && (b->flags & NODE_RAISES));
    if ((a->flags & NODE_PLURAL) && raises_here)
        flags |= NODE_RAISES_LATE;
    if (b != NULL && (b->flags & NODE_PLURAL) && (a->flags & NODE_RAISES) && op != NODE_PIPE)
        flags |= NODE_RAISES_LATE;
    node->a = a;
    node->b = b;
    node->flags = (uint8_t)flags;
    return node;
}

const struct node *node_literal(struct parser *parser, struct json_value json)
{
    struct node *node = node_make(parser, NODE_LITERAL);

    if (node == NULL || json.kind == JSON_DAMAGED)
        return NULL;
    node->value = value_json(json);
    if (json.kind == JSON_NUMBER) {
        node->value.has_number = true;
        if (!json_double(json.text, &node->value.number))
            return NULL;
    }
    return node;
}

const struct node *node_identity(struct parser *parser, enum shape input)
{
    struct node *node = node_make(parser, NODE_IDENTITY);

    if (node != NULL)
        node->shape = input;
    return node;
}

/* base.name where base is the envelope or meta: a part of the message. */
static const struct node *node_part(
    struct parser *parser, const struct node *base, struct view name)
{
    struct node *part = node_make(parser, NODE_LITERAL);

    if (part == NULL)
        return NULL;
    part->value = value_literal("null");
    if (base->shape == SHAPE_META) {
        if (view_equal(name, view_str("tags")) ||
            (parser->has_descrips && view_equal(name, view_str("descrips")))) {
            part->op = NODE_TAGS;
            part->shape = SHAPE_TAGS;
        }
    } else if (view_equal(name, view_str("data"))) {
        part->op = NODE_DATA;
        part->shape = SHAPE_DATA;
    } else if (view_equal(name, view_str("meta"))) {
        part->op = NODE_META;
        part->shape = SHAPE_META;
    } else if (view_equal(name, view_str("seq"))) {
        part->op = NODE_SEQ;
    } else if (view_equal(name, view_str("time"))) {
        part->op = NODE_TIME;
    }
    if (base->op == NODE_IDENTITY || base->op == NODE_META)
        return part; /* nothing can go wrong before it: there always is exactly one */
    struct node *pipe = node_over(parser, NODE_PIPE, base, part, 0);
    if (pipe != NULL)
        pipe->shape = part->shape;
    return pipe;
}

const struct node *node_field(
    struct parser *parser, const struct node *base, struct view name, bool optional)
{
    if (base == NULL)
        return NULL;
    if (!node_is_value(base))
        return node_part(parser, base, name);

    unsigned own = optional ? NODE_OPTIONAL : 0;
    if (base->shape != SHAPE_DATA)
        own |= optional ? NODE_EMPTY : NODE_RAISES_SELF;
    struct node *node = node_over(parser, NODE_FIELD, base, NULL, own);
    if (node != NULL)
        node->name = name;
    return node;
}

const struct node *node_index(
    struct parser *parser, const struct node *base, int64_t index, bool optional)
{
    if (!node_is_value(base))
        return NULL;
    const unsigned own = optional ? NODE_OPTIONAL | NODE_EMPTY : NODE_RAISES_SELF;
    struct node *node = node_over(parser, NODE_INDEX, base, NULL, own);
    if (node != NULL)
        node->index = index;
    return node;
}

const struct node *node_iterate(struct parser *parser, const struct node *base, bool optional)
{
    if (!node_is_value(base))
        return NULL;
    unsigned own = NODE_PLURAL | NODE_EMPTY | NODE_BRANCHES | (optional ? NODE_OPTIONAL : 0);
    if (!optional && base->shape != SHAPE_TAGS && base->shape != SHAPE_DATA)
        own |= NODE_RAISES_SELF;
    return node_over(parser, NODE_ITERATE, base, NULL, own);
}

/* In jq 1.6, what swallows errors (? and //) also swallows those that are raised by what comes
 * after it, because backtracking finds it on its way; in 1.7 it does not. `after`: an error may
 * be raised by what comes after this node. */
static bool node_leaks(const struct node *node, bool after)
{
    const bool here = after || (node->flags & NODE_RAISES_SELF);

    if (!(node->flags & NODE_TRIES))
        return false;
    switch (node->op) {
    case NODE_TRY: return after || node_leaks(node->a, after);
    case NODE_ALTERNATIVE: return after || node_leaks(node->a, after) || node_leaks(node->b, after);
    case NODE_PIPE:
    case NODE_AND:
    case NODE_OR:
        return node_leaks(node->a, after || (node->b->flags & NODE_RAISES)) ||
               node_leaks(node->b, after);
    case NODE_EQ:
    case NODE_NE:
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE: /* the right side comes first */
        return node_leaks(node->b, after || (node->a->flags & NODE_RAISES)) ||
               node_leaks(node->a, after);
    case NODE_COMMA: return node_leaks(node->a, after) || node_leaks(node->b, after);
    case NODE_ANY:
    case NODE_ALL: /* stopping early is an error of jq's own */
        return node_leaks(node->a, true) || node_leaks(node->b, false);
    case NODE_IN: return node_leaks(node->a, true);
    case NODE_IDENTITY:
    case NODE_LITERAL:
    case NODE_SEQ:
    case NODE_TIME:
    case NODE_META:
    case NODE_TAGS:
    case NODE_DATA:
    case NODE_FIELD:
    case NODE_INDEX:
    case NODE_ITERATE:
    case NODE_NOT:
    case NODE_LENGTH:
    case NODE_TYPE:
    case NODE_HAS:
    case NODE_TEST:
    case NODE_SELECT:
    case NODE_CONTAINS:
    case NODE_STARTSWITH:
    case NODE_ENDSWITH: break;
    }
    return node->a != NULL && node_leaks(node->a, here);
}

/* With a single output a swallowed error and a raised one come to the same: no match. */
bool node_is_settled(const struct node *root)
{
    return !(root->flags & NODE_BRANCHES) || !node_leaks(root, false);
}

/* Which simple expressions take time in proportion to the message, whatever it holds.
 *
 * Not all do: `.data.a[] == .data.b[]` compares each with each, and forty times `(true, true) |`
 * have more outputs than anybody waits for. So a stream is allowed once, and what is compared or
 * looked for must be a small constant. What is not recognised here may be harmless all the same. */
#include "json/filter_native.h"

#define BOUND_LITERAL_MAX 256

struct bound {
    bool in_search;
    unsigned n_outside; /* streams that are not of any, all */
    unsigned n_inside;  /* streams of any, all */
    unsigned n_here;    /* those of the outermost any or all */
};

static bool node_is_bounded(const struct node *node, struct bound *bound);

static bool node_is_scalar(const struct node *node)
{
    return node->op == NODE_LITERAL && node->value.json.kind != JSON_ARRAY &&
           node->value.json.kind != JSON_OBJECT;
}

/* (1, "a", null): what IN is given. */
static bool node_is_list(const struct node *node)
{
    return node->op == NODE_COMMA ? node_is_list(node->a) && node_is_list(node->b)
                                  : node_is_scalar(node);
}

static bool search_is_bounded(const struct node *node, struct bound *bound)
{
    if (bound->in_search)
        return node_is_bounded(node->a, bound) && node_is_bounded(node->b, bound);
    bound->in_search = true;
    bound->n_here = 0;
    const bool bounded =
        node_is_bounded(node->a, bound) && node_is_bounded(node->b, bound) && bound->n_here <= 1;
    bound->in_search = false;
    return bounded;
}

static bool iterate_is_bounded(const struct node *node, struct bound *bound)
{
    if (bound->in_search) {
        bound->n_inside++;
        bound->n_here++;
    } else {
        bound->n_outside++;
    }
    return node_is_bounded(node->a, bound);
}

static bool node_is_bounded(const struct node *node, struct bound *bound)
{
    switch (node->op) {
    case NODE_IDENTITY:
    case NODE_LITERAL:
    case NODE_SEQ:
    case NODE_TIME:
    case NODE_META:
    case NODE_TAGS:
    case NODE_DATA:
    case NODE_NOT:
    case NODE_LENGTH:
    case NODE_TYPE:
    case NODE_HAS:
    case NODE_TEST: return true;
    case NODE_FIELD:
    case NODE_INDEX:
    case NODE_TRY:
    case NODE_SELECT: return node_is_bounded(node->a, bound);
    case NODE_ITERATE: return iterate_is_bounded(node, bound);
    case NODE_PIPE:
    case NODE_ALTERNATIVE:
    case NODE_OR:
    case NODE_AND: return node_is_bounded(node->a, bound) && node_is_bounded(node->b, bound);
    case NODE_EQ:
    case NODE_NE:
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE:
        return (node_is_scalar(node->a) || node_is_scalar(node->b)) &&
               node_is_bounded(node->a, bound) && node_is_bounded(node->b, bound);
    case NODE_ANY:
    case NODE_ALL: return search_is_bounded(node, bound);
    case NODE_IN: return node_is_list(node->a);
    case NODE_CONTAINS:
    case NODE_STARTSWITH:
    case NODE_ENDSWITH:
        return node->a->op == NODE_LITERAL && node->a->value.json.text.len <= BOUND_LITERAL_MAX;
    case NODE_COMMA: break;
    }
    return false;
}

bool native_is_bounded(const struct native *native)
{
    struct bound bound = {0};

    return node_is_bounded(native->root, &bound) && bound.n_outside + (bound.n_inside > 0) <= 1;
}

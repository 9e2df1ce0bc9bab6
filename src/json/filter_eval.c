/* A tree of nodes, evaluated on one message.
 *
 * A jq expression has a stream of outputs. Most nodes of most filters have at most one: they are
 * evaluated by eval_one(), which simply returns it. Nodes marked NODE_PLURAL are evaluated by
 * eval_each(), which calls a function for each output; that function is what comes after the
 * node in the expression. Where jq backtracks, we return. */
#include "json/filter_native.h"

enum {
    EVAL_ERROR = -1, /* an error was raised */
    EVAL_NONE = 0,   /* no output */
    EVAL_ONE = 1,
};

/* What eval_each and the functions it calls return. */
enum {
    EACH_ERROR = -1,
    EACH_GO = 0,
    EACH_STOP = 1, /* nobody wants more outputs */
};

struct sink {
    int (*put)(struct native *native, const struct sink *sink, const struct value *value);
    const struct node *node;
    const struct value *input;
    const struct value *other; /* an operand that is already there */
    const struct sink *next;
    bool *flag;
};

static int eval_each(struct native *native, const struct node *node, const struct value *input,
    const struct sink *sink);

/* --- nodes that look at one value --- */

static int step_field(const struct node *node, const struct value *base, struct value *out)
{
    if (base->json.kind == JSON_OBJECT) {
        if (!json_find(base->json.text, node->name, &out->json))
            out->json.kind = JSON_NULL;
        out->has_number = false;
        return EVAL_ONE;
    }
    if (base->json.kind == JSON_NULL) {
        *out = (struct value){.json.kind = JSON_NULL};
        return EVAL_ONE;
    }
    return node->flags & NODE_OPTIONAL ? EVAL_NONE : EVAL_ERROR;
}

static int step_index(const struct node *node, const struct value *base, struct value *out)
{
    if (base->json.kind == JSON_ARRAY || base->json.kind == JSON_NULL) {
        struct json_value element;
        const bool found =
            base->json.kind == JSON_ARRAY && json_element(base->json.text, node->index, &element);
        *out = found ? value_json(element) : (struct value){.json.kind = JSON_NULL};
        return EVAL_ONE;
    }
    return node->flags & NODE_OPTIONAL ? EVAL_NONE : EVAL_ERROR;
}

static int step_has(const struct node *node, const struct value *input, struct value *out)
{
    struct json_value found;

    if (input->json.kind != JSON_OBJECT && input->json.kind != JSON_NULL)
        return EVAL_ERROR;
    *out = value_bool(
        input->json.kind == JSON_OBJECT && json_find(input->json.text, node->name, &found));
    return EVAL_ONE;
}

static int step_test(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    if (input->json.kind != JSON_STRING)
        return EVAL_ERROR;
    *out = value_bool(string_contains(native, input->json, node->name));
    return EVAL_ONE;
}

static struct value step_type(const struct value *input)
{
    switch (input->json.kind) {
    case JSON_FALSE:
    case JSON_TRUE: return value_literal("\"boolean\"");
    case JSON_NUMBER: return value_literal("\"number\"");
    case JSON_STRING: return value_literal("\"string\"");
    case JSON_ARRAY: return value_literal("\"array\"");
    case JSON_OBJECT: return value_literal("\"object\"");
    case JSON_NULL:
    case JSON_DAMAGED: break;
    }
    return value_literal("\"null\"");
}

static struct value step_time(struct native *native)
{
    size_t len = clock_format(native->message->time_ns, native->time + 1);

    native->time[0] = '"';
    native->time[++len] = '"';
    return value_json(
        (struct json_value){.kind = JSON_STRING, .text = view_of(native->time, len + 1)});
}

static struct value step_tags(const struct native *native)
{
    const struct view tags = native->message->tags;
    return tags.len == 0 ? value_literal("[]") : value_json(json_value_of(tags));
}

/* A comparison of two values that are there. */
static bool step_compare(
    struct native *native, enum node_op op, const struct value *a, const struct value *b)
{
    const int r = value_compare(native, a, b);

    switch ((int)op) {
    case NODE_EQ: return r == 0;
    case NODE_NE: return r != 0;
    case NODE_LT: return r < 0;
    case NODE_LE: return r <= 0;
    case NODE_GT: return r > 0;
    default: return r >= 0;
    }
}

/* contains(part) and its like, with the argument's value. */
static int step_with_argument(struct native *native, enum node_op op, const struct value *input,
    const struct value *part, struct value *out)
{
    bool done;

    if (op == NODE_CONTAINS)
        done = value_contains(native, input, part, out);
    else
        done = value_has_string(
            native, input, part, op == NODE_STARTSWITH ? STRING_AT_START : STRING_AT_END, out);
    return done ? EVAL_ONE : EVAL_ERROR;
}

/* --- nodes with at most one output --- */

static int eval_one(
    struct native *native, const struct node *node, const struct value *input, struct value *out);

/* a and b, a or b. */
static int one_logic(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    struct value value;

    int r = eval_one(native, node->a, input, &value);
    if (r != EVAL_ONE)
        return r;
    if (value_is_true(&value) == (node->op == NODE_OR)) {
        *out = value_bool(node->op == NODE_OR);
        return EVAL_ONE;
    }
    r = eval_one(native, node->b, input, &value);
    if (r == EVAL_ONE)
        *out = value_bool(value_is_true(&value));
    return r;
}

static int one_compare(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    struct value a, b;

    int r = eval_one(native, node->b, input, &b);
    if (r != EVAL_ONE)
        return r;
    r = eval_one(native, node->a, input, &a);
    if (r == EVAL_ONE)
        *out = value_bool(step_compare(native, node->op, &a, &b));
    return r;
}

/* Nodes that begin with the value of a. */
static int one_over(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    struct value a;

    const int r = eval_one(native, node->a, input, &a);
    if (r != EVAL_ONE)
        return r == EVAL_ERROR && node->op == NODE_TRY ? EVAL_NONE : r;
    switch ((int)node->op) {
    case NODE_FIELD: return step_field(node, &a, out);
    case NODE_INDEX: return step_index(node, &a, out);
    case NODE_PIPE: return eval_one(native, node->b, &a, out);
    case NODE_TRY: *out = a; return EVAL_ONE;
    case NODE_SELECT: *out = *input; return value_is_true(&a) ? EVAL_ONE : EVAL_NONE;
    default: return step_with_argument(native, node->op, input, &a, out);
    }
}

static int one_alternative(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    const int r = eval_one(native, node->a, input, out);

    if (r == EVAL_ONE && value_is_true(out))
        return EVAL_ONE;
    return eval_one(native, node->b, input, out);
}

static int one_search(
    struct native *native, const struct node *node, const struct value *input, struct value *out);

static int eval_one(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    switch (node->op) {
    case NODE_IDENTITY: *out = *input; return EVAL_ONE;
    case NODE_LITERAL: *out = node->value; return EVAL_ONE;
    case NODE_SEQ: *out = value_number((double)native->message->seq); return EVAL_ONE;
    case NODE_TIME: *out = step_time(native); return EVAL_ONE;
    case NODE_META: *out = (struct value){.json.kind = JSON_OBJECT}; return EVAL_ONE;
    case NODE_TAGS: *out = step_tags(native); return EVAL_ONE;
    case NODE_DATA: *out = value_json(json_value_of(native->message->data)); return EVAL_ONE;
    case NODE_NOT: *out = value_bool(!value_is_true(input)); return EVAL_ONE;
    case NODE_TYPE: *out = step_type(input); return EVAL_ONE;
    case NODE_LENGTH: return value_length(native, input, out) ? EVAL_ONE : EVAL_ERROR;
    case NODE_HAS: return step_has(node, input, out);
    case NODE_TEST: return step_test(native, node, input, out);
    case NODE_ANY:
    case NODE_ALL:
    case NODE_IN: return one_search(native, node, input, out);
    case NODE_OR:
    case NODE_AND: return one_logic(native, node, input, out);
    case NODE_EQ:
    case NODE_NE:
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE: return one_compare(native, node, input, out);
    case NODE_ALTERNATIVE: return one_alternative(native, node, input, out);
    case NODE_FIELD:
    case NODE_INDEX:
    case NODE_PIPE:
    case NODE_TRY:
    case NODE_SELECT:
    case NODE_CONTAINS:
    case NODE_STARTSWITH:
    case NODE_ENDSWITH: return one_over(native, node, input, out);
    case NODE_ITERATE:
    case NODE_COMMA: break; /* always plural */
    }
    return EVAL_ERROR;
}

/* --- nodes with any number of outputs --- */

static int sink_put(
    struct native *native, const struct sink *sink, int r, const struct value *value)
{
    return r == EVAL_ONE ? sink->put(native, sink, value) : r;
}

static int each_member(struct native *native, struct view object, const struct sink *sink)
{
    const size_t mark = native->members.len;
    const size_t n = members_push(native, object);
    int r = EACH_GO;

    if (n > 0)
        members_sort_by_order(members_at(native, mark), n);
    for (size_t i = 0; i < n && r == EACH_GO; i++) {
        /* Looked up each time: what comes after may let the stack of members grow. */
        const struct value value = value_json(members_at(native, mark)[i].value);
        r = sink->put(native, sink, &value);
    }
    native->members.len = mark;
    return r;
}

static int each_element(struct native *native, struct view array, const struct sink *sink)
{
    struct json_walk walk = json_walk(array);
    struct json_value element;
    int r = EACH_GO;

    while (r == EACH_GO && json_next_element(&walk, &element)) {
        const struct value value = value_json(element);
        r = sink->put(native, sink, &value);
    }
    return r;
}

/* One output of a, on the way to an output of the node. */
static int put_over(struct native *native, const struct sink *sink, const struct value *a)
{
    const struct node *const node = sink->node;
    struct value out;

    switch ((int)node->op) {
    case NODE_FIELD: return sink_put(native, sink->next, step_field(node, a, &out), &out);
    case NODE_INDEX: return sink_put(native, sink->next, step_index(node, a, &out), &out);
    case NODE_PIPE: return eval_each(native, node->b, a, sink->next);
    case NODE_ITERATE:
        if (a->json.kind == JSON_ARRAY)
            return each_element(native, a->json.text, sink->next);
        if (a->json.kind == JSON_OBJECT)
            return each_member(native, a->json.text, sink->next);
        return node->flags & NODE_OPTIONAL ? EACH_GO : EACH_ERROR;
    case NODE_SELECT:
        return value_is_true(a) ? sink->next->put(native, sink->next, sink->input) : EACH_GO;
    default:
        return sink_put(
            native, sink->next, step_with_argument(native, node->op, sink->input, a, &out), &out);
    }
}

/* The left value of a comparison; the right one is there. */
static int put_compared(struct native *native, const struct sink *sink, const struct value *a)
{
    const struct value out = value_bool(step_compare(native, sink->node->op, a, sink->other));
    return sink->next->put(native, sink->next, &out);
}

/* The right value of a comparison: now for each of the left ones. */
static int put_compare(struct native *native, const struct sink *sink, const struct value *b)
{
    struct sink compared = *sink;

    compared.put = put_compared;
    compared.other = b;
    return eval_each(native, sink->node->a, sink->input, &compared);
}

static int put_truth(struct native *native, const struct sink *sink, const struct value *value)
{
    const struct value out = value_bool(value_is_true(value));
    return sink->next->put(native, sink->next, &out);
}

/* The left value of and, or. */
static int put_logic(struct native *native, const struct sink *sink, const struct value *a)
{
    struct sink truth = *sink;

    if (value_is_true(a) == (sink->node->op == NODE_OR))
        return put_truth(native, sink, a);
    truth.put = put_truth;
    return eval_each(native, sink->node->b, sink->input, &truth);
}

/* An output that leaves the reach of a ? or //: an error from here on is not theirs. */
static int put_outside(struct native *native, const struct sink *sink, const struct value *value)
{
    const int r = sink->next->put(native, sink->next, value);

    if (r != EACH_GO)
        *sink->flag = true;
    return r;
}

static int each_try(struct native *native, const struct node *node, const struct value *input,
    const struct sink *sink)
{
    bool outside = false;
    const struct sink guard = {.put = put_outside, .next = sink, .flag = &outside};

    const int r = eval_each(native, node->a, input, &guard);
    return outside ? r : EACH_GO;
}

/* Outputs of a in a // b that count. */
static int put_alternative(
    struct native *native, const struct sink *sink, const struct value *value)
{
    if (!value_is_true(value))
        return EACH_GO;
    *sink->flag = true;
    return sink->next->put(native, sink->next, value);
}

static int each_alternative(struct native *native, const struct node *node,
    const struct value *input, const struct sink *sink)
{
    bool found = false, outside = false;
    const struct sink guard = {.put = put_outside, .next = sink, .flag = &outside};
    const struct sink counted = {.put = put_alternative, .next = &guard, .flag = &found};

    const int r = eval_each(native, node->a, input, &counted);
    if (outside)
        return r;
    return found ? EACH_GO : eval_each(native, node->b, input, sink);
}

static int each_comma(struct native *native, const struct node *node, const struct value *input,
    const struct sink *sink)
{
    const int r = eval_each(native, node->a, input, sink);
    return r == EACH_GO ? eval_each(native, node->b, input, sink) : r;
}

static int eval_each(struct native *native, const struct node *node, const struct value *input,
    const struct sink *sink)
{
    struct sink inner = {.node = node, .input = input, .next = sink};

    if (!(node->flags & NODE_PLURAL)) {
        struct value out;
        return sink_put(native, sink, eval_one(native, node, input, &out), &out);
    }
    switch ((int)node->op) {
    case NODE_COMMA: return each_comma(native, node, input, sink);
    case NODE_TRY: return each_try(native, node, input, sink);
    case NODE_ALTERNATIVE: return each_alternative(native, node, input, sink);
    case NODE_AND:
    case NODE_OR: inner.put = put_logic; return eval_each(native, node->a, input, &inner);
    case NODE_EQ:
    case NODE_NE:
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE: inner.put = put_compare; return eval_each(native, node->b, input, &inner);
    default: inner.put = put_over; return eval_each(native, node->a, input, &inner);
    }
}

/* --- any, all, IN: one output made of many --- */

/* One value of the generator. For any, a true condition decides; for all, a false one; for IN,
 * an equal value. */
static int put_search(struct native *native, const struct sink *sink, const struct value *value)
{
    struct value out;
    bool decides;

    if (sink->node->op == NODE_IN) {
        decides = value_compare(native, sink->input, value) == 0;
    } else {
        const int r = eval_one(native, sink->node->b, value, &out);
        if (r != EVAL_ONE)
            return r;
        decides = value_is_true(&out) == (sink->node->op == NODE_ANY);
    }
    *sink->flag = *sink->flag || decides;
    return decides ? EACH_STOP : EACH_GO;
}

static int one_search(
    struct native *native, const struct node *node, const struct value *input, struct value *out)
{
    bool decided = false;
    const struct sink sink = {.put = put_search, .node = node, .input = input, .flag = &decided};

    if (eval_each(native, node->a, input, &sink) == EACH_ERROR)
        return EVAL_ERROR;
    *out = value_bool(decided == (node->op != NODE_ALL));
    return EVAL_ONE;
}

/* --- the whole --- */

static int put_result(struct native *native, const struct sink *sink, const struct value *value)
{
    (void)native;
    if (value->json.kind == JSON_TRUE)
        *sink->flag = true;
    else if (value->json.kind != JSON_FALSE)
        return EACH_STOP; /* not a boolean */
    return EACH_GO;
}

int native_match(struct native *native, const struct filter_message *message)
{
    bool matched = false;
    const struct sink sink = {.put = put_result, .flag = &matched};
    const struct value envelope = {.json.kind = JSON_OBJECT};

    native->message = message;
    native->members.len = 0;
    const int r = eval_each(native, native->root, &envelope, &sink);
    if (native->out_of_memory) {
        native->out_of_memory = false;
        return NATIVE_OUT_OF_MEMORY;
    }
    if (r == EACH_STOP)
        return NATIVE_NOT_BOOLEAN;
    return r == EACH_GO && matched ? NATIVE_MATCH : NATIVE_NO_MATCH;
}

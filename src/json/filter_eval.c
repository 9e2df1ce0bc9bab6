/* A tree of nodes, evaluated on one message.
 *
 * A jq expression has a stream of outputs. Most nodes of most filters have at most one: they are
 * evaluated by eval_one(), which simply returns it. Nodes marked NODE_PLURAL are evaluated by
 * eval_each(), which calls a function for each output; that function is what comes after the
 * node in the expression. Where jq backtracks, we return.
 *
 * Values are handed on by pointer: most of them are there already, in the tree or in the
 * message. Where a value has to be made, it goes to the room that the caller offers, `made`. */
#include "json/filter_native.h"
#include "json/json.h"

static const struct value value_false = {.json.kind = JSON_FALSE};
static const struct value value_true = {.json.kind = JSON_TRUE};
static const struct value value_null = {.json.kind = JSON_NULL};
static const struct value value_object = {.json.kind = JSON_OBJECT}; /* the envelope, and meta */

static inline const struct value *truth(bool is_true)
{
    return is_true ? &value_true : &value_false;
}

/* An error was raised. Like "no output" it is NULL, with a mark. */
static const struct value *raise_error(struct native *native)
{
    native->raised = true;
    return NULL;
}

/* --- nodes that look at one value --- */

static inline const struct value *step_field(
    struct native *native, const struct node *node, const struct value *base, struct value *made)
{
    if (base->json.kind == JSON_OBJECT) {
        struct json_value member;
        if (!json_find(base->json.text, node->name, &member))
            return &value_null;
        *made = value_json(member);
        return made;
    }
    if (base->json.kind == JSON_NULL)
        return &value_null;
    return node->flags & NODE_OPTIONAL ? NULL : raise_error(native);
}

static const struct value *step_index(
    struct native *native, const struct node *node, const struct value *base, struct value *made)
{
    if (base->json.kind == JSON_ARRAY) {
        struct json_value element;
        if (!json_element(base->json.text, node->index, &element))
            return &value_null;
        *made = value_json(element);
        return made;
    }
    if (base->json.kind == JSON_NULL)
        return &value_null;
    return node->flags & NODE_OPTIONAL ? NULL : raise_error(native);
}

static const struct value *step_has(
    struct native *native, const struct node *node, const struct value *input)
{
    struct json_value found;

    if (input->json.kind == JSON_NULL)
        return &value_false;
    if (input->json.kind != JSON_OBJECT)
        return raise_error(native);
    return truth(json_find(input->json.text, node->name, &found));
}

static const struct value *step_test(
    struct native *native, const struct node *node, const struct value *input)
{
    if (input->json.kind != JSON_STRING)
        return raise_error(native);
    return truth(string_contains(native, input->json, node->name));
}

static const struct value *step_type(const struct value *input, struct value *made)
{
    static const char *const names[] = {[JSON_DAMAGED] = "\"null\"",
        [JSON_NULL] = "\"null\"",
        [JSON_FALSE] = "\"boolean\"",
        [JSON_TRUE] = "\"boolean\"",
        [JSON_NUMBER] = "\"number\"",
        [JSON_STRING] = "\"string\"",
        [JSON_ARRAY] = "\"array\"",
        [JSON_OBJECT] = "\"object\""};

    *made = value_literal(names[input->json.kind]);
    return made;
}

static const struct value *step_time(struct native *native, struct value *made)
{
    size_t len = clock_format(native->message->time_ns, native->time + 1);

    native->time[0] = '"';
    native->time[++len] = '"';
    *made = value_json(
        (struct json_value){.kind = JSON_STRING, .text = view_of(native->time, len + 1)});
    return made;
}

static const struct value *step_tags(const struct native *native, struct value *made)
{
    const struct view tags = native->message->tags;

    *made = tags.len == 0 ? value_literal("[]") : value_json(json_value_of(tags));
    return made;
}

/* Most comparisons are for equality, of different kinds or of strings without escapes. */
static inline bool step_equal(struct native *native, const struct value *a, const struct value *b)
{
    if (a->json.kind != b->json.kind)
        return false;
    if (a->json.kind == JSON_STRING && !a->json.escaped && !b->json.escaped)
        return view_equal(a->json.text, b->json.text);
    return value_compare(native, a, b) == 0;
}

/* A comparison of two values that are there. */
static bool step_compare(
    struct native *native, enum node_op op, const struct value *a, const struct value *b)
{
    if (op == NODE_EQ)
        return step_equal(native, a, b);
    if (op == NODE_NE)
        return !step_equal(native, a, b);
    const int r = value_compare(native, a, b);
    switch ((int)op) {
    case NODE_LT: return r < 0;
    case NODE_LE: return r <= 0;
    case NODE_GT: return r > 0;
    default: return r >= 0;
    }
}

/* contains(part) and its like, with the argument's value. */
static const struct value *step_with_argument(
    struct native *native, enum node_op op, const struct value *input, const struct value *part)
{
    bool found = false;
    bool done;

    if (op == NODE_CONTAINS)
        done = value_contains(native, input, part, &found);
    else
        done = value_has_string(
            native, input, part, op == NODE_STARTSWITH ? STRING_AT_START : STRING_AT_END, &found);
    return done ? truth(found) : raise_error(native);
}

/* --- nodes with at most one output --- */

static const struct value *eval_one(
    struct native *native, const struct node *node, const struct value *input, struct value *made);

/* The same for a node that is part of another one: for what most paths begin with, without the
 * call. */
static inline const struct value *eval_part(
    struct native *native, const struct node *node, const struct value *input, struct value *made)
{
    if (node->op == NODE_LITERAL)
        return &node->value;
    if (node->op == NODE_DATA)
        return &native->data;
    if (node->op == NODE_FIELD && node->a->op == NODE_DATA)
        return step_field(native, node, &native->data, made);
    return eval_one(native, node, input, made);
}

/* a and b, a or b. */
static const struct value *one_logic(
    struct native *native, const struct node *node, const struct value *input)
{
    struct value made;

    const struct value *value = eval_one(native, node->a, input, &made);
    if (value == NULL)
        return NULL;
    if (value_is_true(value) == (node->op == NODE_OR))
        return truth(node->op == NODE_OR);
    value = eval_one(native, node->b, input, &made);
    return value == NULL ? NULL : truth(value_is_true(value));
}

static const struct value *one_compare(
    struct native *native, const struct node *node, const struct value *input)
{
    struct value made_a, made_b;

    const struct value *b = eval_part(native, node->b, input, &made_b);
    if (b == NULL)
        return NULL;
    const struct value *a = eval_part(native, node->a, input, &made_a);
    return a == NULL ? NULL : truth(step_compare(native, node->op, a, b));
}

static const struct value *one_alternative(
    struct native *native, const struct node *node, const struct value *input, struct value *made)
{
    const struct value *a = eval_one(native, node->a, input, made);

    if (a != NULL && value_is_true(a))
        return a;
    native->raised = false;
    return eval_one(native, node->b, input, made);
}

static const struct value *one_try(
    struct native *native, const struct node *node, const struct value *input, struct value *made)
{
    const struct value *a = eval_one(native, node->a, input, made);

    native->raised = false;
    return a;
}

static const struct value *one_select(
    struct native *native, const struct node *node, const struct value *input)
{
    struct value made;
    const struct value *a = eval_one(native, node->a, input, &made);

    return a != NULL && value_is_true(a) ? input : NULL;
}

/* Nodes that look at the value of a. Where the result points into it, it is in `made` or lives
 * longer; so the two never share a room. */
static const struct value *one_over(
    struct native *native, const struct node *node, const struct value *input, struct value *made)
{
    struct value made_a;

    const struct value *a = eval_part(native, node->a, input, &made_a);
    if (a == NULL)
        return NULL;
    switch ((int)node->op) {
    case NODE_FIELD: return step_field(native, node, a, made);
    case NODE_INDEX: return step_index(native, node, a, made);
    case NODE_PIPE:
        a = eval_one(native, node->b, a, made);
        if (a == &made_a) { /* b is . */
            *made = made_a;
            return made;
        }
        return a;
    default: return step_with_argument(native, node->op, input, a);
    }
}

static const struct value *one_search(
    struct native *native, const struct node *node, const struct value *input);

static const struct value *eval_one(
    struct native *native, const struct node *node, const struct value *input, struct value *made)
{
    switch (node->op) {
    case NODE_IDENTITY: return input;
    case NODE_LITERAL: return &node->value;
    case NODE_DATA: return &native->data;
    case NODE_TAGS: return step_tags(native, made);
    case NODE_META: return &value_object;
    case NODE_SEQ: *made = value_number((double)native->message->seq); return made;
    case NODE_TIME: return step_time(native, made);
    case NODE_NOT: return truth(!value_is_true(input));
    case NODE_TYPE: return step_type(input, made);
    case NODE_LENGTH: return value_length(native, input, made) ? made : raise_error(native);
    case NODE_HAS: return step_has(native, node, input);
    case NODE_TEST: return step_test(native, node, input);
    case NODE_ANY:
    case NODE_ALL:
    case NODE_IN: return one_search(native, node, input);
    case NODE_OR:
    case NODE_AND: return one_logic(native, node, input);
    case NODE_EQ:
    case NODE_NE:
    case NODE_LT:
    case NODE_LE:
    case NODE_GT:
    case NODE_GE: return one_compare(native, node, input);
    case NODE_ALTERNATIVE: return one_alternative(native, node, input, made);
    case NODE_TRY: return one_try(native, node, input, made);
    case NODE_SELECT: return one_select(native, node, input);
    case NODE_FIELD:
    case NODE_INDEX:
    case NODE_PIPE:
    case NODE_CONTAINS:
    case NODE_STARTSWITH:
    case NODE_ENDSWITH: return one_over(native, node, input, made);
    case NODE_ITERATE:
    case NODE_COMMA: break; /* always plural */
    }
    return raise_error(native);
}

/* --- nodes with any number of outputs --- */

/* What eval_each and the functions it calls return. */
enum each {
    EACH_GO,
    EACH_ERROR, /* an error was raised */
    EACH_STOP,  /* nobody wants more outputs */
};

struct sink {
    enum each (*put)(struct native *native, const struct sink *sink, const struct value *value);
    const struct node *node;
    const struct value *input;
    const struct value *other; /* an operand that is already there */
    const struct sink *next;
    bool *flag;
};

static enum each eval_each(struct native *native, const struct node *node,
    const struct value *input, const struct sink *sink);

static enum each sink_put(struct native *native, const struct sink *sink, const struct value *value)
{
    if (value != NULL)
        return sink->put(native, sink, value);
    const bool raised = native->raised;
    native->raised = false;
    return raised ? EACH_ERROR : EACH_GO;
}

static enum each each_distinct_member(
    struct native *native, struct view object, const struct sink *sink)
{
    struct json_walk walk = json_walk(object);
    struct json_value key, member;
    enum each r = EACH_GO;

    while (r == EACH_GO && json_next_member(&walk, &key, &member)) {
        const struct value value = value_json(member);
        r = sink->put(native, sink, &value);
    }
    return r;
}

static enum each each_member(struct native *native, struct view object, const struct sink *sink)
{
    const size_t mark = native->members.len;
    const size_t n = members_push(native, object);
    enum each r = EACH_GO;

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

static enum each each_element(struct native *native, struct view array, const struct sink *sink)
{
    struct json_walk walk = json_walk(array);
    struct json_value element;
    enum each r = EACH_GO;

    while (r == EACH_GO && json_next_element(&walk, &element)) {
        const struct value value = value_json(element);
        r = sink->put(native, sink, &value);
    }
    return r;
}

static enum each each_item(struct native *native, const struct node *node,
    const struct value *value, const struct sink *sink)
{
    if (value->json.kind == JSON_ARRAY)
        return each_element(native, value->json.text, sink);
    if (value->json.kind == JSON_OBJECT)
        return members_are_distinct(value->json.text)
                   ? each_distinct_member(native, value->json.text, sink)
                   : each_member(native, value->json.text, sink);
    return node->flags & NODE_OPTIONAL ? EACH_GO : EACH_ERROR;
}

/* One output of a, on the way to an output of the node. */
static enum each put_over(struct native *native, const struct sink *sink, const struct value *a)
{
    const struct node *const node = sink->node;
    const struct sink *const next = sink->next;
    struct value made;

    switch ((int)node->op) {
    case NODE_FIELD: return sink_put(native, next, step_field(native, node, a, &made));
    case NODE_INDEX: return sink_put(native, next, step_index(native, node, a, &made));
    case NODE_PIPE: return eval_each(native, node->b, a, next);
    case NODE_ITERATE: return each_item(native, node, a, next);
    case NODE_SELECT: return value_is_true(a) ? next->put(native, next, sink->input) : EACH_GO;
    default: return sink_put(native, next, step_with_argument(native, node->op, sink->input, a));
    }
}

/* The left value of a comparison; the right one is there. */
static enum each put_compared(struct native *native, const struct sink *sink, const struct value *a)
{
    const bool is_true = step_compare(native, sink->node->op, a, sink->other);
    return sink->next->put(native, sink->next, truth(is_true));
}

/* The right value of a comparison: now for each of the left ones. */
static enum each put_compare(struct native *native, const struct sink *sink, const struct value *b)
{
    struct sink compared = *sink;

    compared.put = put_compared;
    compared.other = b;
    return eval_each(native, sink->node->a, sink->input, &compared);
}

static enum each put_truth(
    struct native *native, const struct sink *sink, const struct value *value)
{
    return sink->next->put(native, sink->next, truth(value_is_true(value)));
}

/* The left value of and, or. */
static enum each put_logic(struct native *native, const struct sink *sink, const struct value *a)
{
    struct sink right = *sink;

    if (value_is_true(a) == (sink->node->op == NODE_OR))
        return put_truth(native, sink, a);
    right.put = put_truth;
    return eval_each(native, sink->node->b, sink->input, &right);
}

/* An output that leaves the reach of a ? or //: an error from here on is not theirs. */
static enum each put_outside(
    struct native *native, const struct sink *sink, const struct value *value)
{
    const enum each r = sink->next->put(native, sink->next, value);

    if (r != EACH_GO)
        *sink->flag = true;
    return r;
}

static enum each each_try(struct native *native, const struct node *node, const struct value *input,
    const struct sink *sink)
{
    bool outside = false;
    const struct sink guard = {.put = put_outside, .next = sink, .flag = &outside};

    const enum each r = eval_each(native, node->a, input, &guard);
    return outside ? r : EACH_GO;
}

/* Outputs of a in a // b that count. */
static enum each put_alternative(
    struct native *native, const struct sink *sink, const struct value *value)
{
    if (!value_is_true(value))
        return EACH_GO;
    *sink->flag = true;
    return sink->next->put(native, sink->next, value);
}

static enum each each_alternative(struct native *native, const struct node *node,
    const struct value *input, const struct sink *sink)
{
    bool found = false, outside = false;
    const struct sink guard = {.put = put_outside, .next = sink, .flag = &outside};
    const struct sink counted = {.put = put_alternative, .next = &guard, .flag = &found};

    const enum each r = eval_each(native, node->a, input, &counted);
    if (outside)
        return r;
    return found ? EACH_GO : eval_each(native, node->b, input, sink);
}

static enum each each_comma(struct native *native, const struct node *node,
    const struct value *input, const struct sink *sink)
{
    const enum each r = eval_each(native, node->a, input, sink);
    return r == EACH_GO ? eval_each(native, node->b, input, sink) : r;
}

static enum each eval_each(struct native *native, const struct node *node,
    const struct value *input, const struct sink *sink)
{
    struct sink inner = {.node = node, .input = input, .next = sink};

    if (!(node->flags & NODE_PLURAL)) {
        struct value made;
        return sink_put(native, sink, eval_one(native, node, input, &made));
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
static enum each put_search(
    struct native *native, const struct sink *sink, const struct value *value)
{
    struct value made;
    bool decides;

    if (sink->node->op == NODE_IN) {
        decides = value_compare(native, sink->input, value) == 0;
    } else {
        const struct value *condition = eval_one(native, sink->node->b, value, &made);
        if (condition == NULL)
            return EACH_ERROR; /* a condition has exactly one output, or raises */
        decides = value_is_true(condition) == (sink->node->op == NODE_ANY);
    }
    *sink->flag = *sink->flag || decides;
    return decides ? EACH_STOP : EACH_GO;
}

static const struct value *one_search(
    struct native *native, const struct node *node, const struct value *input)
{
    bool decided = false;
    const struct sink sink = {.put = put_search, .node = node, .input = input, .flag = &decided};

    if (eval_each(native, node->a, input, &sink) == EACH_ERROR)
        return raise_error(native);
    return truth(decided == (node->op != NODE_ALL));
}

/* --- the whole --- */

static enum each put_result(
    struct native *native, const struct sink *sink, const struct value *value)
{
    (void)native;
    if (value->json.kind == JSON_TRUE)
        *sink->flag = true;
    else if (value->json.kind != JSON_FALSE)
        return EACH_STOP; /* not a boolean */
    return EACH_GO;
}

static int match_each(struct native *native)
{
    bool matched = false;
    const struct sink sink = {.put = put_result, .flag = &matched};

    const enum each r = eval_each(native, native->root, &value_object, &sink);
    if (r == EACH_STOP)
        return NATIVE_NOT_BOOLEAN;
    return r == EACH_GO && matched ? NATIVE_MATCH : NATIVE_NO_MATCH;
}

static int match_one(struct native *native)
{
    struct value made;

    const struct value *value = eval_one(native, native->root, &value_object, &made);
    if (value == NULL || value->json.kind == JSON_FALSE)
        return NATIVE_NO_MATCH;
    return value->json.kind == JSON_TRUE ? NATIVE_MATCH : NATIVE_NOT_BOOLEAN;
}

int native_match(struct native *native, const struct filter_message *message)
{
    native->message = message;
    native->raised = false;
    native->members.len = 0;
    native->data = value_json(json_is_object(message->data)
                                  ? (struct json_value){.kind = JSON_OBJECT, .text = message->data}
                                  : json_value_of(message->data));
    const int r = native->root->flags & NODE_PLURAL ? match_each(native) : match_one(native);
    if (!native->out_of_memory)
        return r;
    native->out_of_memory = false;
    return NATIVE_OUT_OF_MEMORY;
}

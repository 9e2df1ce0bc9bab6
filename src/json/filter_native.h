/* Simple filter expressions as a tree that is evaluated on a message's bytes.
 *
 * Private to the filter: filter_parse.c builds the tree, filter_eval.c walks it,
 * filter_value.c knows what values are and how they compare. */
#ifndef JSON_FILTER_NATIVE_H
#define JSON_FILTER_NATIVE_H

#include "base/buf.h"
#include "base/clock.h"
#include "json/filter.h"
#include "json/span.h"

/* A value during evaluation. Arrays, objects and strings are JSON text in the message or in the
 * expression; a number is text, or already a double. */
struct value {
    struct json_value json;
    bool has_number;
    double number;
};

enum node_op {
    NODE_IDENTITY,    /* . */
    NODE_LITERAL,     /* value */
    NODE_SEQ,         /* .seq */
    NODE_TIME,        /* .time */
    NODE_META,        /* .meta */
    NODE_TAGS,        /* .meta.tags */
    NODE_DATA,        /* .data */
    NODE_FIELD,       /* a.name */
    NODE_INDEX,       /* a[index] */
    NODE_ITERATE,     /* a[] */
    NODE_PIPE,        /* a | b */
    NODE_COMMA,       /* a , b */
    NODE_ALTERNATIVE, /* a // b */
    NODE_OR,
    NODE_AND,
    NODE_EQ, /* the six comparisons of a and b */
    NODE_NE,
    NODE_LT,
    NODE_LE,
    NODE_GT,
    NODE_GE,
    NODE_TRY, /* a? */
    NODE_NOT, /* these look at the input, . */
    NODE_LENGTH,
    NODE_TYPE,
    NODE_HAS,      /* has("name") */
    NODE_TEST,     /* test("name"), a string without special characters */
    NODE_ANY,      /* any(a; b) */
    NODE_ALL,      /* all(a; b) */
    NODE_IN,       /* IN(a) */
    NODE_SELECT,   /* select(a) */
    NODE_CONTAINS, /* contains(a) */
    NODE_STARTSWITH,
    NODE_ENDSWITH,
};

/* What is known of a node before any message is seen. */
enum {
    NODE_PLURAL = 1,       /* may have more than one output */
    NODE_EMPTY = 2,        /* may have none, without an error */
    NODE_RAISES = 4,       /* may raise an error, the node itself or below it */
    NODE_RAISES_SELF = 8,  /* the node itself may */
    NODE_RAISES_LATE = 16, /* an error may come after an output */
    NODE_TRIES = 32,       /* swallows errors: ? or //, here or below */
    NODE_BRANCHES = 64,    /* something here or below has several outputs, or stops early */
    NODE_OPTIONAL = 128,   /* .name? [n]? []? */
};

/* Which part of the message a node's output is, as far as that is always the same. */
enum shape {
    SHAPE_ANY,
    SHAPE_ENVELOPE,
    SHAPE_META,
    SHAPE_TAGS,
    SHAPE_DATA,
};

struct node {
    enum node_op op;
    uint8_t flags;
    enum shape shape;
    const struct node *a;
    const struct node *b;
    struct value value;
    struct view name;
    int64_t index;
};

/* An expression with more nodes is not simple. */
#define NATIVE_NODES_MAX 128

/* Members of an object, sorted, while it is compared or iterated. */
struct member {
    struct json_value key;
    struct json_value value;
    size_t order; /* of its first occurrence */
};

struct native {
    const struct node *root;
    size_t n_nodes;
    struct node nodes[NATIVE_NODES_MAX];
    uint8_t *text; /* names and literals of the nodes */
    size_t text_len;
    size_t text_size;

    /* While a message is evaluated. */
    const struct filter_message *message;
    struct value data;
    bool raised; /* an error, by the node that has just been evaluated */
    bool out_of_memory;
    size_t depth;          /* of the values being compared */
    struct buf members;    /* struct member[], used as a stack */
    struct buf strings[2]; /* unescaped strings that are searched */
    char time[CLOCK_TEXT_MAX + 2];
};

enum {
    NATIVE_NO_MATCH = 0,
    NATIVE_MATCH = 1,
    NATIVE_NOT_BOOLEAN = 2,
    NATIVE_OUT_OF_MEMORY = 3,
};

/* Compiles an expression if it is simple; NULL in *out_native if not. -1: out of memory. */
int native_new(struct view expression, struct native **out_native);
void native_free(struct native *native);
SCOPED_DEFINE(struct native *, native_free)
int native_match(struct native *native, const struct filter_message *message);

/* Whether a match takes time in proportion to the message, or little more: filter_bound.c. */
bool native_is_bounded(const struct native *native);

/* --- values: filter_value.c --- */

struct value value_literal(const char *json);
struct value value_number(double number);

static inline struct value value_json(struct json_value json)
{
    return (struct value){.json = json};
}

static inline bool value_is_true(const struct value *value)
{
    return value->json.kind != JSON_NULL && value->json.kind != JSON_FALSE;
}

/* jq's order of all values: negative, 0, positive. */
int value_compare(struct native *native, const struct value *a, const struct value *b);

/* These raise (false) where jq does. */
bool value_length(struct native *native, const struct value *value, struct value *out);
bool value_contains(
    struct native *native, const struct value *value, const struct value *part, bool *out_found);

enum string_part { STRING_ANYWHERE, STRING_AT_START, STRING_AT_END };
bool value_has_string(struct native *native, const struct value *value, const struct value *part,
    enum string_part where, bool *out_found);

/* Whether a string has this (plain) part somewhere. */
bool string_contains(struct native *native, struct json_value string, struct view part);

/* Pushes the members of an object, sorted by name, each name once with its last value; returns
 * how many. They are native->members from byte `mark` (its length before) on; the caller sets
 * the length back. */
size_t members_push(struct native *native, struct view object);
/* Whether all names of a small object are different: then nothing needs to be sorted. False where
 * that is not seen at a glance. */
bool members_are_distinct(struct view object);
struct member *members_at(struct native *native, size_t mark);
void members_sort_by_order(struct member *members, size_t n);

#endif

/* What the parts of the parser of simple expressions share.
 *
 * filter_parse.c is the grammar, filter_constant.c reads literals, filter_node.c makes nodes and
 * works out what is known of them. Every function that returns a node returns NULL for "not
 * simple", and accepts NULL where it takes the result of another one. */
#ifndef JSON_FILTER_PARSE_H
#define JSON_FILTER_PARSE_H

#include "json/filter_lex.h"
#include "json/filter_native.h"

struct parser {
    struct native *native;
    struct lexer lexer;
    struct token token; /* the next one */
    size_t depth;
    bool has_descrips; /* meta has the tags under their old name too */
};

/* Expressions that are nested deeper are not simple: the parser calls itself. */
#define PARSE_DEPTH_MAX 100

void parser_advance(struct parser *parser);

/* Takes the next token if it is this one. */
bool parser_accept(struct parser *parser, const char *operator_text);
bool parser_accept_name(struct parser *parser, const char *name);

/* --- literals: filter_constant.c --- */

/* Keeps a text as long as the nodes live. */
struct view text_keep(struct native *native, struct view text);

/* The next token, which is a string: as JSON text, or its content. Either may be NULL. False:
 * not simple. */
bool parse_string(struct parser *parser, struct json_value *out_json, struct view *out_content);

/* The next token as a number, with a minus sign that is already behind us. */
bool parse_number(struct parser *parser, bool negative, struct json_value *out_json);

/* A literal, or an array or object of such. */
const struct node *parse_constant(struct parser *parser);

/* --- nodes: filter_node.c --- */

/* A value is made of bytes; the envelope and meta are not. */
static inline bool shape_is_value(enum shape shape)
{
    return shape != SHAPE_ENVELOPE && shape != SHAPE_META;
}

static inline bool node_is_value(const struct node *node)
{
    return node != NULL && shape_is_value(node->shape);
}

struct node *node_make(struct parser *parser, enum node_op op);

/* A node on top of a (and perhaps b), whose own flags are `own`. */
struct node *node_over(struct parser *parser, enum node_op op, const struct node *a,
    const struct node *b, unsigned own);

const struct node *node_literal(struct parser *parser, struct json_value json);
const struct node *node_identity(struct parser *parser, enum shape input);
const struct node *node_field(
    struct parser *parser, const struct node *base, struct view name, bool optional);
const struct node *node_index(
    struct parser *parser, const struct node *base, int64_t index, bool optional);
const struct node *node_iterate(struct parser *parser, const struct node *base, bool optional);

/* Whether all versions of jq give this expression the same meaning. */
bool node_is_settled(const struct node *root);

#endif

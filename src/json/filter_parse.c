/* From an expression to a tree of nodes, if it is simple.
 *
 * The grammar is the part of jq's that the nodes of filter_native.h can say, with jq's
 * precedences (from weak to strong):
 *
 *     pipe        comma '|' pipe
 *     comma       alternative ',' alternative ...
 *     alternative or '//' alternative
 *     or          and 'or' and ...
 *     and         comparison 'and' comparison ...
 *     comparison  postfix, or postfix '==' postfix (one only)
 *     postfix     primary with .name [n] ["name"] [], each with '?', and a last '?' for all;
 *                 a bracket may have a dot before it
 *     primary     . .name literal function ( pipe )
 *
 * Anything else (and every error) makes the parser say "not simple": libjq then compiles it, or
 * tells what is wrong with it. So the parser may give up wherever it likes; it must only never
 * read an expression in another way than jq does. */
#include "json/filter_parse.h"

#include <errno.h>
#include <stdlib.h>

static const struct node *parse_pipe(struct parser *parser, enum shape input);

void parser_advance(struct parser *parser)
{
    parser->token = lexer_next(&parser->lexer);
}

bool parser_accept(struct parser *parser, const char *operator_text)
{
    if (!token_is(&parser->token, operator_text))
        return false;
    parser_advance(parser);
    return true;
}

bool parser_accept_name(struct parser *parser, const char *name)
{
    if (!token_is_name(&parser->token, name))
        return false;
    parser_advance(parser);
    return true;
}

/* --- functions --- */

/* The argument of a function, with its brackets. */
static const struct node *parse_argument(struct parser *parser, enum shape input)
{
    if (!parser_accept(parser, "("))
        return NULL;
    const struct node *argument = parse_pipe(parser, input);
    return argument != NULL && parser_accept(parser, ")") ? argument : NULL;
}

/* Whether the brackets that begin here hold a ';' of their own. */
static bool argument_is_first_of_two(const struct parser *parser)
{
    struct lexer lexer = parser->lexer; /* it is behind the opening bracket */
    const size_t depth = lexer.depth;

    while (lexer.depth >= depth) {
        const struct token token = lexer_next(&lexer);
        if (token.kind == TOKEN_END || token.kind == TOKEN_ERROR)
            return false;
        if (lexer.depth == depth && token_is(&token, ";"))
            return true;
    }
    return false;
}

/* any, any(condition), any(generator; condition), and the same of all.
 *
 * Versions of jq differ in when they stop asking the generator, and in what a condition with
 * several outputs or none means; where that could show, the expression is not simple. */
static const struct node *parse_any(struct parser *parser, enum node_op op, enum shape input)
{
    const struct node *generator = NULL;
    const struct node *condition = NULL;

    if (!token_is(&parser->token, "(") || !argument_is_first_of_two(parser)) {
        generator = node_iterate(parser, node_identity(parser, input), false);
        condition = token_is(&parser->token, "(") ? parse_argument(parser, SHAPE_ANY)
                                                  : node_identity(parser, SHAPE_ANY);
    } else if (parser_accept(parser, "(")) {
        generator = parse_pipe(parser, input);
        if (generator == NULL || !parser_accept(parser, ";"))
            return NULL;
        condition = parse_pipe(parser, generator->shape);
        if (!parser_accept(parser, ")"))
            return NULL;
    }
    if (generator == NULL || condition == NULL || !node_is_value(generator) ||
        !node_is_value(condition))
        return NULL;
    if ((generator->flags & NODE_RAISES_LATE) || (condition->flags & (NODE_PLURAL | NODE_EMPTY)))
        return NULL;

    struct node *node = node_over(parser, op, generator, condition, NODE_BRANCHES);
    if (node != NULL)
        node->flags &= (uint8_t) ~(NODE_PLURAL | NODE_EMPTY | NODE_RAISES_LATE);
    return node;
}

static const struct node *parse_in(struct parser *parser, enum shape input)
{
    const struct node *argument = parse_argument(parser, input);

    if (argument == NULL || !node_is_value(argument) || !shape_is_value(input))
        return NULL;
    struct node *node = node_over(parser, NODE_IN, argument, NULL, NODE_BRANCHES);
    if (node != NULL)
        node->flags &= (uint8_t) ~(NODE_PLURAL | NODE_EMPTY | NODE_RAISES_LATE);
    return node;
}

static const struct node *parse_select(struct parser *parser, enum shape input)
{
    const struct node *argument = parse_argument(parser, input);

    if (argument == NULL || !node_is_value(argument))
        return NULL;
    struct node *node = node_over(parser, NODE_SELECT, argument, NULL, NODE_EMPTY);
    if (node != NULL)
        node->shape = input;
    return node;
}

/* has("name") and test("plain"): the argument is a constant string. */
static const struct node *parse_with_name(struct parser *parser, enum node_op op)
{
    struct view name;

    if (!parser_accept(parser, "(") || parser->token.kind != TOKEN_STRING ||
        !parse_string(parser, NULL, &name) || !parser_accept(parser, ")"))
        return NULL;
    if (op == NODE_TEST) {
        if (name.len == 0)
            return NULL;
        for (size_t i = 0; i < name.len; i++) {
            if (name.data[i] == 0 || strchr("\\.*+?()[]{}|^$", name.data[i]) != NULL)
                return NULL;
        }
    }
    struct node *node = node_make(parser, op);
    if (node == NULL)
        return NULL;
    node->name = name;
    node->flags = NODE_RAISES | NODE_RAISES_SELF;
    return node;
}

static const struct node *parse_with_argument(
    struct parser *parser, enum node_op op, enum shape input)
{
    const struct node *argument = parse_argument(parser, input);

    if (argument == NULL || !node_is_value(argument))
        return NULL;
    return node_over(parser, op, argument, NULL, NODE_RAISES_SELF);
}

static const struct node *parse_plain(struct parser *parser, enum node_op op, unsigned flags)
{
    struct node *node = node_make(parser, op);

    if (node == NULL || token_is(&parser->token, "("))
        return NULL;
    node->flags = (uint8_t)flags;
    return node;
}

static const struct node *parse_function(struct parser *parser, enum shape input)
{
    static const struct {
        const char *name;
        enum node_op op;
    } functions[] = {{"not", NODE_NOT}, {"length", NODE_LENGTH}, {"type", NODE_TYPE},
        {"has", NODE_HAS}, {"test", NODE_TEST}, {"any", NODE_ANY}, {"all", NODE_ALL},
        {"IN", NODE_IN}, {"select", NODE_SELECT}, {"contains", NODE_CONTAINS},
        {"startswith", NODE_STARTSWITH}, {"endswith", NODE_ENDSWITH}};
    size_t i = 0;

    while (i < sizeof(functions) / sizeof(*functions) &&
           !token_is_name(&parser->token, functions[i].name))
        i++;
    if (i == sizeof(functions) / sizeof(*functions))
        return NULL;
    parser_advance(parser);

    const enum node_op op = functions[i].op;
    if (op == NODE_SELECT)
        return parse_select(parser, input);
    if (op == NODE_ANY || op == NODE_ALL)
        return parse_any(parser, op, input);
    if (!shape_is_value(input))
        return NULL;
    if (op == NODE_NOT || op == NODE_TYPE)
        return parse_plain(parser, op, 0);
    if (op == NODE_LENGTH)
        return parse_plain(parser, op, NODE_RAISES | NODE_RAISES_SELF);
    if (op == NODE_HAS || op == NODE_TEST)
        return parse_with_name(parser, op);
    if (op == NODE_IN)
        return parse_in(parser, input);
    return parse_with_argument(parser, op, input);
}

/* --- terms --- */

/* [] [n] ["name"], behind the bracket. */
static const struct node *parse_bracket(struct parser *parser, const struct node *base)
{
    struct json_value number;
    struct view name;
    int64_t index = 0;

    if (parser_accept(parser, "]"))
        return node_iterate(parser, base, parser_accept(parser, "?"));
    if (parser->token.kind == TOKEN_STRING) {
        if (!parse_string(parser, NULL, &name) || !parser_accept(parser, "]"))
            return NULL;
        return node_field(parser, base, name, parser_accept(parser, "?"));
    }
    if (!parse_number(parser, parser_accept(parser, "-"), &number) ||
        !json_i64(number.text, &index) || index > INT32_MAX || index < -INT32_MAX ||
        !parser_accept(parser, "]"))
        return NULL;
    return node_index(parser, base, index, parser_accept(parser, "?"));
}

static const struct node *parse_suffixes(struct parser *parser, const struct node *node)
{
    struct view name;

    while (node != NULL) {
        if (parser->token.kind == TOKEN_FIELD) {
            name = text_keep(parser->native, parser->token.text);
            parser_advance(parser);
            node = node_field(parser, node, name, parser_accept(parser, "?"));
        } else if (parser_accept(parser, "[")) {
            node = parse_bracket(parser, node);
        } else if (parser_accept(parser, ".")) {
            if (parser_accept(parser, "[")) {
                node = parse_bracket(parser, node);
                continue;
            }
            if (parser->token.kind != TOKEN_STRING || !parse_string(parser, NULL, &name))
                return NULL;
            node = node_field(parser, node, name, parser_accept(parser, "?"));
        } else {
            break;
        }
    }
    return node;
}

static const struct node *parse_primary(struct parser *parser, enum shape input)
{
    struct view name;

    if (parser->token.kind == TOKEN_FIELD) {
        name = text_keep(parser->native, parser->token.text);
        parser_advance(parser);
        const struct node *identity = node_identity(parser, input);
        return node_field(parser, identity, name, parser_accept(parser, "?"));
    }
    if (parser_accept(parser, ".")) {
        const struct node *identity = node_identity(parser, input);
        if (identity == NULL || parser->token.kind != TOKEN_STRING)
            return identity;
        if (!parse_string(parser, NULL, &name))
            return NULL;
        return node_field(parser, identity, name, parser_accept(parser, "?"));
    }
    if (parser_accept(parser, "(")) {
        const struct node *inner = parse_pipe(parser, input);
        return inner != NULL && parser_accept(parser, ")") ? inner : NULL;
    }
    if (parser->token.kind == TOKEN_NAME && !token_is_name(&parser->token, "null") &&
        !token_is_name(&parser->token, "true") && !token_is_name(&parser->token, "false"))
        return parse_function(parser, input);
    return parse_constant(parser);
}

static const struct node *parse_postfix(struct parser *parser, enum shape input)
{
    const struct node *node = parse_suffixes(parser, parse_primary(parser, input));

    if (node == NULL || !parser_accept(parser, "?"))
        return node;
    if (!node_is_value(node))
        return NULL;
    struct node *try = node_over(parser, NODE_TRY, node, NULL, NODE_TRIES);
    if (try == NULL)
        return NULL;
    if (node->flags & NODE_RAISES)
        try->flags |= NODE_EMPTY;
    try->flags &= (uint8_t) ~(NODE_RAISES | NODE_RAISES_LATE);
    return try;
}

/* --- operators --- */

static const struct node *node_binary(
    struct parser *parser, enum node_op op, const struct node *a, const struct node *b)
{
    if (a == NULL || b == NULL || !node_is_value(a) || !node_is_value(b))
        return NULL;
    return node_over(parser, op, a, b, 0);
}

static const struct node *parse_comparison(struct parser *parser, enum shape input)
{
    static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">="};
    const struct node *a = parse_postfix(parser, input);

    for (unsigned i = 0; a != NULL && i < 6; i++) {
        if (parser_accept(parser, operators[i]))
            return node_binary(
                parser, (enum node_op)(NODE_EQ + i), a, parse_postfix(parser, input));
    }
    return a;
}

static const struct node *parse_and(struct parser *parser, enum shape input)
{
    const struct node *a = parse_comparison(parser, input);

    while (a != NULL && parser_accept_name(parser, "and"))
        a = node_binary(parser, NODE_AND, a, parse_comparison(parser, input));
    return a;
}

static const struct node *parse_or(struct parser *parser, enum shape input)
{
    const struct node *a = parse_and(parser, input);

    while (a != NULL && parser_accept_name(parser, "or"))
        a = node_binary(parser, NODE_OR, a, parse_and(parser, input));
    return a;
}

static const struct node *parse_alternative(struct parser *parser, enum shape input)
{
    const struct node *a = parse_or(parser, input);

    if (a == NULL || !parser_accept(parser, "//"))
        return a;
    if (parser->depth >= PARSE_DEPTH_MAX)
        return NULL;
    parser->depth++;
    const struct node *b = parse_alternative(parser, input);
    parser->depth--;
    if (b == NULL || !node_is_value(a) || !node_is_value(b))
        return NULL;
    return node_over(parser, NODE_ALTERNATIVE, a, b, NODE_TRIES);
}

static const struct node *parse_comma(struct parser *parser, enum shape input)
{
    const struct node *a = parse_alternative(parser, input);

    while (a != NULL && parser_accept(parser, ",")) {
        const struct node *b = parse_alternative(parser, input);
        if (b == NULL || !node_is_value(a) || !node_is_value(b))
            return NULL;
        const unsigned late = b->flags & NODE_RAISES ? NODE_RAISES_LATE : 0;
        a = node_over(parser, NODE_COMMA, a, b, NODE_PLURAL | NODE_BRANCHES | late);
    }
    return a;
}

static const struct node *parse_pipe(struct parser *parser, enum shape input)
{
    if (parser->depth >= PARSE_DEPTH_MAX)
        return NULL;
    parser->depth++;
    const struct node *node = parse_comma(parser, input);
    if (node != NULL && parser_accept(parser, "|")) {
        const struct node *b = parse_pipe(parser, node->shape);
        struct node *pipe = b == NULL ? NULL : node_over(parser, NODE_PIPE, node, b, 0);
        if (pipe != NULL)
            pipe->shape = b->shape;
        node = pipe;
    }
    parser->depth--;
    return node;
}

static struct native *native_alloc(size_t expression_len)
{
    struct native *native = calloc(1, sizeof(*native));

    if (native == NULL)
        return NULL;
    native->text_size = 16 * expression_len + 64;
    native->text = malloc(native->text_size);
    if (native->text == NULL) {
        free(native);
        return NULL;
    }
    return native;
}

int native_new(struct view expression, struct native **out_native)
{
    scoped(native_free) struct native *native = native_alloc(expression.len);

    *out_native = NULL;
    if (native == NULL)
        return -1;

    struct parser parser = {.native = native};
    parser.has_descrips = memmem(expression.data, expression.len, "descrips", 8) != NULL;
    lexer_init(&parser.lexer, expression);
    parser_advance(&parser);
    errno = 0;
    native->root = parse_pipe(&parser, SHAPE_ENVELOPE);
    /* the parser knows "not simple" alone; only the allocator sets this */
    if (native->root == NULL && errno == ENOMEM)
        return -1;
    if (native->root != NULL && parser.token.kind == TOKEN_END && node_is_settled(native->root)) {
        *out_native = native;
        native = NULL;
    }
    return 0;
}

void native_free(struct native *native)
{
    if (native == NULL)
        return;
    buf_fini(&native->members);
    buf_fini(&native->strings[0]);
    buf_fini(&native->strings[1]);
    free(native->text);
    free(native);
}

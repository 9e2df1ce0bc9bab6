/* The tokens of a jq expression.
 *
 * Used three times over the same text: to find what no jq could compile (with the place, which
 * libjq does not tell), to find functions that filters do not have, and by the parser of simple
 * expressions. */
#ifndef JSON_FILTER_LEX_H
#define JSON_FILTER_LEX_H

#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
    TOKEN_END,
    TOKEN_ERROR,       /* see lexer.problem */
    TOKEN_FIELD,       /* .name: text is the name */
    TOKEN_NAME,        /* a keyword or a function */
    TOKEN_NUMBER,      /* digits */
    TOKEN_STRING,      /* a whole string without interpolation: text is what the quotes enclose */
    TOKEN_STRING_PART, /* a piece of a string with \( ) in it */
    TOKEN_FORMAT,      /* @text */
    TOKEN_OPERATOR,    /* anything else, brackets too */
};

struct token {
    enum token_kind kind;
    struct view text;
    size_t offset; /* of its first byte in the expression */
};

#define LEXER_DEPTH_MAX 128

struct lexer {
    struct view text;
    size_t at;
    const char *problem; /* static text; NULL: none yet */
    size_t problem_offset;
    size_t depth;
    char open[LEXER_DEPTH_MAX]; /* brackets that are open; '"' for \( */
    size_t open_offset[LEXER_DEPTH_MAX];
};

void lexer_init(struct lexer *lexer, struct view text);
struct token lexer_next(struct lexer *lexer);

bool token_is(const struct token *token, const char *operator_text);
bool token_is_name(const struct token *token, const char *name);

#endif

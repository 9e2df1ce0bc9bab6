#include "json/filter_lex.h"

void lexer_init(struct lexer *lexer, struct view text)
{
    *lexer = (struct lexer){.text = text};
}

bool token_is(const struct token *token, const char *operator_text)
{
    return token->kind == TOKEN_OPERATOR && view_equal(token->text, view_str(operator_text));
}

bool token_is_name(const struct token *token, const char *name)
{
    return token->kind == TOKEN_NAME && view_equal(token->text, view_str(name));
}

/* The byte `ahead` of the next one; 0 behind the end (a NUL never is part of a token). */
static uint8_t lexer_peek(const struct lexer *lexer, size_t ahead)
{
    const size_t at = lexer->at + ahead;
    return at < lexer->text.len ? lexer->text.data[at] : 0;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(uint8_t c)
{
    return is_name_start(c) || is_digit(c);
}

static struct token lexer_fail(struct lexer *lexer, const char *problem, size_t offset)
{
    lexer->problem = problem;
    lexer->problem_offset = offset;
    return (struct token){.kind = TOKEN_ERROR, .offset = offset};
}

/* A token from `start` to where the lexer is, less `skip` bytes in front. */
static struct token lexer_token(
    const struct lexer *lexer, enum token_kind kind, size_t start, size_t skip)
{
    return (struct token){
        .kind = kind,
        .text = view_of(lexer->text.data + start + skip, lexer->at - start - skip),
        .offset = start,
    };
}

static void lexer_skip_blanks(struct lexer *lexer)
{
    for (;; lexer->at++) {
        const uint8_t c = lexer_peek(lexer, 0);
        if (c == '#') {
            while (lexer->at < lexer->text.len && lexer_peek(lexer, 0) != '\n')
                lexer->at++;
        }
        if (lexer->at >= lexer->text.len)
            return;
        if (c != '#' && c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
    }
}

static struct token lexer_open(struct lexer *lexer, char bracket, size_t start)
{
    if (lexer->depth == LEXER_DEPTH_MAX)
        return lexer_fail(lexer, "too many open brackets", start);
    lexer->open[lexer->depth] = bracket;
    lexer->open_offset[lexer->depth++] = start;
    return lexer_token(lexer, bracket == '"' ? TOKEN_STRING_PART : TOKEN_OPERATOR, start, 0);
}

/* Reads on in a string; `start` is its quote, or the bracket that closed an interpolation. */
static struct token lexer_string(struct lexer *lexer, size_t start, bool whole)
{
    const size_t text_start = lexer->at;

    while (lexer->at < lexer->text.len) {
        const uint8_t c = lexer->text.data[lexer->at++];
        if (c == '"') {
            struct token token = lexer_token(lexer, TOKEN_STRING_PART, start, 0);
            if (whole) {
                token.kind = TOKEN_STRING;
                token.text = view_of(lexer->text.data + text_start, lexer->at - 1 - text_start);
            }
            return token;
        }
        if (c == '\\' && lexer->at < lexer->text.len && lexer->text.data[lexer->at++] == '(')
            return lexer_open(lexer, '"', lexer->at - 2);
    }
    return lexer_fail(lexer, "this string is not closed", start);
}

static struct token lexer_close(struct lexer *lexer, char bracket, size_t start)
{
    static const char pairs[] = "()[]{}";
    const char open = *(strchr(pairs, bracket) - 1);

    if (lexer->depth == 0)
        return lexer_fail(lexer, "this bracket closes nothing", start);
    const char expected = lexer->open[lexer->depth - 1];
    if (expected == '"' && bracket == ')') {
        lexer->depth--;
        return lexer_string(lexer, start, false);
    }
    if (expected != open)
        return lexer_fail(lexer, "this bracket does not match the one it closes", start);
    lexer->depth--;
    return lexer_token(lexer, TOKEN_OPERATOR, start, 0);
}

static struct token lexer_number(struct lexer *lexer, size_t start)
{
    while (is_digit(lexer_peek(lexer, 0)))
        lexer->at++;
    if (lexer_peek(lexer, 0) == '.') {
        lexer->at++;
        while (is_digit(lexer_peek(lexer, 0)))
            lexer->at++;
    }
    if ((lexer_peek(lexer, 0) | 0x20) == 'e') {
        const uint8_t sign = lexer_peek(lexer, 1);
        const size_t n = sign == '+' || sign == '-' ? 2 : 1;
        if (is_digit(lexer_peek(lexer, n))) {
            lexer->at += n;
            while (is_digit(lexer_peek(lexer, 0)))
                lexer->at++;
        }
    }
    return lexer_token(lexer, TOKEN_NUMBER, start, 0);
}

/* name, or module::name */
static struct token lexer_name(struct lexer *lexer, enum token_kind kind, size_t start, size_t skip)
{
    lexer->at = start + skip;
    while (is_name(lexer_peek(lexer, 0)) ||
           (kind == TOKEN_NAME && lexer_peek(lexer, 0) == ':' && lexer_peek(lexer, 1) == ':' &&
               is_name_start(lexer_peek(lexer, 2))))
        lexer->at += lexer_peek(lexer, 0) == ':' ? 2 : 1;
    return lexer_token(lexer, kind, start, skip);
}

static struct token lexer_operator(struct lexer *lexer, size_t start)
{
    static const char *const long_ones[] = {
        "?//", "//=", "!=", "==", "//", "|=", "+=", "-=", "*=", "/=", "%=", "<=", ">=", ".."};
    const uint8_t c = lexer->text.data[start];

    for (size_t i = 0; i < sizeof(long_ones) / sizeof(*long_ones); i++) {
        const size_t len = strlen(long_ones[i]);
        if (lexer->text.len - start >= len &&
            memcmp(lexer->text.data + start, long_ones[i], len) == 0) {
            lexer->at = start + len;
            return lexer_token(lexer, TOKEN_OPERATOR, start, 0);
        }
    }
    if (c == 0 || strchr(".?=;,:|+-*/%$<>", c) == NULL)
        return lexer_fail(lexer, "unexpected character", start);
    return lexer_token(lexer, TOKEN_OPERATOR, start, 0);
}

struct token lexer_next(struct lexer *lexer)
{
    lexer_skip_blanks(lexer);
    const size_t start = lexer->at;
    if (lexer->problem != NULL)
        return lexer_fail(lexer, lexer->problem, lexer->problem_offset);
    if (start >= lexer->text.len) {
        if (lexer->depth > 0)
            return lexer_fail(
                lexer, "this bracket is not closed", lexer->open_offset[lexer->depth - 1]);
        return (struct token){.kind = TOKEN_END, .offset = start};
    }

    const uint8_t c = lexer->text.data[lexer->at++];
    const uint8_t next = lexer_peek(lexer, 0);
    if (c == '"')
        return lexer_string(lexer, start, true);
    if (c == '(' || c == '[' || c == '{')
        return lexer_open(lexer, (char)c, start);
    if (c == ')' || c == ']' || c == '}')
        return lexer_close(lexer, (char)c, start);
    if (c == '.' && is_name_start(next))
        return lexer_name(lexer, TOKEN_FIELD, start, 1);
    if (is_name_start(c))
        return lexer_name(lexer, TOKEN_NAME, start, 0);
    if (c == '@' && is_name_start(next))
        return lexer_name(lexer, TOKEN_FORMAT, start, 1);
    if (is_digit(c) || (c == '.' && is_digit(next))) {
        lexer->at = start;
        return lexer_number(lexer, start);
    }
    return lexer_operator(lexer, start);
}

#include "json/filter_jq.h"

#include "base/buf.h"
#include "os/module.h"
#include "json/filter_lex.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBLEM_MAX 512

/* The one error for all that is wrong with an expression. offset: of the place in it; an offset
 * beyond it stands for "unknown". */
__attribute__((format(printf, 4, 5))) static int expression_error(
    const char *expression, size_t offset, plsm_error_t **err, const char *format, ...)
{
    char problem[PROBLEM_MAX + 64];
    va_list args;

    va_start(args, format);
    vsnprintf(problem, sizeof(problem), format, args);
    va_end(args);
    error_set(err, PLSM_ERROR_USAGE, "invalid filter expression");
    error_cause(err, "%s", problem);
    if (offset > strlen(expression))
        return error_hint(err, "in '%s': %s", expression, problem);
    if (offset == strlen(expression))
        return error_hint(err, "in '%s', at its end: %s", expression, problem);
    return error_hint(err, "in '%s', at column %zu, '%s': %s", expression, offset + 1,
        expression + offset, problem);
}

/* --- what filters do not have --- */

static const char *const unavailable[] = {"input", "inputs", "input_filename", "input_line_number",
    "_input", "env", "import", "include", "modulemeta", "get_search_list", "get_prog_origin",
    "get_jq_origin", "debug", "stderr", "halt", "halt_error"};

static bool name_is_unavailable(const struct token *name)
{
    for (size_t i = 0; i < sizeof(unavailable) / sizeof(*unavailable); i++) {
        if (token_is_name(name, unavailable[i]))
            return true;
    }
    return false;
}

/* Whether a name is a key: {name: ..} or, short for {name: .name}, {name}. */
static bool name_is_key(const struct token *before, const struct token *after, bool in_braces)
{
    if (!in_braces || !(token_is(before, "{") || token_is(before, ",")))
        return false;
    return token_is(after, ":") || token_is(after, ",") || token_is(after, "}");
}

int filter_check(const char *expression, plsm_error_t **err)
{
    struct lexer lexer;
    struct token before = {0};

    lexer_init(&lexer, view_str(expression));
    struct token token = lexer_next(&lexer);
    if (token.kind == TOKEN_END)
        return expression_error(expression, SIZE_MAX, err, "it is empty");
    while (token.kind != TOKEN_END && token.kind != TOKEN_ERROR) {
        const bool in_braces = lexer.depth > 0 && lexer.open[lexer.depth - 1] == '{';
        const struct token after = lexer_next(&lexer);
        const bool variable = token_is(&before, "$");
        const bool refused =
            variable ? token_is_name(&token, "ENV") || token_is_name(&token, "__prog_args")
                     : name_is_unavailable(&token) && !name_is_key(&before, &after, in_braces);
        if (refused)
            return expression_error(expression, token.offset, err,
                "%s%.*s is not available in filters", variable ? "$" : "", (int)token.text.len,
                (const char *)token.text.data);
        before = token;
        token = after;
    }
    if (token.kind == TOKEN_ERROR)
        return expression_error(expression, lexer.problem_offset, err, "%s", lexer.problem);
    return 0;
}

/* --- compiling --- */

/* One loader wins a race; dlopen gives all of them the same module anyway. */
static const struct jq_module *module_load(char *out_problem, size_t problem_size)
{
    static _Atomic(const struct jq_module *) loaded;
    const struct jq_module *module = atomic_load(&loaded);

    if (module != NULL)
        return module;
    void *handle = os_module_open("jq", jq_module_dir, out_problem, problem_size);
    if (handle == NULL)
        return NULL;
    module = os_module_symbol(handle, JQ_MODULE_SYMBOL);
    if (module == NULL || module->version != JQ_MODULE_VERSION) {
        snprintf(out_problem, problem_size, "the jq.so that was found is of another version");
        return NULL;
    }
    atomic_store(&loaded, module);
    return module;
}

/* Cuts what libjq says down to what is wrong: "jq: error: X (..) at <top-level>, line 1:". */
static char *problem_trim(char *problem)
{
    static const char *const tails[] = {
        " at <top-level>", " (Unix shell quoting issues?)", " (Windows cmd shell quoting issues?)"};
    static const char head[] = "jq: error: ";

    for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
        char *tail = strstr(problem, tails[i]);
        if (tail != NULL)
            *tail = 0;
    }
    return strncmp(problem, head, sizeof(head) - 1) == 0 ? problem + sizeof(head) - 1 : problem;
}

/* Where the problem is: at the end, or at the function that is not defined. */
static size_t problem_place(const char *expression, const char *problem)
{
    struct lexer lexer;

    if (strstr(problem, "unexpected $end") != NULL || strstr(problem, "end of file") != NULL)
        return strlen(expression);
    if (strstr(problem, "/") == NULL || strstr(problem, " is not defined") == NULL)
        return SIZE_MAX;
    const char *const name = problem + (*problem == '$');
    const struct view wanted = view_of(name, strcspn(name, "/ "));
    lexer_init(&lexer, view_str(expression));
    for (;;) {
        const struct token token = lexer_next(&lexer);
        if (token.kind == TOKEN_END || token.kind == TOKEN_ERROR)
            return SIZE_MAX;
        if (token.kind == TOKEN_NAME && view_equal(token.text, wanted))
            return token.offset;
    }
}

/* Whether a term ends with this token, so that a suffix may follow. */
static bool token_ends_term(const struct token *before, const struct token *token)
{
    switch (token->kind) {
    case TOKEN_FIELD:
    case TOKEN_STRING: return true;
    case TOKEN_NAME: return token_is(before, "$");
    case TOKEN_OPERATOR:
        return token_is(token, "]") || token_is(token, ")") || token_is(token, "}") ||
               token_is(token, "?");
    case TOKEN_END:
    case TOKEN_ERROR:
    case TOKEN_NUMBER:
    case TOKEN_STRING_PART:
    case TOKEN_FORMAT: return false;
    }
    return false;
}

/* Carriage returns between tokens are blanks in 1.7, and here. */
static void expression_replace_returns(uint8_t *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (text[i] == '\r')
            text[i] = ' ';
}

/* Where the blanks behind a token begin; of a string, text is what the quotes enclose. */
static size_t token_end(const char *expression, const struct token *token)
{
    return (size_t)(token->text.data - (const uint8_t *)expression) + token->text.len +
           (token->kind == TOKEN_STRING);
}

/* The expression as libjq 1.6 reads it, with its NUL: 1.7 also has `.a.["b"]`, the same as
 * `.a["b"]`. A blank takes the place of the dot. */
static int expression_append(const char *expression, struct buf *out_text)
{
    const size_t start = out_text->len;
    struct token before = {0}, token = {0};
    struct lexer lexer;

    if (buf_append(out_text, expression, strlen(expression) + 1) < 0)
        return -1;
    uint8_t *const text = out_text->data + start;
    lexer_init(&lexer, view_str(expression));
    struct token next = lexer_next(&lexer);
    expression_replace_returns(text, 0, next.offset);
    while (next.kind != TOKEN_END && next.kind != TOKEN_ERROR) {
        const struct token after = lexer_next(&lexer);
        if (token_is(&next, ".") && token_is(&after, "[") && token_ends_term(&before, &token))
            text[next.offset] = ' ';
        expression_replace_returns(text, token_end(expression, &next), after.offset);
        before = token;
        token = next;
        next = after;
    }
    return 0;
}

int filter_jq_compile(const char *expression, const struct jq_module **out_module,
    struct jq_program **out_program, plsm_error_t **err)
{
    scoped(buf_fini) struct buf text = {0};
    char problem[PROBLEM_MAX];

    const struct jq_module *module = module_load(problem, sizeof(problem));
    if (module == NULL) {
        error_set(
            err, PLSM_ERROR_INTERNAL, "this filter needs the jq module, which could not be loaded");
        error_hint(err,
            "install libjq and plasmite's jq.so, or use a simple filter instead of '%s'",
            expression);
        return error_cause(err, "%s", problem);
    }
    if (filter_prelude(expression, &text) < 0 || expression_append(expression, &text) < 0)
        return error_oom(err);
    const bool with_descrips = strstr(expression, "descrips") != NULL;
    struct jq_program *program =
        module->compile((const char *)text.data, with_descrips, problem, sizeof(problem));
    if (program == NULL) {
        const char *what = problem_trim(problem);
        return expression_error(expression, problem_place(expression, what), err, "%s",
            what[0] == 0 ? "it does not compile" : what);
    }
    *out_module = module;
    *out_program = program;
    return 0;
}

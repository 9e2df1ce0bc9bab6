/* Any words as a command line: the parser must not crash, says the same thing twice, explains
 * every refusal in one line with a hint, and hands commands nothing their tables do not allow.
 *
 * The words of an input are ended by NUL. A word that begins with the byte 0xff takes the one
 * behind as the number of a word from the tables (commands, options, choices, values), to which
 * the rest of it is added: so mutations stay near to what the parser knows. */
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/help.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MAX = 64,
    VOCABULARY_MAX = 256,
    VOCABULARY_MARK = 0xff,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

/* The words of the tables, as they are written on a command line. Kept for the process. */
static char *vocabulary[VOCABULARY_MAX];
static size_t n_vocabulary;

static void learn(const char *before, const char *word)
{
    if (word == NULL || n_vocabulary == VOCABULARY_MAX)
        return;
    const size_t before_len = strlen(before), len = strlen(word);
    char *made = malloc(before_len + len + 1);
    check(made != NULL);
    memcpy(made, before, before_len);
    memcpy(made + before_len, word, len + 1);
    for (size_t i = 0; i < n_vocabulary; i++) {
        if (strcmp(vocabulary[i], made) == 0) {
            free(made);
            return;
        }
    }
    vocabulary[n_vocabulary++] = made;
}

static void learn_choices(const char *const *choices)
{
    for (size_t i = 0; choices != NULL && choices[i] != NULL; i++)
        learn("", choices[i]);
}

static void learn_option(const struct option *option)
{
    const char letter[] = {option->letter, '\0'};
    learn("--", option->name);
    if (option->alias != NULL)
        learn("--", option->alias);
    if (option->letter != '\0')
        learn("-", letter);
    learn_choices(option->choices);
}

static void learn_command(const struct command *command)
{
    learn("", command->name);
    learn("", command->alias);
    for (size_t i = 0; i < command->n_options; i++)
        learn_option(&command->options[i]);
    for (size_t i = 0; i < command->n_positionals; i++)
        learn_choices(command->positionals[i].choices);
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++)
        learn_command(command->children[i]);
}

static void learn_all(void)
{
    static const char *const others[] = {"--", "-", "", "---help", "---version", "help", "0", "-1",
        "+5", "4294967296", "18446744073709551616", "1e9", "nan", "0x1p3", "=", "--="};
    if (n_vocabulary > 0)
        return;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        learn("", others[i]);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        learn_option(&args_globals[i]);
    learn_command(&command_root);
}

/* A command line of our own: the words lie behind each other in text. */
struct line {
    int argc;
    char *argv[WORDS_MAX + 2];
    struct buf text;
};

static void line_fini_scoped(struct line *line)
{
    buf_fini(&line->text);
}

static void line_word(struct line *line, const uint8_t *word, size_t len)
{
    if (len > 1 && word[0] == VOCABULARY_MARK) {
        check(buf_append_str(&line->text, vocabulary[word[1] % n_vocabulary]) == 0);
        word += 2;
        len -= 2;
    }
    check(buf_append(&line->text, word, len) == 0 && buf_append(&line->text, "", 1) == 0);
}

static void line_make(struct line *line, const uint8_t *data, size_t size)
{
    check(buf_append(&line->text, "plasmite", 9) == 0);
    line->argc = 1;
    while (size > 0 && line->argc < WORDS_MAX) {
        const uint8_t *end = memchr(data, '\0', size);
        const size_t len = end == NULL ? size : (size_t)(end - data);
        line_word(line, data, len);
        line->argc++;
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    char *at = (char *)line->text.data;
    for (int i = 0; i < line->argc; i++) {
        line->argv[i] = at;
        at += strlen(at) + 1;
    }
    line->argv[line->argc] = NULL;
}

static bool has_line_end(const char *text)
{
    return strpbrk(text, "\r\n") != NULL;
}

static void check_refusal(const plsm_error_t *err)
{
    check(err != NULL && err->kind == PLSM_ERROR_USAGE);
    check(err->message[0] != '\0' && !has_line_end(err->message));
    check(error_hint_of(err) != NULL && error_hint_of(err)[0] != '\0');
    check(!has_line_end(error_hint_of(err)) && strchr(error_hint_of(err), '`') != NULL);
}

static void check_arg(const struct arg *arg, enum arg_kind kind, const char *const *choices)
{
    check((arg->count == 0 || kind == ARG_FLAG) == (arg->text == NULL));
    if (arg->count == 0)
        return;
    if (kind == ARG_U32)
        check(arg->number <= UINT32_MAX);
    if (kind != ARG_CHOICE)
        return;
    size_t i = 0;
    while (choices[i] != NULL && strcmp(choices[i], arg->text) != 0)
        i++;
    check(choices[i] != NULL);
}

static size_t count_items(const struct args *args, uint8_t id, const char **out_last)
{
    size_t n = 0, at = 0;
    for (const char *text; (text = args_next(args, id, &at)) != NULL; n++)
        *out_last = text;
    return n;
}

static bool given(const struct args *args, uint8_t id)
{
    return (id & 0x80u) != 0 ? args->positionals[id & 0x7fu].count > 0 : args_has(args, id);
}

/* A command runs: its arguments are what its table says. */
static void check_run(const struct args *args)
{
    const struct command *command = args->command;
    const char *last = NULL;

    check(command->run != NULL && command->children == NULL);
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        const struct arg *arg = &args->options[i];
        check_arg(arg, option->kind, option->choices);
        check(option->repeatable || arg->count <= 1);
        if (option->repeatable && arg->count > 0) {
            check(count_items(args, (uint8_t)i, &last) == arg->count);
            check(last == arg->text);
        }
    }
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        const struct arg *arg = &args->positionals[i];
        check_arg(arg, positional->kind, positional->choices);
        check(arg->count > 0 || !positional->required);
        check(arg->count <= 1 || positional->many);
        if (positional->many)
            check(count_items(args, (uint8_t)ARG_POSITIONAL(i), &last) == arg->count);
    }
    for (size_t i = 0; i < command->n_conflicts; i++)
        check(!given(args, command->conflicts[i].option) ||
              !given(args, command->conflicts[i].other));
    check(command->takes_rest || !args->has_rest);
}

static void check_help(const struct command *command, bool full)
{
    scoped(text_fini) struct text text = {0};
    help_render(command, full, &text);
    check(!text.failed && text.buf.len > 0);
}

static int parse(struct line *line, struct args *args, plsm_error_t **err)
{
    const int outcome = args_parse(&command_root, line->argc, line->argv, args, err);
    check(args->n_items <= (size_t)line->argc);
    check((outcome < 0) == (*err != NULL));
    switch (outcome) {
    case -1: check_refusal(*err); break;
    case ARGS_RUN: check_run(args); break;
    case ARGS_HELP_LONG: check_help(args->command, true); break;
    case ARGS_HELP_SHORT:
    case ARGS_HELP_MISSING: check_help(args->command, false); break;
    case ARGS_VERSION: check(args->command == &command_root); break;
    default: check(false);
    }
    return outcome;
}

static bool same_arg(const struct arg *a, const struct arg *b)
{
    return a->count == b->count && a->text == b->text && a->number == b->number &&
           !(a->real < b->real) && !(a->real > b->real); /* or both are no numbers */
}

static void check_same(const struct args *a, const struct args *b)
{
    check(a->command == b->command && a->spelling == b->spelling);
    check(a->n_items == b->n_items && a->has_rest == b->has_rest);
    check(a->rest == b->rest && a->n_rest == b->n_rest);
    check(same_arg(&a->dir, &b->dir) && same_arg(&a->color, &b->color));
    for (size_t i = 0; i < ARG_OPTIONS_MAX; i++)
        check(same_arg(&a->options[i], &b->options[i]));
    for (size_t i = 0; i < ARG_POSITIONALS_MAX; i++)
        check(same_arg(&a->positionals[i], &b->positionals[i]));
    for (size_t i = 0; i < a->n_items; i++)
        check(a->items[i].id == b->items[i].id && a->items[i].text == b->items[i].text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(line_fini) struct line line = {0};
    scoped(args_fini) struct args first = {0};
    scoped(args_fini) struct args second = {0};
    scoped(plsm_error_free) plsm_error_t *refused_first = NULL;
    scoped(plsm_error_free) plsm_error_t *refused_second = NULL;
    scoped(buf_fini) struct buf given = {0};

    learn_all();
    line_make(&line, data, size);
    check(buf_append(&given, line.text.data, line.text.len) == 0);
    const int outcome = parse(&line, &first, &refused_first);
    check(parse(&line, &second, &refused_second) == outcome);
    check(view_equal(buf_view(&given), buf_view(&line.text))); /* argv is only borrowed */
    check_same(&first, &second);
    if (outcome < 0) {
        check(strcmp(refused_first->message, refused_second->message) == 0);
        check(strcmp(error_hint_of(refused_first), error_hint_of(refused_second)) == 0);
    }
    return 0;
}

#include "cli/args.h"

#include "cli/similar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The options every command understands. help and version are outcomes, not values. */
enum global {
    GLOBAL_NONE,
    GLOBAL_DIR,
    GLOBAL_COLOR,
    GLOBAL_HELP,
    GLOBAL_HELP_SHORT,
    GLOBAL_VERSION,
};

static const char *const color_choices[] = {"auto", "always", "never", NULL};

const struct option args_globals[N_ARG_GLOBALS] = {
    [ARG_GLOBAL_DIR] = {.name = "dir",
        .kind = ARG_TEXT,
        .value = "DIR",
        .fallback = "~/.plasmite/pools",
        .summary = "Pool directory for names"},
    [ARG_GLOBAL_COLOR] = {.name = "color",
        .kind = ARG_CHOICE,
        .value = "COLOR",
        .fallback = "auto",
        .choices = color_choices,
        .summary = "Colour of output"},
    [ARG_GLOBAL_HELP] = {.name = "help",
        .letter = 'h',
        .summary = "Print help; --help says more",
        .details = "Print help; -h says it shortly"},
    [ARG_GLOBAL_VERSION] = {.name = "version", .letter = 'V', .summary = "Print the version"},
};

struct parser {
    const struct command *root;
    const struct command *command;
    struct args *args;
    char **argv;
    int argc;
    int at; /* the next word */
    size_t n_positionals;
    bool only_positionals; /* "--" was read */
    bool any;              /* something follows the command's name */
};

void args_fini(struct args *args)
{
    free(args->items);
    args->items = NULL;
}

void args_command_path(const struct command *command, char out[static ARG_PATH_MAX])
{
    const char *path = command->path;
    size_t len = strlen("plasmite");
    memcpy(out, "plasmite", len);
    if (path[0] != '\0') {
        const size_t path_len = strlen(path);
        out[len++] = ' ';
        memcpy(out + len, path, path_len);
        len += path_len;
    }
    out[len] = '\0';
}

int args_refuse(plsm_error_t **err, const char *message, const char *hint)
{
    error_set(err, PLSM_ERROR_USAGE, "%s", message);
    return error_hint(err, "%s", hint);
}

const char *args_next(const struct args *args, uint8_t id, size_t *at)
{
    while (*at < args->n_items) {
        const struct arg_item *item = &args->items[(*at)++];
        if (item->id == id)
            return item->text;
    }
    return NULL;
}

/* Points to the help of this command. */
static int args_hint_help(const struct command *command, plsm_error_t **err)
{
    char path[ARG_PATH_MAX];
    args_command_path(command, path);
    return error_hint(err, "Run `%s --help` for usage.", path);
}

/* 'X' as users wrote it is quoted in messages of one line: a line end would break them. */
static int args_word_len(const char *word)
{
    const size_t len = strcspn(word, "\n\r=");
    return len > 200 ? 200 : (int)len;
}

/* The same, behind the word that was meant, where one is like what was typed. */
static int args_hint_similar(const struct command *command, const struct similar *similar,
    const char *dashes, plsm_error_t **err)
{
    char path[ARG_PATH_MAX];
    if (similar->best[0] == '\0')
        return args_hint_help(command, err);
    args_command_path(command, path);
    return error_hint(
        err, "Did you mean '%s%s'? Run `%s --help` for usage.", dashes, similar->best, path);
}

static void args_similar_option(
    const struct parser *parser, const char *name, size_t len, struct similar *similar)
{
    const struct command *command = parser->command;
    similar_init(similar, name, len);
    for (size_t i = 0; i < command->n_options; i++)
        if (!command->options[i].hidden)
            similar_offer(similar, command->options[i].name);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        if (i != ARG_GLOBAL_VERSION || command == parser->root)
            similar_offer(similar, args_globals[i].name);
}

static int args_unexpected(const struct parser *parser, const char *word, plsm_error_t **err)
{
    const bool option = word[0] == '-' && word[1] != '\0' && !parser->only_positionals;
    const int len = option ? args_word_len(word) : (int)strcspn(word, "\n\r");
    struct similar similar = {.limit = 0};

    error_set(err, PLSM_ERROR_USAGE, "unexpected argument '%.*s' found", len, word);
    if (option && word[1] == '-')
        args_similar_option(parser, word + 2, (size_t)len - 2, &similar);
    return args_hint_similar(parser->command, &similar, "--", err);
}

static int args_unknown_command(const struct parser *parser, const char *word, plsm_error_t **err)
{
    const struct command *const *children = parser->command->children;
    struct similar similar;

    error_set(
        err, PLSM_ERROR_USAGE, "unrecognized subcommand '%.*s'", (int)strcspn(word, "\n\r"), word);
    similar_init(&similar, word, strlen(word));
    for (size_t i = 0; children[i] != NULL; i++)
        similar_offer(&similar, children[i]->name);
    similar_offer(&similar, "help");
    return args_hint_similar(parser->command, &similar, "", err);
}

/* "--tail <TAIL>" or "--jsonl". */
static void args_option_text(const struct option *option, char *out, size_t size)
{
    size_t len = 0;
    const char *parts[] = {"--", option->name, option->kind == ARG_FLAG ? "" : " <",
        option->kind == ARG_FLAG ? "" : option->value, option->kind == ARG_FLAG ? "" : ">"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const size_t part = strlen(parts[i]);
        if (len + part >= size)
            break;
        memcpy(out + len, parts[i], part);
        len += part;
    }
    out[len] = '\0';
}

static int args_no_value(const struct option *option, plsm_error_t **err)
{
    char text[80];
    args_option_text(option, text, sizeof(text));
    error_set(err, PLSM_ERROR_USAGE, "a value is required for '%s' but none was supplied", text);
    return error_hint(err,
        "A value that begins with '-' is written `--%s=VALUE`. Run `plasmite --help` for usage.",
        option->name);
}

static int args_repeated(
    const struct parser *parser, const struct option *option, plsm_error_t **err)
{
    char text[80];
    args_option_text(option, text, sizeof(text));
    error_set(err, PLSM_ERROR_USAGE, "the argument '%s' cannot be used multiple times", text);
    return args_hint_help(parser->command, err);
}

static int args_bad_value(
    const char *what, const char *value, const char *reason, plsm_error_t **err)
{
    const int len = (int)strcspn(value, "\n\r");
    error_set(err, PLSM_ERROR_USAGE, "invalid value '%.*s' for '%s'%s%s", len > 200 ? 200 : len,
        value, what, reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    return error_hint(err, "Run `plasmite --help` for usage.");
}

/* "a, b, c" into out. */
static void args_list(const char *const *choices, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; choices[i] != NULL; i++) {
        const size_t part = strlen(choices[i]);
        if (len + part + 3 > size)
            break;
        if (i > 0) {
            memcpy(out + len, ", ", 2);
            len += 2;
        }
        memcpy(out + len, choices[i], part);
        len += part;
    }
    out[len] = '\0';
}

static int args_check_choice(
    const char *const *choices, const char *what, const char *value, plsm_error_t **err)
{
    char list[128];
    for (size_t i = 0; choices[i] != NULL; i++)
        if (strcmp(choices[i], value) == 0)
            return 0;
    struct similar similar;
    similar_init(&similar, value, strlen(value));
    for (size_t i = 0; choices[i] != NULL; i++)
        similar_offer(&similar, choices[i]);
    args_bad_value(what, value, NULL, err);
    args_list(choices, list, sizeof(list));
    const bool found = similar.best[0] != '\0';
    return error_hint(err, "%s%s%sPossible values: %s. Run `plasmite --help` for usage.",
        found ? "Did you mean '" : "", similar.best, found ? "'? " : "", list);
}

static const char *args_number_problem(const char *value, uint64_t max, uint64_t *out)
{
    uint64_t number = 0;
    if (value[0] == '\0')
        return "cannot parse integer from empty string";
    for (size_t i = value[0] == '+' && value[1] != '\0'; value[i] != '\0'; i++) {
        if (value[i] < '0' || value[i] > '9')
            return "invalid digit found in string";
        const uint64_t digit = (uint64_t)(value[i] - '0');
        if (number > (max - digit) / 10)
            return "number too large to fit in target type";
        number = number * 10 + digit;
    }
    *out = number;
    return NULL;
}

/* Hexadecimal floats and blanks, which strtod would take, are not decimal numbers. */
static const char *args_real_problem(const char *value, double *out)
{
    static const char problem[] = "invalid float literal";
    if (value[0] == '\0' || strpbrk(value, "xX \t\n\v\f\r()") != NULL)
        return problem;
    char *end = NULL;
    *out = strtod(value, &end);
    return *end == '\0' ? NULL : problem;
}

/* Checks a value against its kind and stores it. */
static int args_store(struct arg *arg, enum arg_kind kind, const char *const *choices,
    const char *what, const char *value, plsm_error_t **err)
{
    const char *problem = NULL;
    switch (kind) {
    case ARG_FLAG:
    case ARG_TEXT: break;
    case ARG_CHOICE:
        if (args_check_choice(choices, what, value, err) < 0)
            return -1;
        break;
    case ARG_U32: problem = args_number_problem(value, UINT32_MAX, &arg->number); break;
    case ARG_U64: problem = args_number_problem(value, UINT64_MAX, &arg->number); break;
    case ARG_REAL: problem = args_real_problem(value, &arg->real); break;
    }
    if (problem != NULL)
        return args_bad_value(what, value, problem, err);
    arg->count++;
    arg->text = value;
    return 0;
}

/* An option with the place where it is stored. */
struct found {
    const struct option *option;
    struct arg *arg;
    uint8_t id;
    enum global global;
};

static struct found args_find_global(struct parser *parser, const char *name, size_t len)
{
    struct found found = {.global = GLOBAL_NONE};
    if (len == 3 && memcmp(name, "dir", 3) == 0 && !parser->command->own_globals)
        found = (struct found){&args_globals[ARG_GLOBAL_DIR], &parser->args->dir, 0, GLOBAL_DIR};
    else if (len == 5 && memcmp(name, "color", 5) == 0)
        found =
            (struct found){&args_globals[ARG_GLOBAL_COLOR], &parser->args->color, 0, GLOBAL_COLOR};
    else if ((len == 4 && memcmp(name, "help", 4) == 0) ||
             (len == 5 && memcmp(name, "-help", 5) == 0))
        found.global = GLOBAL_HELP;
    else if (parser->command == parser->root && ((len == 7 && memcmp(name, "version", 7) == 0) ||
                                                    (len == 8 && memcmp(name, "-version", 8) == 0)))
        found.global = GLOBAL_VERSION;
    return found;
}

static bool args_name_is(const char *name, const char *word, size_t len)
{
    return name != NULL && strncmp(name, word, len) == 0 && name[len] == '\0';
}

static struct found args_find_long(struct parser *parser, const char *name, size_t len)
{
    const struct command *command = parser->command;
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        if (args_name_is(option->name, name, len) || args_name_is(option->alias, name, len))
            return (struct found){option, &parser->args->options[i], (uint8_t)i, GLOBAL_NONE};
    }
    return args_find_global(parser, name, len);
}

static struct found args_find_letter(struct parser *parser, char letter)
{
    const struct command *command = parser->command;
    for (size_t i = 0; i < command->n_options; i++)
        if (command->options[i].letter == letter)
            return (struct found){
                &command->options[i], &parser->args->options[i], (uint8_t)i, GLOBAL_NONE};
    if (letter == 'h')
        return (struct found){.global = GLOBAL_HELP_SHORT};
    if (letter == 'V' && command == parser->root)
        return (struct found){.global = GLOBAL_VERSION};
    return (struct found){.global = GLOBAL_NONE};
}

static int args_outcome(enum global global)
{
    if (global == GLOBAL_VERSION)
        return ARGS_VERSION;
    return global == GLOBAL_HELP_SHORT ? ARGS_HELP_SHORT : ARGS_HELP_LONG;
}

static void args_add_item(struct parser *parser, uint8_t id, const char *text)
{
    parser->args->items[parser->args->n_items++] = (struct arg_item){id, text};
}

/* Takes an option; value is what stood behind '=' (or the letter), NULL where nothing did. */
static int args_take(
    struct parser *parser, const struct found *found, const char *value, plsm_error_t **err)
{
    const struct option *option = found->option;
    char what[80];

    if (found->arg->count > 0 && !option->repeatable)
        return args_repeated(parser, option, err);
    args_option_text(option, what, sizeof(what));
    if (option->kind == ARG_FLAG) {
        if (value != NULL) {
            error_set(err, PLSM_ERROR_USAGE, "unexpected value '%.*s' for '%s' found",
                (int)strcspn(value, "\n\r"), value, what);
            return args_hint_help(parser->command, err);
        }
        found->arg->count = 1;
        return ARGS_RUN;
    }
    if (value == NULL) {
        const char *next = parser->at < parser->argc ? parser->argv[parser->at] : NULL;
        if (next == NULL || (next[0] == '-' && next[1] != '\0'))
            return args_no_value(option, err);
        value = next;
        parser->at++;
    }
    if (value[0] == '\0' && found->global == GLOBAL_DIR)
        return args_no_value(option, err);
    if (args_store(found->arg, option->kind, option->choices, what, value, err) < 0)
        return -1;
    if (option->repeatable)
        args_add_item(parser, found->id, value);
    return ARGS_RUN;
}

static int args_take_long(struct parser *parser, const char *word, plsm_error_t **err)
{
    const char *name = word + 2;
    const char *equals = strchr(name, '=');
    const size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct found found = args_find_long(parser, name, len);

    if (found.option != NULL)
        return args_take(parser, &found, equals == NULL ? NULL : equals + 1, err);
    if (found.global != GLOBAL_NONE && equals == NULL)
        return args_outcome(found.global);
    return args_unexpected(parser, word, err);
}

/* "-n5", "-n=5", "-n 5", and letters without values together: "-qf FILE". */
static int args_take_letters(struct parser *parser, const char *word, plsm_error_t **err)
{
    for (size_t i = 1; word[i] != '\0'; i++) {
        const struct found found = args_find_letter(parser, word[i]);
        if (found.option == NULL && found.global != GLOBAL_NONE)
            return args_outcome(found.global);
        if (found.option == NULL) {
            const char unknown[] = {'-', word[i], '\0'};
            return args_unexpected(parser, unknown, err);
        }
        if (found.option->kind != ARG_FLAG) {
            const char *value = word[i + 1] == '\0' ? NULL : word + i + 1;
            if (value != NULL && value[0] == '=')
                value++;
            return args_take(parser, &found, value, err);
        }
        if (args_take(parser, &found, NULL, err) < 0)
            return -1;
    }
    return ARGS_RUN;
}

static const struct command *args_find_child(const struct command *command, const char *word)
{
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++) {
        const struct command *child = command->children[i];
        if (strcmp(child->name, word) == 0 ||
            (child->alias != NULL && strcmp(child->alias, word) == 0))
            return child;
    }
    return NULL;
}

/* Goes down into a subcommand; options of the parent are done with. */
static int args_enter(struct parser *parser, const char *word, plsm_error_t **err)
{
    const struct command *child = args_find_child(parser->command, word);
    if (child == NULL)
        return args_unknown_command(parser, word, err);
    parser->command = child;
    parser->args->command = child;
    parser->args->spelling = word;
    parser->any = false;
    return ARGS_RUN;
}

/* "help pool create": the words behind lead to a command. */
static int args_help_words(struct parser *parser, plsm_error_t **err)
{
    while (parser->at < parser->argc) {
        const char *word = parser->argv[parser->at++];
        if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
            break;
        if (word[0] == '-' && word[1] != '\0')
            return args_unexpected(parser, word, err);
        if (args_find_child(parser->command, word) == NULL && parser->command->children == NULL)
            return args_unexpected(parser, word, err);
        if (args_enter(parser, word, err) < 0)
            return -1;
    }
    return ARGS_HELP_LONG;
}

static int args_take_positional(struct parser *parser, const char *word, plsm_error_t **err)
{
    const struct command *command = parser->command;
    if (command->children != NULL) {
        if (strcmp(word, "help") == 0)
            return args_help_words(parser, err);
        return args_enter(parser, word, err);
    }

    size_t i = parser->n_positionals;
    if (i > 0 && command->positionals[i - 1].many)
        i--;
    if (i >= command->n_positionals)
        return args_unexpected(parser, word, err);
    const struct positional *positional = &command->positionals[i];
    if (args_store(&parser->args->positionals[i], positional->kind, positional->choices,
            positional->value, word, err) < 0)
        return -1;
    if (positional->many)
        args_add_item(parser, (uint8_t)ARG_POSITIONAL(i), word);
    parser->n_positionals = i + 1;
    return ARGS_RUN;
}

static int args_take_word(struct parser *parser, plsm_error_t **err)
{
    char *word = parser->argv[parser->at++];
    const bool option = word[0] == '-' && word[1] != '\0' && !parser->only_positionals;
    const int at = parser->at;

    int r;
    if (!option) {
        parser->any = true;
        return args_take_positional(parser, word, err);
    }
    if (strcmp(word, "--") == 0) {
        parser->only_positionals = true;
        parser->any = true;
        if (parser->command->takes_rest) {
            parser->args->has_rest = true;
            parser->args->rest = parser->argv + at;
            parser->args->n_rest = (size_t)(parser->argc - at);
            parser->at = parser->argc;
        }
        return ARGS_RUN;
    }
    r = word[1] == '-' ? args_take_long(parser, word, err) : args_take_letters(parser, word, err);
    parser->any = true;
    return r;
}

static bool args_given(const struct args *args, uint8_t id)
{
    return (id & 0x80u) != 0 ? args->positionals[id & 0x7fu].count > 0 : args_has(args, id);
}

static void args_id_text(const struct command *command, uint8_t id, char *out, size_t size)
{
    if ((id & 0x80u) == 0) {
        args_option_text(&command->options[id], out, size);
        return;
    }
    const char *value = command->positionals[id & 0x7fu].value;
    const size_t len = strlen(value) < size ? strlen(value) : size - 1;
    memcpy(out, value, len);
    out[len] = '\0';
}

static int args_check_conflicts(const struct parser *parser, plsm_error_t **err)
{
    const struct command *command = parser->command;
    for (size_t i = 0; i < command->n_conflicts; i++) {
        const struct conflict *conflict = &command->conflicts[i];
        char first[80], second[80];
        if (!args_given(parser->args, conflict->option) ||
            !args_given(parser->args, conflict->other))
            continue;
        args_id_text(command, conflict->option, first, sizeof(first));
        args_id_text(command, conflict->other, second, sizeof(second));
        error_set(
            err, PLSM_ERROR_USAGE, "the argument '%s' cannot be used with '%s'", first, second);
        return args_hint_help(command, err);
    }
    return 0;
}

static int args_check_required(const struct parser *parser, plsm_error_t **err)
{
    const struct command *command = parser->command;
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        if (!positional->required || parser->args->positionals[i].count > 0)
            continue;
        error_set(err, PLSM_ERROR_USAGE, "the following required arguments were not provided: %s",
            positional->value);
        if (command->missing_hint != NULL)
            return error_hint(err, "%s", command->missing_hint);
        return args_hint_help(command, err);
    }
    return 0;
}

static int args_finish(struct parser *parser, plsm_error_t **err)
{
    const struct command *command = parser->command;
    if (!parser->any && command->help_when_empty)
        return ARGS_HELP_MISSING;
    if (command->children != NULL) {
        char path[ARG_PATH_MAX];
        args_command_path(command, path);
        error_set(
            err, PLSM_ERROR_USAGE, "'%s' requires a subcommand but one was not provided", path);
        return args_hint_help(command, err);
    }
    if (args_check_conflicts(parser, err) < 0)
        return -1;
    return args_check_required(parser, err);
}

int args_parse(
    const struct command *root, int argc, char **argv, struct args *out_args, plsm_error_t **err)
{
    struct parser parser = {
        .root = root, .command = root, .args = out_args, .argv = argv, .argc = argc, .at = 1};

    *out_args = (struct args){.command = root, .spelling = root->name};
    out_args->items = calloc((size_t)argc + 1, sizeof(*out_args->items));
    if (out_args->items == NULL)
        return error_oom(err);
    while (parser.at < argc) {
        const int r = args_take_word(&parser, err);
        if (r != ARGS_RUN)
            return r;
    }
    return args_finish(&parser, err);
}

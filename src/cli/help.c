#include "cli/help.h"

#include <string.h>

#define LONG_INDENT  10u
#define LINE_COLUMNS 80u

/* "-n, --tail <TAIL>", with the place of the letter kept free where there is none. */
static void help_option_name(const struct option *option, struct text *text)
{
    if (option->letter != '\0')
        text_printf(text, "-%c, ", option->letter);
    else
        text_str(text, "    ");
    text_printf(text, "--%s", option->name);
    if (option->kind != ARG_FLAG)
        text_printf(text, " <%s>", option->value);
}

static size_t help_option_width(const struct option *option)
{
    return 6 + strlen(option->name) + (option->kind == ARG_FLAG ? 0 : strlen(option->value) + 3);
}

static void help_choices(const char *const *choices, struct text *text)
{
    text_str(text, " [possible values: ");
    for (size_t i = 0; choices[i] != NULL; i++)
        text_printf(text, "%s%s", i == 0 ? "" : ", ", choices[i]);
    text_str(text, "]");
}

static void help_extras(const struct option *option, struct text *text)
{
    if (option->fallback != NULL)
        text_printf(text, " [default: %s]", option->fallback);
    if (option->choices != NULL)
        help_choices(option->choices, text);
}

/* The length of the next word; "[default: 1M]" is one. */
static size_t help_word(const char *words)
{
    static const char whole[] = "[default:";
    return strncmp(words, whole, sizeof(whole) - 1) == 0 ? strcspn(words, "]") + 1
                                                         : strcspn(words, " ");
}

/* Writes words, indented, in lines of up to LINE_COLUMNS. */
static void help_wrap(const char *words, size_t indent, struct text *text)
{
    size_t column = indent;
    text_pad(text, indent);
    while (*words != '\0') {
        const size_t len = help_word(words);
        if (column > indent && column + 1 + len > LINE_COLUMNS) {
            text_str(text, "\n");
            text_pad(text, indent);
            column = indent;
        } else if (column > indent) {
            text_str(text, " ");
            column++;
        }
        text_put(text, words, len);
        column += len;
        words += len;
        words += *words != '\0';
    }
}

/* A text with line ends of its own. */
static void help_paragraph(const char *words, struct text *text)
{
    char line[1024];

    while (*words != '\0') {
        const size_t len = strcspn(words, "\n");
        const size_t kept = len < sizeof(line) ? len : sizeof(line) - 1;
        memcpy(line, words, kept);
        line[kept] = '\0';
        help_wrap(line, 0, text);
        text_str(text, "\n");
        words += len;
        words += *words != '\0';
    }
}

/* One entry: name, then its text beside it (short) or under it (long). */
static void help_entry(struct text *text, bool full, const char *name, size_t name_len,
    const char *description, size_t width)
{
    text_str(text, "  ");
    text_put(text, name, name_len);
    if (full) {
        text_str(text, "\n");
        help_wrap(description, LONG_INDENT, text);
    } else {
        text_pad(text, width - name_len + 2);
        text_str(text, description);
    }
    text_str(text, "\n");
}

static void help_option(const struct option *option, bool full, size_t width, struct text *text)
{
    scoped(text_fini) struct text name = {0};
    scoped(text_fini) struct text description = {0};

    help_option_name(option, &name);
    text_str(&description, full && option->details != NULL ? option->details : option->summary);
    help_extras(option, &description);
    text_put(&description, "", 1);
    if (!name.failed && !description.failed)
        help_entry(text, full, (const char *)name.buf.data, name.buf.len,
            (const char *)description.buf.data, width);
    else
        text->failed = true;
}

static const struct option *const option_help = &args_globals[ARG_GLOBAL_HELP];

static size_t help_width(const struct command *command)
{
    size_t width = help_option_width(option_help);
    for (size_t i = 0; i < command->n_options; i++) {
        const size_t option = help_option_width(&command->options[i]);
        if (!command->options[i].hidden && option > width)
            width = option;
    }
    return width;
}

static bool help_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void help_group(
    const struct command *command, const char *heading, bool full, size_t width, struct text *text)
{
    text_printf(text, "\n%s:\n", heading == NULL ? "Options" : heading);
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        if (!option->hidden && help_same(option->heading, heading))
            help_option(option, full, width, text);
    }
    if (heading == NULL)
        help_option(option_help, full, width, text);
}

static void help_options(const struct command *command, bool full, struct text *text)
{
    const size_t width = help_width(command);
    const char *heading = NULL;
    help_group(command, NULL, full, width, text);
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        if (option->hidden || option->heading == NULL || help_same(option->heading, heading))
            continue;
        heading = option->heading;
        help_group(command, heading, full, width, text);
    }
}

static void help_positionals(const struct command *command, bool full, struct text *text)
{
    size_t width = 0;
    if (command->n_positionals == 0)
        return;
    text_str(text, "\nArguments:\n");
    for (size_t i = 0; i < command->n_positionals; i++) {
        const size_t len = strlen(command->positionals[i].value);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        scoped(text_fini) struct text description = {0};
        text_str(&description, positional->summary);
        if (positional->choices != NULL)
            help_choices(positional->choices, &description);
        text_put(&description, "", 1);
        if (!description.failed)
            help_entry(text, full, positional->value, strlen(positional->value),
                (const char *)description.buf.data, width);
        else
            text->failed = true;
    }
}

static void help_children(const struct command *command, struct text *text)
{
    size_t width = strlen("help");
    if (command->children == NULL)
        return;
    text_str(text, "\nCommands:\n");
    for (size_t i = 0; command->children[i] != NULL; i++) {
        const size_t len = strlen(command->children[i]->name);
        width = len > width ? len : width;
    }
    for (size_t i = 0; command->children[i] != NULL; i++) {
        const struct command *child = command->children[i];
        help_entry(text, false, child->name, strlen(child->name), child->summary, width);
    }
    help_entry(text, false, "help", strlen("help"), "Print help for one of these commands", width);
}

static void help_usage(const struct command *command, struct text *text)
{
    char path[ARG_PATH_MAX];
    args_command_path(command, path);
    text_printf(text, "\nUsage: %s", path);
    if (command->usage != NULL) {
        text_printf(text, " %s\n", command->usage);
        return;
    }
    if (command->children != NULL) {
        text_str(text, " <COMMAND>\n");
        return;
    }
    text_str(text, " [OPTIONS]");
    for (size_t i = 0; i < command->n_positionals; i++)
        text_printf(text, " %s", command->positionals[i].value);
    text_str(text, "\n");
}

/* The program's own page: what it is, where to begin, its commands on one line each. */
static void help_root(const struct command *root, struct text *text)
{
    size_t width = 0;
    for (size_t i = 0; root->children[i] != NULL; i++) {
        const size_t len = strlen(root->children[i]->name);
        width = len > width ? len : width;
    }

    help_paragraph(root->about, text);
    text_printf(text, "\nUSAGE\n  plasmite %s\n\nCOMMANDS\n", root->usage);
    for (size_t i = 0; root->children[i] != NULL; i++) {
        const struct command *child = root->children[i];
        help_entry(text, false, child->name, strlen(child->name), child->summary, width);
    }
    help_entry(text, false, "help", strlen("help"), "Print help for a command", width);
    text_str(text, "\nOPTIONS\n");
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        help_option(
            &args_globals[i], false, help_option_width(&args_globals[ARG_GLOBAL_COLOR]), text);
    text_printf(text, "\n%s", root->notes);
}

void help_render(const struct command *command, bool full, struct text *text)
{
    if (command->path[0] == '\0') {
        help_root(command, text);
        return;
    }
    help_paragraph(full && command->about != NULL ? command->about : command->summary, text);
    help_usage(command, text);
    help_children(command, text);
    help_positionals(command, full, text);
    help_options(command, full, text);
    if (command->notes != NULL)
        text_printf(text, "\n%s", command->notes);
    if (full && command->examples != NULL)
        text_printf(text, "\n%s", command->examples);
}

/* Writes the manual pages from the command tables, at build time: `plasmite-manual PAGE` prints
 * plasmite(1) or plasmite-COMMAND(1). It is not installed. */
#include "cli/commands.h"
#include "cli/manual_text.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SOURCE_COLUMNS 79u

/* One character of text that roff must not take for its own. */
static void manual_char(char c, bool literal, struct text *text)
{
    if (c == '\\')
        text_str(text, "\\e");
    else if (c == '-' && literal)
        text_str(text, "\\-");
    else if (c == '\'' && literal)
        text_str(text, "\\(aq");
    else if (c == '"' && literal)
        text_str(text, "\\(dq");
    else if (c == '^' && literal)
        text_str(text, "\\(ha");
    else if (c == '~' && literal)
        text_str(text, "\\(ti");
    else
        text_put(text, &c, 1);
}

/* A line may not begin with a control character, and `word` is set in bold. Options keep their
 * dashes: those that begin a word are minus signs. */
static void manual_prose(const char *words, struct text *text)
{
    bool bold = false;
    char before = '\n';
    for (; *words != '\0'; words++) {
        if (before == '\n' && strchr(".'", *words) != NULL)
            text_str(text, "\\&");
        if (*words == '`') {
            bold = !bold;
            text_str(text, bold ? "\\fB" : "\\fR");
        } else {
            manual_char(*words, *words == '-' && strchr(" \n-`(", before) != NULL, text);
        }
        before = *words;
    }
    if (before != '\n')
        text_str(text, "\n");
}

static void manual_literal(const char *string, struct text *text)
{
    if (*string == '.')
        text_str(text, "\\&");
    for (; *string != '\0'; string++)
        manual_char(*string, true, text);
}

/* "-n, --tail TAIL" */
static void manual_option_name(const struct option *option, struct text *text)
{
    if (option->letter != '\0')
        text_printf(text, "\\fB\\-%c\\fR, ", option->letter);
    text_str(text, "\\fB\\-\\-");
    manual_literal(option->name, text);
    text_str(text, "\\fR");
    if (option->kind != ARG_FLAG)
        text_printf(text, " \\fI%s\\fR", option->value);
    text_str(text, "\n");
}

static void manual_choices(const char *const *choices, struct text *text)
{
    text_str(text, "Possible values: ");
    for (size_t i = 0; choices[i] != NULL; i++)
        text_printf(text, "%s\\fB%s\\fR", i == 0 ? "" : ", ", choices[i]);
    text_str(text, ".\n");
}

/* Summaries have no full stop, details do. */
static void manual_sentence(const char *words, struct text *text)
{
    const size_t len = strlen(words);
    manual_prose(words, text);
    if (len > 0 && words[len - 1] != '.' && !text->failed) {
        text->buf.len--; /* the line end */
        text_str(text, ".\n");
    }
}

static void manual_option(const struct option *option, struct text *text)
{
    if (option->hidden)
        return;
    text_str(text, ".TP\n");
    manual_option_name(option, text);
    manual_sentence(option->details != NULL ? option->details : option->summary, text);
    if (option->fallback != NULL) {
        text_str(text, "Default: \\fB");
        manual_literal(option->fallback, text);
        text_str(text, "\\fR.\n");
    }
    if (option->choices != NULL)
        manual_choices(option->choices, text);
}

/* Options of one heading stand together in the tables. */
static void manual_options(const struct command *command, struct text *text)
{
    const char *heading = NULL;
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        if (option->heading != NULL && (heading == NULL || strcmp(heading, option->heading) != 0)) {
            heading = option->heading;
            text_printf(text, ".SS %s\n", heading);
        }
        manual_option(option, text);
    }
}

static void manual_positionals(const struct command *command, struct text *text)
{
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        text_printf(text, ".TP\n\\fI%s\\fR\n", positional->value);
        manual_sentence(positional->summary, text);
        if (positional->choices != NULL)
            manual_choices(positional->choices, text);
    }
}

static void manual_synopsis(const struct command *command, struct text *text)
{
    text_printf(text, "\\fBplasmite%s%s\\fR", command->path[0] == '\0' ? "" : " ", command->path);
    if (command->usage != NULL) {
        text_str(text, " ");
        manual_literal(command->usage, text);
    } else if (command->children != NULL) {
        text_str(text, " \\fI<COMMAND>\\fR");
    } else {
        text_str(text, " [OPTIONS]");
        for (size_t i = 0; i < command->n_positionals; i++)
            text_printf(text, " \\fI%s\\fR", command->positionals[i].value);
    }
    text_str(text, "\n");
}

/* Lines as they are; help's own heading and indent are left out. */
static void manual_examples(const char *examples, struct text *text)
{
    text_str(text, ".nf\n");
    while (*examples != '\0') {
        const size_t len = strcspn(examples, "\n");
        if (len > 2 && examples[0] == ' ') {
            if (examples[2] == '.')
                text_str(text, "\\&"); /* as in manual_prose() */
            for (size_t i = 2; i < len; i++)
                manual_char(examples[i], true, text);
            text_str(text, "\n");
        }
        examples += len + (examples[len] != '\0');
    }
    text_str(text, ".fi\n");
}

static void manual_about(const struct command *command, struct text *text)
{
    manual_sentence(command->about != NULL ? command->about : command->summary, text);
    if (command->notes != NULL && command->path[0] != '\0') {
        text_str(text, ".PP\n");
        manual_prose(command->notes, text);
    }
}

/* A subcommand, as a part of its parent's page. */
static void manual_child(const struct command *command, struct text *text)
{
    text_str(text, ".SS ");
    manual_literal(command->path, text);
    text_str(text, "\n");
    manual_synopsis(command, text);
    text_str(text, ".PP\n");
    manual_about(command, text);
    manual_positionals(command, text);
    manual_options(command, text);
}

/* The program's commands have pages of their own. */
static void manual_commands(const struct command *root, struct text *text)
{
    text_str(text, ".SH COMMANDS\n");
    for (size_t i = 0; root->children[i] != NULL; i++) {
        text_printf(text, ".TP\n\\fBplasmite\\-%s\\fR(1)\n", root->children[i]->name);
        manual_sentence(root->children[i]->summary, text);
    }
    text_str(text, ".TP\n\\fBplasmite help\\fR [\\fICOMMAND\\fR]\nPrint help for a command.\n");
}

static void manual_body(const struct command *command, struct text *text)
{
    const bool root = command->path[0] == '\0';
    if (root)
        manual_commands(command, text);
    for (size_t i = 0; !root && command->children != NULL && command->children[i] != NULL; i++) {
        if (i == 0)
            text_str(text, ".SH COMMANDS\n");
        manual_child(command->children[i], text);
    }
    if (command->n_positionals > 0)
        text_str(text, ".SH ARGUMENTS\n");
    manual_positionals(command, text);
    text_str(text, ".SH OPTIONS\n");
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        if (root || i == ARG_GLOBAL_HELP)
            manual_option(&args_globals[i], text);
    manual_options(command, text);
}

static void manual_see_also(const struct command *command, struct text *text)
{
    text_str(text, ".SH SEE ALSO\n");
    if (command->path[0] != '\0')
        text_str(text, ".BR plasmite (1)");
    for (size_t i = 0; command_root.children[i] != NULL; i++) {
        const struct command *other = command_root.children[i];
        const bool first = i == 0 && command->path[0] == '\0';
        if (other != command)
            text_printf(text, "%s.BR plasmite\\-%s (1)", first ? "" : " ,\n", other->name);
    }
    text_str(text, "\n");
}

static void manual_page(const struct command *command, struct text *text)
{
    const struct manual_text *more = manual_text_find(command->path);
    const bool root = command->path[0] == '\0';
    const char *dash = root ? "" : "\\-";

    text_printf(text, ".TH PLASMITE%s", dash);
    for (const char *at = command->path; *at != '\0'; at++)
        text_printf(text, "%c", *at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    text_printf(text, " 1 %s \"Plasmite %s\" \"User Commands\"\n.SH NAME\nplasmite%s%s \\- ",
        MANUAL_DATE, PLASMITE_INTERFACE_VERSION, dash, command->path);
    text_str(text, root ? "keep JSON messages in pools that are just files" : command->summary);
    text_str(text, "\n.SH SYNOPSIS\n");
    manual_synopsis(command, text);
    text_str(text, ".SH DESCRIPTION\n");
    manual_about(command, text);
    text_str(text, root                        ? manual_root_description
                   : more->description != NULL ? more->description
                                               : "");
    manual_body(command, text);
    text_str(text, ".SH EXIT STATUS\n");
    text_str(text, more->exit_status != NULL ? more->exit_status : ".TP\n0\nDone.\n");
    text_str(text, manual_exit_status);
    text_str(text, ".SH ENVIRONMENT\n");
    text_str(text, manual_environment);
    text_str(text, ".SH FILES\n");
    text_str(text, manual_files);
    text_str(text, ".SH EXAMPLES\n");
    if (root)
        text_str(text, manual_root_examples);
    else
        manual_examples(command->examples, text);
    manual_see_also(command, text);
}

static const struct command *manual_find(const char *page)
{
    static const char start[] = "plasmite-";
    if (strcmp(page, "plasmite") == 0)
        return &command_root;
    if (strncmp(page, start, strlen(start)) != 0)
        return NULL;
    for (size_t i = 0; command_root.children[i] != NULL; i++)
        if (strcmp(command_root.children[i]->name, page + strlen(start)) == 0)
            return command_root.children[i];
    return NULL;
}

/* Breaks the lines of filled text, for people who read the source. */
static void manual_fold(const struct text *page, struct text *out)
{
    const char *at = (const char *)page->buf.data;
    const char *const end = at + page->buf.len;
    bool filled = true;
    while (at < end) {
        size_t len = strcspn(at, "\n");
        if (at[0] == '.')
            filled = strncmp(at, ".nf", 3) == 0 ? false : strncmp(at, ".fi", 3) == 0 || filled;
        while (at[0] != '.' && filled && len > SOURCE_COLUMNS) {
            size_t word = SOURCE_COLUMNS;
            while (word > 0 && (at[word] != ' ' || strchr(".'", at[word + 1]) != NULL))
                word--;
            if (word == 0)
                break;
            text_put(out, at, word);
            text_str(out, "\n");
            at += word + 1;
            len -= word + 1;
        }
        text_put(out, at, len + 1);
        at += len + 1;
    }
}

int main(int argc, char **argv)
{
    scoped(text_fini) struct text page = {0};
    scoped(text_fini) struct text out = {0};
    const struct command *command = manual_find(argc == 2 ? argv[1] : "");

    if (command == NULL) {
        fprintf(stderr, "usage: plasmite-manual plasmite[-COMMAND]\n");
        return 2;
    }
    manual_page(command, &page);
    text_put(&page, "", 1);
    if (page.failed)
        return 1;
    page.buf.len--;
    manual_fold(&page, &out);
    return text_write(&out, STDOUT_FILENO, NULL) < 0;
}

/* Completion scripts, made from the command tables as help is: one function a shell.
 *
 * A script offers subcommands, options, the values of those that have a fixed set, files where a
 * file is meant, and names of pools, which it lists by itself: completing a word starts no
 * program. Hidden options and older spellings are offered nowhere. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "cli/args.h"
#include "cli/text.h"

/* What can be offered as a value; the tables say it by the value's placeholder. */
enum completion_value {
    COMPLETION_NONE,
    COMPLETION_CHOICES,
    COMPLETION_FILES,
    COMPLETION_FOLDERS,
    COMPLETION_POOLS,
};

enum completion_value completion_of_option(const struct option *option);
enum completion_value completion_of_positional(
    const struct command *command, const struct positional *positional);

/* Calls visit for command and then for all below it. */
void completion_each(const struct command *command,
    void (*visit)(const struct command *command, struct text *text), struct text *text);

/* "a b c" */
void completion_words(const char *const *words, const char *between, struct text *text);

/* A string between single quotes; each such quote inside is written as escape. */
void completion_quoted(const char *string, const char *escape, struct text *text);

void completion_bash(const struct command *root, struct text *text);
void completion_elvish(const struct command *root, struct text *text);
void completion_fish(const struct command *root, struct text *text);
void completion_powershell(const struct command *root, struct text *text);
void completion_zsh(const struct command *root, struct text *text);

#endif

/* For fish, from 3.0 on. Each candidate is one `complete` with the condition under which it is
 * offered; __plasmite_state reads the words before the cursor for all of them. */
#include "cli/completion.h"

#include <string.h>

static const char fish_head[] = "# Completion of plasmite and pls for fish.\n"
                                "\n"
                                "# Prints PATH:N, the command and the number of its arguments so "
                                "far, then the --dir in force, then\n"
                                "# how many words stand up to a `--`.\n"
                                "function __plasmite_state\n"
                                "    set -l words (commandline -opc)\n"
                                "    set -l path ''\n"
                                "    set -l n 0\n"
                                "    set -l option ''\n"
                                "    set -l dir ~/.plasmite/pools\n"
                                "    set -l help ''\n"
                                "    set -l ended\n"
                                "    set -l seen 1\n"
                                "    for word in $words[2..-1]\n"
                                "        set seen (math $seen + 1)\n"
                                "        if test -n \"$option\"\n"
                                "            test \"$option\" = --dir; and set dir $word\n"
                                "            set option ''\n"
                                "            continue\n"
                                "        end\n"
                                "        if test -n \"$ended\"\n"
                                "            set n (math $n + 1)\n"
                                "            continue\n"
                                "        end\n"
                                "        switch \"$path:$word\"\n"
                                "            case '*:--'\n"
                                "                set ended $seen\n"
                                "            case '*:--dir' '*:--color'\n"
                                "                set option $word\n"
                                "            case '*:--dir=*'\n"
                                "                set dir (string replace -- --dir= '' $word)\n";

static const char fish_middle[] =
    "            case '*:-?*'\n"
    "            case '*'\n"
    "                set n (math $n + 1)\n"
    "        end\n"
    "    end\n"
    "    printf '%s\\n' \"$help$path:$n\" (string replace -r '^~/' ~/ -- $dir) $ended\n"
    "end\n"
    "\n"
    "# Whether the state is one of these patterns.\n"
    "function __plasmite_at\n"
    "    set -l state (__plasmite_state)\n"
    "    for pattern in $argv\n"
    "        string match -q -- $pattern $state[1]; and return 0\n"
    "    end\n"
    "    return 1\n"
    "end\n"
    "\n"
    "function __plasmite_pools\n"
    "    set -l word (commandline -ct)\n"
    "    if string match -q '*/*' -- $word\n"
    "        __fish_complete_suffix $word .plasmite\n"
    "        return\n"
    "    end\n"
    "    set -l state (__plasmite_state)\n"
    "    for file in $state[2]/*.plasmite\n"
    "        string replace -r '^.*/' '' -- $file | string replace -r '\\.plasmite$' ''\n"
    "    end\n"
    "end\n"
    "\n"
    "# The words up to a `--`, if there is one and the command is $argv[1].\n"
    "function __plasmite_ended\n"
    "    set -l state (__plasmite_state)\n"
    "    string match -q -- \"$argv[1]:*\" $state[1]; and test (count $state) = 3; and echo "
    "$state[3]\n"
    "end\n"
    "\n"
    "complete -c plasmite -f\n"
    "complete -c plasmite -n 'not __plasmite_at \"help *\"' -s h -l help -d 'Print help'\n";

static void fish_word(const struct command *command, struct text *text)
{
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        if (option->kind == ARG_FLAG || option->hidden)
            continue;
        text_printf(text, "            case '%s:--%s'", command->path, option->name);
        if (option->letter != '\0')
            text_printf(text, " '%s:-%c'", command->path, option->letter);
        text_str(text, "\n                set option $word\n");
    }
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++)
        text_printf(text, "            case '%s:%s'\n                set path '%s'\n",
            command->path, command->children[i]->name, command->children[i]->path);
    if (command->children != NULL)
        text_printf(
            text, "            case '%s:help'\n                set help 'help '\n", command->path);
}

static void fish_begin(const char *path, const char *n, struct text *text)
{
    text_printf(text, "complete -c plasmite -n '__plasmite_at \"%s:%s\"'", path, n);
}

static void fish_describe(const char *summary, struct text *text)
{
    text_str(text, " -d ");
    completion_quoted(summary, "\\'", text);
    text_str(text, "\n");
}

static void fish_offer(enum completion_value value, const char *const *choices, struct text *text)
{
    switch (value) {
    case COMPLETION_NONE: text_str(text, " -x"); break;
    case COMPLETION_CHOICES:
        text_str(text, " -x -a '");
        completion_words(choices, " ", text);
        text_str(text, "'");
        break;
    case COMPLETION_FILES: text_str(text, " -r -F"); break;
    case COMPLETION_FOLDERS: text_str(text, " -x -a '(__fish_complete_directories)'"); break;
    case COMPLETION_POOLS: text_str(text, " -x -a '(__plasmite_pools)'"); break;
    }
}

static void fish_option(const char *path, const struct option *option, struct text *text)
{
    if (option->hidden)
        return;
    fish_begin(path, "*", text);
    text_printf(text, " -l %s", option->name);
    if (option->letter != '\0')
        text_printf(text, " -s %c", option->letter);
    if (option->kind != ARG_FLAG)
        fish_offer(completion_of_option(option), option->choices, text);
    fish_describe(option->summary, text);
}

static void fish_child(
    const struct command *command, const char *name, const char *summary, struct text *text)
{
    text_printf(text, "complete -c plasmite -n '__plasmite_at \"%s:0\" \"help %s:0\"' -a %s",
        command->path, command->path, name);
    fish_describe(summary, text);
}

static void fish_command(const struct command *command, struct text *text)
{
    text_str(text, "\n");
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++)
        fish_child(command, command->children[i]->name, command->children[i]->summary, text);
    if (command->children != NULL)
        fish_child(command, "help", "Print help for a command", text);
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        const enum completion_value value = completion_of_positional(command, positional);
        char n[] = "*";
        if (!positional->many)
            n[0] = (char)('0' + i);
        if (value == COMPLETION_NONE)
            continue;
        fish_begin(command->path, n, text);
        fish_offer(value, positional->choices, text);
        fish_describe(positional->summary, text);
    }
    for (size_t i = 0; i < command->n_options; i++)
        fish_option(command->path, &command->options[i], text);
    if (command->takes_rest)
        text_printf(text,
            "complete -c plasmite -n '__plasmite_ended \"%s\" >/dev/null' -x -a "
            "'(__fish_complete_subcommand --fcs-skip=(__plasmite_ended \"%s\"))'\n",
            command->path, command->path);
}

void completion_fish(const struct command *root, struct text *text)
{
    text_str(text, fish_head);
    completion_each(root, fish_word, text);
    text_str(text, fish_middle);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        if (i != ARG_GLOBAL_HELP)
            fish_option("", &args_globals[i], text);
    completion_each(root, fish_command, text);
    text_str(text, "\ncomplete -c pls -w plasmite\n");
}

/* For zsh: one function a command, which describes its words to _arguments. */
#include "cli/completion.h"

#include <string.h>

static const char zsh_head[] =
    "#compdef plasmite pls\n"
    "\n"
    "# Offers the pools of the directory in force, or the files where the word is a path.\n"
    "_plasmite_pools() {\n"
    "  local dir=${plasmite_dir:-$HOME/.plasmite/pools} expl\n"
    "  local -a names\n"
    "  if [[ $PREFIX == */* ]]; then\n"
    "    _files -g '*.plasmite'\n"
    "    return\n"
    "  fi\n"
    "  dir=${(Q)${dir/#\\~\\//$HOME/}}\n"
    "  names=($dir/*.plasmite(N:t:r))\n"
    "  _wanted pools expl pool compadd -a names\n"
    "}\n";

static const char zsh_tail[] =
    "\n"
    "# Loaded from $fpath this file is the body of _plasmite; sourced, it registers it.\n"
    "if [[ $funcstack[1] == _plasmite ]]; then\n"
    "  _plasmite \"$@\"\n"
    "else\n"
    "  compdef _plasmite plasmite pls\n"
    "fi\n";

/* "_plasmite_pool_create" */
static void zsh_function(const struct command *command, struct text *text)
{
    text_str(text, "_plasmite");
    for (const char *at = command->path; *at != '\0'; at++) {
        if (at == command->path)
            text_str(text, "_");
        text_put(text, *at == ' ' ? "_" : at, 1);
    }
}

/* Inside a quoted specification, where brackets and colons have a meaning. */
static void zsh_escaped(const char *string, struct text *text)
{
    for (; *string != '\0'; string++) {
        if (*string == '\'')
            text_str(text, "'\\''");
        else if (strchr("[]:\\", *string) != NULL)
            text_printf(text, "\\%c", *string);
        else
            text_put(text, string, 1);
    }
}

static void zsh_offer(enum completion_value value, const char *const *choices, struct text *text)
{
    switch (value) {
    case COMPLETION_NONE: text_str(text, ": "); break;
    case COMPLETION_CHOICES:
        text_str(text, ":(");
        completion_words(choices, " ", text);
        text_str(text, ")");
        break;
    case COMPLETION_FILES: text_str(text, ":_files"); break;
    case COMPLETION_FOLDERS: text_str(text, ":_files -/"); break;
    case COMPLETION_POOLS: text_str(text, ":_plasmite_pools"); break;
    }
}

static void zsh_option(const struct option *option, bool last, struct text *text)
{
    const bool flag = option->kind == ARG_FLAG;
    if (option->hidden)
        return;
    text_str(text, "    ");
    if (last)
        text_printf(text, "'(- *)'");
    else if (option->letter != '\0' && !option->repeatable)
        text_printf(text, "'(-%c --%s)'", option->letter, option->name);
    else if (option->repeatable)
        text_str(text, "'*'");
    if (option->letter != '\0')
        text_printf(text, "{-%c%s,--%s%s}'", option->letter, flag ? "" : "+", option->name,
            flag ? "" : "=");
    else
        text_printf(text, "'--%s%s", option->name, flag ? "" : "=");
    text_str(text, "[");
    zsh_escaped(option->summary, text);
    text_str(text, "]");
    if (!flag) {
        text_printf(text, ":%s", option->value);
        zsh_offer(completion_of_option(option), option->choices, text);
    }
    text_str(text, "' \\\n");
}

static void zsh_children(const struct command *command, struct text *text)
{
    text_str(text, "    '1: :->command' '*:: :->arguments' && return\n"
                   "  case $state in\n"
                   "    command)\n"
                   "      subcommands=(\n");
    for (size_t i = 0; command->children[i] != NULL; i++) {
        text_printf(text, "        '%s:", command->children[i]->name);
        zsh_escaped(command->children[i]->summary, text);
        text_str(text, "'\n");
    }
    text_str(text, "        'help:Print help for a command'\n"
                   "      )\n"
                   "      _describe command subcommands\n"
                   "      ;;\n"
                   "    arguments)\n");
    if (command->path[0] == '\0')
        text_str(text, "      plasmite_dir=$opt_args[--dir]\n");
    text_str(text, "      case $words[1] in\n");
    for (size_t i = 0; command->children[i] != NULL; i++) {
        text_printf(text, "        %s) ", command->children[i]->name);
        zsh_function(command->children[i], text);
        text_str(text, " ;;\n");
    }
    text_str(text, "        help) ");
    zsh_function(command, text);
    text_str(text, " ;;\n"
                   "      esac\n"
                   "      ;;\n"
                   "  esac\n");
}

static void zsh_positionals(const struct command *command, struct text *text)
{
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        if (positional->many)
            text_str(text, "    '*");
        else
            text_printf(text, "    '%zu", i + 1);
        text_str(text, ":");
        zsh_escaped(positional->value, text);
        zsh_offer(completion_of_positional(command, positional), positional->choices, text);
        text_str(text, "' \\\n");
    }
    text_str(text, "    && return\n");
}

static void zsh_command(const struct command *command, struct text *text)
{
    const bool root = command->path[0] == '\0';
    text_str(text, "\n");
    zsh_function(command, text);
    text_str(text, "() {\n");
    if (command->children != NULL)
        text_str(text, "  local curcontext=$curcontext context state state_descr line\n"
                       "  local -a subcommands\n"
                       "  local -A opt_args\n");
    if (root)
        text_str(text, "  local plasmite_dir\n");
    if (command->takes_rest) /* behind "--" stands a command line of its own */
        text_str(text, "  local -i at=${words[(i)--]}\n"
                       "  if (( at < CURRENT )); then\n"
                       "    shift $at words\n"
                       "    (( CURRENT -= at ))\n"
                       "    _normal\n"
                       "    return\n"
                       "  fi\n");
    text_printf(text, "  _arguments %s-s -S \\\n", command->children != NULL ? "-C " : "");
    for (size_t i = 0; i < command->n_options; i++)
        zsh_option(&command->options[i], false, text);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        if (root || i == ARG_GLOBAL_HELP)
            zsh_option(&args_globals[i], i >= ARG_GLOBAL_HELP, text);
    if (command->children != NULL)
        zsh_children(command, text);
    else
        zsh_positionals(command, text);
    text_str(text, "}\n");
}

void completion_zsh(const struct command *root, struct text *text)
{
    text_str(text, zsh_head);
    completion_each(root, zsh_command, text);
    text_str(text, zsh_tail);
}

/* For bash, from 3.2 on. The script reads the words before the cursor into the command's path,
 * the number of arguments and the option that waits for its value, and looks up what may follow.
 * bash splits words at '=' and shows that as a word of its own. */
#include "cli/completion.h"

#include <string.h>

static const char bash_head[] =
    "# Completion of plasmite and pls for bash.\n"
    "\n"
    "# Offers the pools of the directory $1, or the files where $2 is a path.\n"
    "_plasmite_pools()\n"
    "{\n"
    "    local dir=${1:-$HOME/.plasmite/pools} start=${2//\\\\/} file name\n"
    "    if [[ $start == */* ]]; then\n"
    "        compopt -o default 2>/dev/null\n"
    "        return\n"
    "    fi\n"
    "    dir=${dir//[\\\\\\'\\\"]/}\n"
    "    [[ $dir == '~/'* ]] && dir=$HOME/${dir#'~/'}\n"
    "    for file in \"$dir/$start\"*.plasmite; do\n"
    "        [[ -e $file ]] || continue\n"
    "        file=${file##*/}\n"
    "        printf -v name %q \"${file%.plasmite}\"\n"
    "        COMPREPLY+=(\"$name\")\n"
    "    done\n"
    "}\n"
    "\n"
    "# Completes the command whose name is word $1 of the line; $2 is the present word.\n"
    "_plasmite_command()\n"
    "{\n"
    "    if declare -F _command_offset >/dev/null; then\n"
    "        _command_offset \"$1\"\n"
    "    elif [[ $COMP_CWORD == \"$1\" && $2 != */* ]]; then\n"
    "        COMPREPLY=($(compgen -c -- \"$2\"))\n"
    "    else\n"
    "        compopt -o default 2>/dev/null\n"
    "    fi\n"
    "}\n"
    "\n"
    "_plasmite()\n"
    "{\n"
    "    local IFS=$' \\t\\n' cur=$2 path='' option='' dir='' help='' ended='' words='' word i "
    "n=0\n"
    "    COMPREPLY=()\n"
    "    [[ ${COMP_WORDS[COMP_CWORD]} == '=' ]] && cur=''\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ -n $option ]]; then\n"
    "            [[ $word == '=' ]] && continue\n"
    "            [[ $option == --dir ]] && dir=$word\n"
    "            option=''\n"
    "            continue\n"
    "        fi\n"
    "        if [[ -n $ended ]]; then\n"
    "            n=$((n + 1))\n"
    "            continue\n"
    "        fi\n"
    "        case $path:$word in\n"
    "            *:--) ended=$((i + 1)) ;;\n"
    "            *:--dir | *:--color) option=$word ;;\n";

static const char bash_middle[] = "            *:-?*) ;;\n"
                                  "            *) n=$((n + 1)) ;;\n"
                                  "        esac\n"
                                  "    done\n"
                                  "\n"
                                  "    if [[ -n $option ]]; then\n"
                                  "        case $path:$option in\n";

static const char bash_options[] = "        esac\n"
                                   "    elif [[ $cur == -* && -z $ended$help ]]; then\n"
                                   "        case $path in\n";

static const char bash_positionals[] = "        esac\n"
                                       "    else\n"
                                       "        case $help$path:$n in\n";

static const char bash_tail[] =
    "        esac\n"
    "    fi\n"
    "    [[ -z $words ]] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
    "}\n"
    "\n"
    "complete -F _plasmite plasmite pls\n";

/* The patterns of an option: "'pool create:--size'", and its letter's. */
static void bash_option(const char *path, const struct option *option, struct text *text)
{
    text_printf(text, "            '%s':--%s", path, option->name);
    if (option->letter != '\0')
        text_printf(text, " | '%s':-%c", path, option->letter);
}

/* How a word changes what is known: it enters a command, or wants a value. */
static void bash_word(const struct command *command, struct text *text)
{
    for (size_t i = 0; i < command->n_options; i++)
        if (command->options[i].kind != ARG_FLAG && !command->options[i].hidden) {
            bash_option(command->path, &command->options[i], text);
            text_str(text, ") option=$word ;;\n");
        }
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++)
        text_printf(text, "            '%s':%s) path='%s' ;;\n", command->path,
            command->children[i]->name, command->children[i]->path);
    if (command->children != NULL)
        text_printf(text, "            '%s':help) help='help ' ;;\n", command->path);
}

static void bash_offer(enum completion_value value, const char *const *choices, struct text *text)
{
    switch (value) {
    case COMPLETION_NONE: break;
    case COMPLETION_CHOICES:
        text_str(text, "words='");
        completion_words(choices, " ", text);
        text_str(text, "'");
        break;
    case COMPLETION_FILES: text_str(text, "compopt -o default 2>/dev/null"); break;
    case COMPLETION_FOLDERS: text_str(text, "compopt -o dirnames 2>/dev/null"); break;
    case COMPLETION_POOLS: text_str(text, "_plasmite_pools \"$dir\" \"$cur\""); break;
    }
    text_str(text, " ;;\n");
}

static void bash_values(const struct command *command, struct text *text)
{
    for (size_t i = 0; i < command->n_options; i++) {
        const struct option *option = &command->options[i];
        const enum completion_value value = completion_of_option(option);
        if (value == COMPLETION_NONE || option->hidden)
            continue;
        bash_option(command->path, option, text);
        text_str(text, ") ");
        bash_offer(value, option->choices, text);
    }
}

static void bash_command_options(const struct command *command, struct text *text)
{
    text_printf(text, "            '%s') words='", command->path);
    for (size_t i = 0; i < command->n_options; i++)
        if (!command->options[i].hidden)
            text_printf(text, "--%s ", command->options[i].name);
    if (command->path[0] == '\0')
        text_str(text, "--dir --color --version ");
    text_str(text, "--help' ;;\n");
}

static void bash_arguments(const struct command *command, struct text *text)
{
    if (command->children != NULL) {
        text_printf(
            text, "            '%s':0 | 'help %s':0) words='", command->path, command->path);
        for (size_t i = 0; command->children[i] != NULL; i++)
            text_printf(text, "%s ", command->children[i]->name);
        text_str(text, "help' ;;\n");
    }
    for (size_t i = 0; i < command->n_positionals; i++) {
        const struct positional *positional = &command->positionals[i];
        const enum completion_value value = completion_of_positional(command, positional);
        if (value == COMPLETION_NONE)
            continue;
        if (positional->many)
            text_printf(text, "            '%s':*) ", command->path);
        else
            text_printf(text, "            '%s':%zu) ", command->path, i);
        bash_offer(value, positional->choices, text);
    }
    if (command->takes_rest)
        text_printf(text,
            "            '%s':*) [[ -z $ended ]] || _plasmite_command \"$ended\" \"$cur\" ;;\n",
            command->path);
}

void completion_bash(const struct command *root, struct text *text)
{
    text_str(text, bash_head);
    completion_each(root, bash_word, text);
    text_str(text, bash_middle);
    completion_each(root, bash_values, text);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++) {
        const enum completion_value value = completion_of_option(&args_globals[i]);
        if (value == COMPLETION_NONE)
            continue;
        text_printf(text, "            *:--%s) ", args_globals[i].name);
        bash_offer(value, args_globals[i].choices, text);
    }
    text_str(text, bash_options);
    completion_each(root, bash_command_options, text);
    text_str(text, bash_positionals);
    completion_each(root, bash_arguments, text);
    text_str(text, bash_tail);
}

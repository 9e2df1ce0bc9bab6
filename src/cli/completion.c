#include "cli/completion.h"

#include "cli/commands.h"
#include "cli/context.h"

#include <string.h>
#include <unistd.h>

enum completion_value completion_of_option(const struct option *option)
{
    if (option->choices != NULL)
        return COMPLETION_CHOICES;
    if (option->kind != ARG_TEXT)
        return COMPLETION_NONE;
    if (strcmp(option->value, "DIR") == 0)
        return COMPLETION_FOLDERS;
    if (strcmp(option->value, "FILE") == 0 || strcmp(option->value, "PATH") == 0)
        return COMPLETION_FILES;
    return COMPLETION_NONE;
}

enum completion_value completion_of_positional(
    const struct command *command, const struct positional *positional)
{
    static const char *const pools[] = {"<POOL>", "[POOL]", "<NAME>", "<NAMES>...", "<OLD>", NULL};
    if (positional->choices != NULL)
        return COMPLETION_CHOICES;
    if (command == &command_pool_create)
        return COMPLETION_NONE; /* a name that is taken is no help */
    for (size_t i = 0; pools[i] != NULL; i++)
        if (strcmp(positional->value, pools[i]) == 0)
            return COMPLETION_POOLS;
    return COMPLETION_NONE;
}

void completion_each(const struct command *command,
    void (*visit)(const struct command *command, struct text *text), struct text *text)
{
    visit(command, text);
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++)
        completion_each(command->children[i], visit, text);
}

void completion_words(const char *const *words, const char *between, struct text *text)
{
    for (size_t i = 0; words[i] != NULL; i++)
        text_printf(text, "%s%s", i == 0 ? "" : between, words[i]);
}

void completion_quoted(const char *string, const char *escape, struct text *text)
{
    text_str(text, "'");
    for (; *string != '\0'; string++) {
        if (*string == '\'')
            text_str(text, escape);
        else
            text_put(text, string, 1);
    }
    text_str(text, "'");
}

/* In the order of the choices. */
static void (*const completion_shells[])(const struct command *root, struct text *text) = {
    completion_bash,
    completion_elvish,
    completion_fish,
    completion_powershell,
    completion_zsh,
};
static const char *const completion_choices[] = {
    "bash", "elvish", "fish", "powershell", "zsh", NULL};

static int completion_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    (void)context;
    scoped(text_fini) struct text text = {0};
    for (size_t i = 0; completion_choices[i] != NULL; i++)
        if (strcmp(args->positionals[0].text, completion_choices[i]) == 0)
            completion_shells[i](&command_root, &text);
    return text_write(&text, STDOUT_FILENO, err);
}

static const struct positional completion_positionals[] = {
    {.value = "<SHELL>",
        .required = true,
        .kind = ARG_CHOICE,
        .choices = completion_choices,
        .summary = "Shell to print the script for"},
};

const struct command command_completion = {
    .name = "completion",
    .path = "completion",
    .summary = "Print a completion script for a shell",
    .about = "Print a completion script for a shell, for `plasmite` and `pls`. It completes "
             "commands, options, their values and names of pools.",
    .examples = "Examples:\n"
                "  source <(plasmite completion bash)        # in ~/.bashrc\n"
                "  source <(plasmite completion zsh)         # in ~/.zshrc, after compinit\n"
                "  plasmite completion fish > ~/.config/fish/completions/plasmite.fish\n"
                "  eval (plasmite completion elvish | slurp) # in rc.elv\n"
                "  plasmite completion powershell | Out-String | Invoke-Expression\n",
    .positionals = completion_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .run = completion_run,
};

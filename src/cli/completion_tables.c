/* For elvish and PowerShell: two tables, of the candidates of each command and of the values of
 * its options, and a few lines that look them up. Pools are not offered there. */
#include "cli/completion.h"

#include <string.h>

/* How a table is written; both languages write a quote inside a string twice. */
struct notation {
    const char *row_begin; /* before a key */
    const char *row_open;  /* between the key and its candidates */
    const char *row_close;
    const char *item_open; /* before a candidate, and between it and its description */
    const char *item_between;
    const char *item_close;
};

static const struct notation elvish = {"  &", "=[", "]\n", "[", " ", "] "};
static const struct notation powershell = {
    "        ", " = @(", ")\n", "@{ Word = ", "; Text = ", " }, "};

static void tables_item(
    const struct notation *notation, const char *word, const char *description, struct text *text)
{
    text_str(text, notation->item_open);
    completion_quoted(word, "''", text);
    text_str(text, notation->item_between);
    completion_quoted(description, "''", text);
    text_str(text, notation->item_close);
}

static void tables_option(
    const struct notation *notation, const struct option *option, struct text *text)
{
    scoped(text_fini) struct text name = {0};
    if (option->hidden)
        return;
    text_printf(&name, "--%s", option->name);
    text_put(&name, "", 1);
    if (name.failed)
        text->failed = true;
    else
        tables_item(notation, (const char *)name.buf.data, option->summary, text);
}

static void tables_row(
    const struct notation *notation, const struct command *command, struct text *text)
{
    const bool root = command->path[0] == '\0';
    text_printf(text, "%s'%s'%s", notation->row_begin, command->path, notation->row_open);
    for (size_t i = 0; command->children != NULL && command->children[i] != NULL; i++)
        tables_item(notation, command->children[i]->name, command->children[i]->summary, text);
    if (command->children != NULL)
        tables_item(notation, "help", "Print help for a command", text);
    for (size_t i = 0; i < command->n_positionals; i++)
        for (size_t j = 0;
             command->positionals[i].choices != NULL && command->positionals[i].choices[j] != NULL;
             j++)
            tables_item(
                notation, command->positionals[i].choices[j], command->positionals[i].value, text);
    for (size_t i = 0; i < command->n_options; i++)
        tables_option(notation, &command->options[i], text);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        if (root || i == ARG_GLOBAL_HELP)
            tables_option(notation, &args_globals[i], text);
}

/* Candidates are separated, not ended, by what item_close ends with. */
static void tables_row_end(const struct notation *notation, struct text *text)
{
    while (text->buf.len > 0 && strchr(" ,", text->buf.data[text->buf.len - 1]) != NULL)
        text->buf.len--;
    text_str(text, notation->row_close);
}

static void tables_value(const struct notation *notation, const char *path,
    const struct option *option, struct text *text)
{
    if (option->hidden || option->choices == NULL)
        return;
    text_printf(text, "%s'%s%s--%s'%s", notation->row_begin, path, path[0] == '\0' ? "" : " ",
        option->name, notation->row_open);
    for (size_t i = 0; option->choices[i] != NULL; i++)
        tables_item(notation, option->choices[i], option->summary, text);
    tables_row_end(notation, text);
}

static void tables_elvish(const struct command *command, struct text *text)
{
    tables_row(&elvish, command, text);
    tables_row_end(&elvish, text);
    for (size_t i = 0; i < command->n_options; i++)
        tables_value(&elvish, command->path, &command->options[i], text);
}

static void tables_powershell(const struct command *command, struct text *text)
{
    tables_row(&powershell, command, text);
    tables_row_end(&powershell, text);
    for (size_t i = 0; i < command->n_options; i++)
        tables_value(&powershell, command->path, &command->options[i], text);
}

static const char elvish_head[] = "# Completion of plasmite and pls for elvish.\n"
                                  "\n"
                                  "use str\n"
                                  "\n"
                                  "var plasmite-words = [\n";

static const char elvish_tail[] =
    "]\n"
    "\n"
    "fn plasmite-complete {|@words|\n"
    "  var path = ''\n"
    "  var last = ''\n"
    "  for word $words[1..-1] {\n"
    "    set last = $word\n"
    "    var longer = $word\n"
    "    if (not-eq $path '') {\n"
    "      set longer = $path' '$word\n"
    "    }\n"
    "    if (and (not (str:has-prefix $word '-')) (has-key $plasmite-words $longer)) {\n"
    "      set path = $longer\n"
    "    }\n"
    "  }\n"
    "  var key = $path\n"
    "  for option [$path' '$last $last] {\n"
    "    if (and (str:has-prefix $last '-') (eq $key $path) (has-key $plasmite-words $option)) {\n"
    "      set key = $option\n"
    "    }\n"
    "  }\n"
    "  for item $plasmite-words[$key] {\n"
    "    edit:complex-candidate $item[0] &display=$item[0]'  '$item[1]\n"
    "  }\n"
    "}\n"
    "\n"
    "set edit:completion:arg-completer[plasmite] = $plasmite-complete~\n"
    "set edit:completion:arg-completer[pls] = $plasmite-complete~\n";

static const char powershell_head[] =
    "# Completion of plasmite and pls for PowerShell.\n"
    "\n"
    "Register-ArgumentCompleter -Native -CommandName 'plasmite', 'pls' -ScriptBlock {\n"
    "    param($wordToComplete, $commandAst, $cursorPosition)\n"
    "    $words = @{\n";

static const char powershell_tail[] =
    "    }\n"
    "    $path = ''\n"
    "    $last = ''\n"
    "    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {\n"
    "        if ($element.Extent.EndOffset -ge $cursorPosition) { break }\n"
    "        $last = $element.Extent.Text\n"
    "        $longer = \"$path $last\".Trim()\n"
    "        if (-not $last.StartsWith('-') -and $words.ContainsKey($longer)) { $path = $longer }\n"
    "    }\n"
    "    $key = $path\n"
    "    foreach ($option in \"$path $last\".Trim(), $last) {\n"
    "        if ($last.StartsWith('-') -and $words.ContainsKey($option)) { $key = $option; break "
    "}\n"
    "    }\n"
    "    foreach ($item in $words[$key]) {\n"
    "        if ($item.Word.StartsWith($wordToComplete)) {\n"
    "            [System.Management.Automation.CompletionResult]::new(\n"
    "                $item.Word, $item.Word, 'ParameterValue', $item.Text)\n"
    "        }\n"
    "    }\n"
    "}\n";

void completion_elvish(const struct command *root, struct text *text)
{
    text_str(text, elvish_head);
    completion_each(root, tables_elvish, text);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        tables_value(&elvish, "", &args_globals[i], text);
    text_str(text, elvish_tail);
}

void completion_powershell(const struct command *root, struct text *text)
{
    text_str(text, powershell_head);
    completion_each(root, tables_powershell, text);
    for (size_t i = 0; i < N_ARG_GLOBALS; i++)
        tables_value(&powershell, "", &args_globals[i], text);
    text_str(text, powershell_tail);
}

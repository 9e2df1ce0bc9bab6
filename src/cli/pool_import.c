/* pool import: pools of the older format, read into new ones. */
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/pool.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/import.h"
#include "client/ref.h"
#include "client/value.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARG_OLD, ARG_NEW, N_POSITIONALS };
enum { OPT_SIZE, OPT_INDEX_CAPACITY, OPT_JSON, OPT_PROGRESS, N_OPTIONS };

struct importing {
    struct context *context;
    struct ref from;
    struct ref to;
    struct import_options options;
    struct imported imported;
    struct pool_info info; /* of the new pool */
    struct progress progress;
};

static void importing_fini_scoped(struct importing *importing)
{
    ref_fini(&importing->from);
    ref_fini(&importing->to);
}

static int import_options(struct importing *importing, const struct args *args, plsm_error_t **err)
{
    struct import_options *options = &importing->options;

    options->index_capacity = args_number(args, OPT_INDEX_CAPACITY, POOL_INDEX_DEFAULT);
    if (!args_has(args, OPT_SIZE))
        return 0;
    if (value_size(args_text(args, OPT_SIZE, NULL), &options->size_bytes, err) < 0)
        return -1;
    if (options->size_bytes > 0)
        return 0;
    error_set(err, PLSM_ERROR_USAGE, "file_size must exceed header and index size");
    return error_hint(err, "Give a larger --size; the default is that of the old pool.");
}

static void import_told(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct importing *importing = context;
    importing->progress.total_bytes = total_bytes;
    progress_step(&importing->progress, 0, done_bytes);
}

static int import_busy(const struct importing *importing, plsm_error_t **err)
{
    open_busy(importing->from.path, err);
    return error_hint(
        err, "Another program holds the old pool's file. Stop what writes to it, then try again.");
}

/* Advice where the error has none of its own. */
static int import_failed(const struct importing *importing, plsm_error_t **err)
{
    if (err == NULL || *err == NULL)
        return -1;
    if ((*err)->kind == PLSM_ERROR_ALREADY_EXISTS)
        return report_hint(err, "Choose a different name for the new pool.");
    if ((*err)->kind == PLSM_ERROR_NOT_FOUND && importing->from.kind == REF_NAME)
        return report_hint(
            err, "There is no such pool in the pool directory: give --dir, or a path with a '/'.");
    return -1;
}

static int import_work(struct importing *importing, const struct args *args, plsm_error_t **err)
{
    static const struct progress_words words = {
        .doing = "importing", .done = "imported", .noun = "message", .by_bytes = true};
    const struct pool_progress progress = {import_told, importing};
    const bool show = importing->context->stderr_tty &&
                      strcmp(args_text(args, OPT_PROGRESS, "auto"), "never") != 0;

    if (ref_make_parents(importing->to.path, err) < 0)
        return -1;
    progress_start(&importing->progress, show, &words, 0);
    const int r = import_pool(importing->from.path, importing->to.path, &importing->options,
        &progress, &importing->imported, err);
    progress_finish(&importing->progress, importing->imported.n_messages);
    if (r == IMPORT_BUSY)
        return import_busy(importing, err);
    return r < 0 ? import_failed(importing, err)
                 : pool_look(importing->to.path, &importing->info, err);
}

static void import_show_json(const struct importing *importing, struct text *text)
{
    text_str(text, "{\"imported\":{\"path\":");
    text_json_str(text, importing->from.path);
    text_printf(text, ",\"messages\":%llu},\"created\":[",
        (unsigned long long)importing->imported.n_messages);
    pool_json(text, importing->to.text, importing->to.path, &importing->info);
    text_str(text, "]}");
}

static int import_show_table(
    const struct importing *importing, struct text *text, plsm_error_t **err)
{
    static const char *const names[] = {"NAME", "MESSAGES", "SIZE", "PATH"};
    scoped(table_fini) struct table table = {0};
    scoped(text_fini) struct text cell = {0};
    char *directory = ref_directory(importing->context->dir);

    if (directory == NULL)
        return error_oom(err);
    table_init(&table, names, sizeof(names) / sizeof(names[0]));
    table_cell(&table, importing->to.text);
    text_u64(&cell, importing->imported.n_messages);
    table_cell_text(&table, &cell);
    text_u64(&cell, importing->info.file_size);
    table_cell_text(&table, &cell);
    table_cell(&table, human_short_path(importing->to.path, directory));
    table_render(&table, text);
    free(directory);
    return 0;
}

static void import_show_people(const struct importing *importing, struct text *text)
{
    const struct imported *imported = &importing->imported;

    text_str(text, "Imported ");
    human_count(text, imported->n_messages);
    text_str(text, imported->n_messages == 1 ? " message" : " messages");
    if (imported->n_messages > 0)
        text_printf(text, " (seq %llu to %llu)", (unsigned long long)imported->oldest_seq,
            (unsigned long long)imported->newest_seq);
    text_str(text, " into ");
    text_printable(text, view_str(importing->to.text));
    text_str(text, "\n  path: ");
    text_printable(text, view_str(importing->to.path));
    text_str(text, "\n");
    if (importing->info.n_messages < imported->n_messages) {
        text_str(text, "  the new pool has room for the last ");
        human_count(text, importing->info.n_messages);
        text_str(text, " of them: a larger --size keeps more\n");
    }
}

static int import_show(const struct importing *importing, bool json, plsm_error_t **err)
{
    scoped(text_fini) struct text text = {0};
    if (json) {
        import_show_json(importing, &text);
        return json_out_document(importing->context, &text, err);
    }
    if (importing->context->stdout_tty)
        import_show_people(importing, &text);
    else if (import_show_table(importing, &text, err) < 0)
        return -1;
    return text_write(&text, STDOUT_FILENO, err);
}

static int import_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(importing_fini) struct importing importing = {.context = context};

    if (import_options(&importing, args, err) < 0 ||
        ref_resolve_local(args->positionals[ARG_OLD].text, context->dir, "pool import",
            &importing.from, err) < 0 ||
        ref_resolve_local(
            args->positionals[ARG_NEW].text, context->dir, "pool import", &importing.to, err) < 0)
        return -1;
    if (import_work(&importing, args, err) < 0)
        return -1;
    return import_show(&importing, args_has(args, OPT_JSON), err);
}

static const struct option import_option_table[N_OPTIONS] = {
    [OPT_SIZE] = {.name = "size",
        .kind = ARG_TEXT,
        .value = "SIZE",
        .summary = "Size of the new pool: 64K, 8M, 1G",
        .details = "Size of the new pool file: bytes, or with K, M or G. The default is that of "
                   "the old one."},
    [OPT_INDEX_CAPACITY] = {.name = "index-capacity",
        .kind = ARG_U32,
        .value = "INDEX_CAPACITY",
        .summary = "Number of index slots; 0: no index",
        .details = "Number of index slots of the new pool, as in `plasmite pool create`."},
    [OPT_JSON] = {.name = "json", .summary = "Print JSON"},
    [OPT_PROGRESS] = {.name = "progress",
        .kind = ARG_CHOICE,
        .value = "PROGRESS",
        .fallback = "auto",
        .choices = progress_choices,
        .summary = "Show how far it is"},
};

static const struct positional import_positionals[N_POSITIONALS] = {
    [ARG_OLD] = {.value = "<OLD>",
        .required = true,
        .kind = ARG_TEXT,
        .summary = "The pool to read, by name or path"},
    [ARG_NEW] = {.value = "<NEW>",
        .required = true,
        .kind = ARG_TEXT,
        .summary = "The pool to make, by name or path"},
};

const struct command command_pool_import = {
    .name = "import",
    .path = "pool import",
    .summary = "Read a pool of Plasmite 0.8 into a new one",
    .about = "Read a pool that Plasmite 0.8 or older made into a new one. Messages keep their seq, "
             "time, tags and data; the old file is only read.",
    .notes = "The new pool appears when it is complete, and never otherwise. Programs that\n"
             "append to the old one meanwhile wait.\n",
    .examples = "Examples:\n"
                "  plasmite pool import chat chat-new\n"
                "  plasmite pool import ~/old/chat.plasmite chat --size 64M\n",
    .options = import_option_table,
    .n_options = N_OPTIONS,
    .positionals = import_positionals,
    .n_positionals = N_POSITIONALS,
    .help_when_empty = true,
    .run = import_run,
};

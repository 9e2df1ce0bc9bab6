/* pool delete: as many of the named pools as possible. */
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/ref.h"

#include <stdlib.h>
#include <unistd.h>

enum { OPT_JSON, N_OPTIONS };

/* One name and what became of it. */
struct deletion {
    const char *name;
    struct ref ref;      /* without a path if it could not be resolved */
    plsm_error_t *error; /* NULL: deleted */
};

struct deletions {
    const struct context *context;
    struct deletion *items;
    size_t n_items;
    size_t n_failed;
};

static void deletions_fini_scoped(struct deletions *deletions)
{
    for (size_t i = 0; i < deletions->n_items; i++) {
        ref_fini(&deletions->items[i].ref);
        plsm_error_free(deletions->items[i].error);
    }
    free(deletions->items);
}

static int delete_one(struct deletion *deletion, const char *dir, plsm_error_t **err)
{
    char similar[OPEN_SIMILAR_MAX];

    if (ref_resolve_local(deletion->name, dir, "pool delete", &deletion->ref, err) < 0)
        return -1;
    if (ref_delete(&deletion->ref, err) == 0)
        return 0;
    if ((*err)->kind == PLSM_ERROR_NOT_FOUND)
        error_hint(err, "%sList what there is: `plasmite pool list`.",
            open_similar(&deletion->ref, similar));
    return -1;
}

static void delete_show_json(const struct deletions *deletions, struct text *text)
{
    const char *before = "";

    text_str(text, "{\"deleted\":[");
    for (size_t i = 0; i < deletions->n_items; i++) {
        const struct deletion *item = &deletions->items[i];
        if (item->error != NULL)
            continue;
        text_printf(text, "%s{\"pool\":", before);
        text_json_str(text, item->name);
        text_str(text, ",\"path\":");
        text_json_str(text, item->ref.path);
        text_str(text, "}");
        before = ",";
    }
    text_str(text, "],\"failed\":[");
    before = "";
    for (size_t i = 0; i < deletions->n_items; i++) {
        const struct deletion *item = &deletions->items[i];
        if (item->error == NULL)
            continue;
        text_printf(text, "%s{\"pool\":", before);
        text_json_str(text, item->name);
        text_str(text, ",\"error\":");
        report_error_json(text, item->error);
        text_str(text, "}");
        before = ",";
    }
    text_str(text, "]}");
}

static int delete_show_table(
    const struct deletions *deletions, struct text *text, plsm_error_t **err)
{
    static const char *const names[] = {"NAME", "STATUS", "PATH", "DETAIL"};
    scoped(table_fini) struct table table = {0};
    char *directory = ref_directory(deletions->context->dir);

    if (directory == NULL)
        return error_oom(err);
    table_init(&table, names, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < deletions->n_items; i++) {
        const struct deletion *item = &deletions->items[i];
        const bool has_path = item->ref.path != NULL;
        table_cell(&table, item->name);
        table_cell(&table, item->error == NULL ? "OK" : "ERR");
        table_cell(&table, has_path ? human_short_path(item->ref.path, directory) : "-");
        table_cell(&table, item->error == NULL ? "" : item->error->message);
    }
    table_render(&table, text);
    free(directory);
    return 0;
}

static void delete_show_directory(const struct deletions *deletions, struct text *text)
{
    char *directory = ref_directory(deletions->context->dir);
    if (directory == NULL) {
        text->failed = true;
        return;
    }
    text_str(text, "  directory: ");
    human_directory(text, directory);
    text_str(text, "\n");
    free(directory);
}

static void delete_show_one(const struct deletions *deletions, struct text *text)
{
    const struct deletion *item = &deletions->items[0];
    char similar[OPEN_SIMILAR_MAX];

    if (item->error == NULL) {
        text_str(text, "Deleted pool \"");
        text_printable(text, view_str(item->name));
        text_str(text, "\".\n");
    } else if (item->error->kind == PLSM_ERROR_NOT_FOUND) {
        text_str(text, "Pool \"");
        text_printable(text, view_str(item->name));
        text_str(text, "\" not found. Nothing to delete.\n");
        delete_show_directory(deletions, text);
        text_str(text, "  ");
        text_printable(text, view_str(open_similar(&item->ref, similar)));
        text_str(text, "List pools with `plasmite pool list`.\n");
    } else {
        text_str(text, "Pool \"");
        text_printable(text, view_str(item->name));
        text_printf(text, "\" was not deleted: %s.\n", item->error->message);
    }
}

static void delete_show_people(const struct deletions *deletions, struct text *text)
{
    if (deletions->n_items == 1) {
        delete_show_one(deletions, text);
        return;
    }
    if (deletions->n_failed == 0)
        text_printf(text, "Deleted %zu pools.\n", deletions->n_items);
    else
        text_printf(text, "Deleted %zu of %zu pools.\n", deletions->n_items - deletions->n_failed,
            deletions->n_items);
    for (size_t i = 0; i < deletions->n_items; i++) {
        const struct deletion *item = &deletions->items[i];
        text_str(text, item->error == NULL ? "  ✓ " : "  ✗ ");
        text_printable(text, view_str(item->name));
        if (item->error != NULL)
            text_printf(text, " — %s", item->error->message);
        text_str(text, "\n");
    }
    delete_show_directory(deletions, text);
}

static int delete_show(const struct deletions *deletions, bool json, plsm_error_t **err)
{
    scoped(text_fini) struct text text = {0};
    if (json) {
        delete_show_json(deletions, &text);
        return json_out_document(deletions->context, &text, err);
    }
    if (deletions->context->stdout_tty)
        delete_show_people(deletions, &text);
    else if (delete_show_table(deletions, &text, err) < 0)
        return -1;
    return text_write(&text, STDOUT_FILENO, err);
}

/* Tries all names. Returns the exit code: that of the first failure. */
static int delete_all(struct deletions *deletions, const struct args *args)
{
    int code = 0;
    const char *name;
    size_t at = 0;

    while ((name = args_next(args, ARG_POSITIONAL(0), &at)) != NULL) {
        struct deletion *item = &deletions->items[deletions->n_items++];
        item->name = name;
        if (delete_one(item, deletions->context->dir, &item->error) < 0) {
            deletions->n_failed++;
            code = code == 0 ? item->error->kind : code;
        }
    }
    return code;
}

static int delete_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(deletions_fini) struct deletions deletions = {.context = context};

    deletions.items = calloc(args->positionals[0].count, sizeof(*deletions.items));
    if (deletions.items == NULL)
        return error_oom(err);
    const int code = delete_all(&deletions, args);
    if (delete_show(&deletions, args_has(args, OPT_JSON), err) < 0)
        return -1;
    return code;
}

static const struct option delete_options[N_OPTIONS] = {
    [OPT_JSON] = {.name = "json", .summary = "Print JSON"},
};

static const struct positional delete_positionals[] = {
    {.value = "<NAMES>...",
        .required = true,
        .many = true,
        .kind = ARG_TEXT,
        .summary = "Pool names or paths"},
};

const struct command command_pool_delete = {
    .name = "delete",
    .path = "pool delete",
    .summary = "Delete pools",
    .about = "Delete pools. All names are tried; the exit code is that of the first failure.",
    .examples = "Examples:\n"
                "  plasmite pool delete chat\n"
                "  plasmite pool delete old-1 old-2 --json\n",
    .options = delete_options,
    .n_options = N_OPTIONS,
    .positionals = delete_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .run = delete_run,
};

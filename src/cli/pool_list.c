/* pool list: the pools of the pool directory. */
#include "cli/pool_list.h"

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/pool.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/directory.h"
#include "client/ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_JSON, N_OPTIONS };

static void listing_clear(struct listing *listing)
{
    for (size_t i = 0; i < listing->n_pools; i++) {
        free(listing->pools[i].path);
        free(listing->pools[i].name);
        plsm_error_free(listing->pools[i].error);
    }
    free(listing->pools);
    listing->pools = NULL;
    listing->n_pools = 0;
}

void listing_fini(struct listing *listing)
{
    listing_clear(listing);
    free(listing->directory);
    *listing = (struct listing){0};
}

static int listing_add(struct listing *listing, const char *name)
{
    struct listed *pools =
        reallocarray(listing->pools, listing->n_pools + 1, sizeof(*listing->pools));
    if (pools == NULL)
        return -1;
    listing->pools = pools;
    struct listed *listed = &pools[listing->n_pools];
    *listed = (struct listed){.name = strdup(name)};
    if (listed->name == NULL)
        return -1;
    if (asprintf(&listed->path, "%s/%s" REF_SUFFIX, listing->directory, name) < 0) {
        free(listed->name);
        return -1;
    }
    listing->n_pools++;
    return 0;
}

static void listing_look(struct listing *listing)
{
    for (size_t i = 0; i < listing->n_pools; i++) {
        struct listed *listed = &listing->pools[i];
        struct stat status;
        if (stat(listed->path, &status) == 0 && status.st_mtim.tv_sec >= 0)
            listed->mtime_ns =
                (uint64_t)status.st_mtim.tv_sec * NS_PER_SECOND + (uint64_t)status.st_mtim.tv_nsec;
        if (pool_look(listed->path, &listed->info, &listed->error) < 0)
            listing->n_errors++;
    }
}

int listing_read(struct listing *listing, const char *dir, bool must_exist, plsm_error_t **err)
{
    scoped(buf_fini) struct buf names = {0};

    *listing = (struct listing){.directory = ref_directory(dir)};
    if (listing->directory == NULL)
        return error_oom(err);
    if (directory_names(listing->directory, must_exist, &names, err) < 0)
        return -1;
    for (size_t at = 0; at < names.len;) {
        const char *name = (const char *)names.data + at;
        if (listing_add(listing, name) < 0)
            return error_oom(err);
        at += strlen(name) + 1;
    }
    listing_look(listing);
    return 0;
}

/* The directory itself is the bad entry when it cannot be read. Takes the error. */
static int list_unreadable(struct listing *listing, plsm_error_t *error)
{
    listing_clear(listing); /* names that were read before it failed */
    listing->pools = calloc(1, sizeof(*listing->pools));
    if (listing->directory == NULL || listing->pools == NULL) {
        plsm_error_free(error);
        return -1;
    }
    listing->n_pools = 1;
    listing->n_errors = 1;
    listing->pools[0] = (struct listed){
        .path = strdup(listing->directory), .name = strdup("pools"), .error = error};
    return listing->pools[0].path != NULL && listing->pools[0].name != NULL ? 0 : -1;
}

static void list_mtime(struct text *text, uint64_t mtime_ns, const char *unknown)
{
    if (mtime_ns == 0)
        text_str(text, unknown);
    else
        text_time(text, mtime_ns);
}

static void list_json_entry(struct text *text, const struct listed *listed)
{
    text_str(text, "{\"name\":");
    text_json_str(text, listed->name);
    text_str(text, ",\"path\":");
    text_json_str(text, listed->path);
    if (listed->error != NULL) {
        text_str(text, ",\"error\":{\"error\":");
        report_error_json(text, listed->error);
        text_str(text, "}}");
        return;
    }
    text_printf(text, ",\"file_size\":%llu,", (unsigned long long)listed->info.file_size);
    pool_json_bounds(text, &listed->info);
    text_str(text, listed->mtime_ns == 0 ? ",\"mtime\":null}" : ",\"mtime\":\"");
    if (listed->mtime_ns != 0) {
        text_time(text, listed->mtime_ns);
        text_str(text, "\"}");
    }
}

static void list_show_json(const struct listing *listing, struct text *text)
{
    text_str(text, "{\"pools\":[");
    for (size_t i = 0; i < listing->n_pools; i++) {
        text_str(text, i == 0 ? "" : ",");
        list_json_entry(text, &listing->pools[i]);
    }
    text_str(text, "]}");
}

/* A number in a cell, or "-". */
static void list_cell_number(struct table *table, uint64_t number, bool known)
{
    scoped(text_fini) struct text cell = {0};
    if (known)
        text_u64(&cell, number);
    else
        text_str(&cell, "-");
    table_cell_text(table, &cell);
}

static void list_show_table(const struct listing *listing, struct text *text)
{
    static const char *const names[] = {
        "NAME", "STATUS", "SIZE", "OLDEST", "NEWEST", "MTIME", "PATH", "DETAIL"};
    scoped(table_fini) struct table table = {0};
    scoped(text_fini) struct text cell = {0};

    table_init(&table, names, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < listing->n_pools; i++) {
        const struct listed *listed = &listing->pools[i];
        const bool good = listed->error == NULL;
        const bool known = good && listed->info.n_messages > 0;
        table_cell(&table, listed->name);
        table_cell(&table, good ? "OK" : "ERR");
        list_cell_number(&table, listed->info.file_size, good);
        list_cell_number(&table, listed->info.oldest_seq, known);
        list_cell_number(&table, listed->info.newest_seq, known);
        list_mtime(&cell, listed->mtime_ns, "-");
        table_cell_text(&table, &cell);
        table_cell(&table, human_short_path(listed->path, listing->directory));
        table_cell(&table, good ? "" : listed->error->message);
    }
    table_render(&table, text);
}

static void list_show_people(const struct listing *listing, struct text *text)
{
    static const char *const names[] = {"NAME", "SIZE", "MSGS", "MODIFIED", "PATH"};
    scoped(table_fini) struct table table = {0};
    scoped(text_fini) struct text cell = {0};

    if (listing->n_pools == 0) {
        text_str(text, "No pools found in ");
        human_directory(text, listing->directory);
        text_str(text, "\n\nCreate one with `plasmite pool create <name>`.\n");
        return;
    }
    table_init(&table, names, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < listing->n_pools; i++) {
        const struct listed *listed = &listing->pools[i];
        table_cell(&table, listed->name);
        human_bytes(&cell, listed->info.file_size);
        table_cell_text(&table, &cell);
        list_cell_number(&table, listed->info.n_messages, true);
        if (listed->mtime_ns == 0)
            text_str(&cell, "-");
        else
            human_age(&cell, pool_age_ns(listed->mtime_ns));
        table_cell_text(&table, &cell);
        table_cell(&table, human_short_path(listed->path, listing->directory));
    }
    table_render(&table, text);
}

static int list_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(listing_fini) struct listing listing = {0};
    scoped(text_fini) struct text text = {0};
    plsm_error_t *unreadable = NULL;

    if (listing_read(&listing, context->dir, false, &unreadable) < 0 &&
        list_unreadable(&listing, unreadable) < 0)
        return error_oom(err);
    if (args_has(args, OPT_JSON)) {
        list_show_json(&listing, &text);
        return json_out_document(context, &text, err);
    }
    if (context->stdout_tty && listing.n_errors == 0)
        list_show_people(&listing, &text);
    else
        list_show_table(&listing, &text);
    return text_write(&text, STDOUT_FILENO, err);
}

static const struct option list_options[N_OPTIONS] = {
    [OPT_JSON] = {.name = "json", .summary = "Print JSON"},
};

const struct command command_pool_list = {
    .name = "list",
    .path = "pool list",
    .summary = "List pools in the pool directory",
    .about = "List pools in the pool directory. Pools that cannot be read are listed with the "
             "reason.",
    .examples = "Examples:\n"
                "  plasmite pool list\n"
                "  plasmite --dir /srv/pools pool list --json | jq -r '.pools[].name'\n",
    .options = list_options,
    .n_options = N_OPTIONS,
    .run = list_run,
};

/* pool create: new pool files. */
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/pool.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/ref.h"
#include "client/value.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_SIZE, OPT_INDEX_CAPACITY, OPT_JSON, N_OPTIONS };

/* One pool that was created. */
struct created {
    struct ref ref;
    struct pool_info info;
};

struct creation {
    struct context *context;
    struct pool_create_options options;
    struct created *pools;
    size_t n_pools;
};

static void creation_fini_scoped(struct creation *creation)
{
    for (size_t i = 0; i < creation->n_pools; i++)
        ref_fini(&creation->pools[i].ref);
    free(creation->pools);
}

/* A mapping that several machines share over a network is not coherent. */
static void create_warn_remote(const struct creation *creation, const struct created *created)
{
    scoped(text_fini) struct text details = {0};
    text_str(&details, "{\"pool_path\":");
    text_json_str(&details, created->ref.path);
    text_str(&details, "}");
    if (!details.failed)
        report_notice(creation->context, "network_storage", "pool create", created->ref.text,
            "the pool lies on network storage: use it from one machine only",
            buf_view(&details.buf));
}

static int create_look(const struct creation *creation, struct created *created, plsm_error_t **err)
{
    scoped(pool_close) struct pool *pool = NULL;
    if (open_pool(created->ref.path, POOL_READ, NULL, &pool, err) < 0 ||
        pool_info(pool, &created->info, err) < 0)
        return error_at_path(err, created->ref.path);
    if (pool_is_remote(pool))
        create_warn_remote(creation, created);
    return 0;
}

static int create_one(struct creation *creation, const char *name, plsm_error_t **err)
{
    struct created *created = &creation->pools[creation->n_pools];

    if (ref_resolve_local(name, creation->context->dir, "pool create", &created->ref, err) < 0)
        return -1;
    creation->n_pools++;
    if (ref_make_parents(created->ref.path, err) < 0)
        return -1;
    if (pool_create(created->ref.path, &creation->options, err) < 0) {
        if (err != NULL && *err != NULL && (*err)->kind == PLSM_ERROR_ALREADY_EXISTS)
            report_hint(err,
                "Choose a different name, or remove the pool first: `plasmite pool "
                "delete %s`.",
                name);
        return -1;
    }
    return create_look(creation, created, err);
}

static void create_show_json(const struct creation *creation, struct text *text)
{
    text_str(text, "{\"created\":[");
    for (size_t i = 0; i < creation->n_pools; i++) {
        const struct created *created = &creation->pools[i];
        text_str(text, i == 0 ? "" : ",");
        pool_json(text, created->ref.text, created->ref.path, &created->info);
    }
    text_str(text, "]}");
}

static int create_show_table(const struct creation *creation, struct text *text, plsm_error_t **err)
{
    static const char *const names[] = {"NAME", "SIZE", "INDEX", "PATH"};
    scoped(table_fini) struct table table = {0};
    scoped(text_fini) struct text cell = {0};
    char *directory = ref_directory(creation->context->dir);

    if (directory == NULL)
        return error_oom(err);
    table_init(&table, names, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < creation->n_pools; i++) {
        const struct created *created = &creation->pools[i];
        table_cell(&table, created->ref.text);
        text_u64(&cell, created->info.file_size);
        table_cell_text(&table, &cell);
        text_u64(&cell, created->info.index_capacity * POOL_INDEX_SLOT_BYTES);
        table_cell_text(&table, &cell);
        table_cell(&table, human_short_path(created->ref.path, directory));
    }
    table_render(&table, text);
    free(directory);
    return 0;
}

static void create_show_people(const struct creation *creation, struct text *text)
{
    const struct created *first = &creation->pools[0];
    if (creation->n_pools == 1) {
        text_str(text, "Created ");
        text_printable(text, view_str(first->ref.text));
        text_str(text, " (");
        human_bytes(text, first->info.file_size);
        text_printf(
            text, ", %llu index slots)\n  path: ", (unsigned long long)first->info.index_capacity);
        text_printable(text, view_str(first->ref.path));
        text_str(text, "\n");
        return;
    }
    text_printf(text, "Created %zu pools (", creation->n_pools);
    human_bytes(text, first->info.file_size);
    text_str(text, " each)\n");
    for (size_t i = 0; i < creation->n_pools; i++) {
        text_str(text, "  - ");
        text_printable(text, view_str(creation->pools[i].ref.text));
        text_str(text, " (");
        text_printable(text, view_str(creation->pools[i].ref.path));
        text_str(text, ")\n");
    }
}

static int create_show(const struct creation *creation, bool json, plsm_error_t **err)
{
    scoped(text_fini) struct text text = {0};
    if (json) {
        create_show_json(creation, &text);
        return json_out_document(creation->context, &text, err);
    }
    if (creation->context->stdout_tty)
        create_show_people(creation, &text);
    else if (create_show_table(creation, &text, err) < 0)
        return -1;
    return text_write(&text, STDOUT_FILENO, err);
}

static int create_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(creation_fini) struct creation creation = {.context = context};
    const char *name;
    size_t at = 0;

    creation.options.size_bytes = POOL_SIZE_DEFAULT;
    if (args_has(args, OPT_SIZE) &&
        value_size(args_text(args, OPT_SIZE, NULL), &creation.options.size_bytes, err) < 0)
        return -1;
    if (creation.options.size_bytes == 0) {
        error_set(err, PLSM_ERROR_USAGE, "file_size must exceed header and index size");
        return error_hint(err, "Give a larger --size; the default is 1M.");
    }
    creation.options.index_capacity = args_number(args, OPT_INDEX_CAPACITY, POOL_INDEX_DEFAULT);
    creation.pools = calloc(args->positionals[0].count, sizeof(*creation.pools));
    if (creation.pools == NULL)
        return error_oom(err);
    while ((name = args_next(args, ARG_POSITIONAL(0), &at)) != NULL)
        if (create_one(&creation, name, err) < 0)
            return -1;
    return create_show(&creation, args_has(args, OPT_JSON), err);
}

static const struct option create_options[N_OPTIONS] = {
    [OPT_SIZE] = {.name = "size",
        .kind = ARG_TEXT,
        .value = "SIZE",
        .fallback = "1M",
        .summary = "Size of each pool: 64K, 8M, 1G",
        .details = "Size of each pool file: bytes, or with K, M or G."},
    [OPT_INDEX_CAPACITY] = {.name = "index-capacity",
        .kind = ARG_U32,
        .value = "INDEX_CAPACITY",
        .summary = "Number of index slots; 0: no index",
        .details = "Number of index slots. A slot has 16 bytes; together they take at most half "
                   "the pool. The default is one for each 256 bytes of the file. 0: no index."},
    [OPT_JSON] = {.name = "json", .summary = "Print JSON"},
};

static const struct positional create_positionals[] = {
    {.value = "<NAMES>...",
        .required = true,
        .many = true,
        .kind = ARG_TEXT,
        .summary = "Pool names or paths"},
};

const struct command command_pool_create = {
    .name = "create",
    .path = "pool create",
    .summary = "Create pools",
    .about = "Create pools, and the pool directory if it does not exist. A pool keeps its size: "
             "when it is full, the oldest messages are overwritten.",
    .notes = "The index, 16 bytes a slot, takes at most half the pool.\n",
    .examples = "Examples:\n"
                "  plasmite pool create chat\n"
                "  plasmite pool create syslog metrics --size 64M\n",
    .options = create_options,
    .n_options = N_OPTIONS,
    .positionals = create_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .run = create_run,
};

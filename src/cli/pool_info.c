/* pool info: one pool in detail. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/pool.h"
#include "cli/pool_rate.h"
#include "cli/terminal.h"
#include "client/ref.h"

#include <unistd.h>

enum { OPT_JSON, N_OPTIONS };

/* Characters of the picture. */
#define BAR_MIN ((size_t)10)
#define BAR_MAX ((size_t)40)

static void info_time(struct text *text, const char *label, uint64_t time_ns, bool known)
{
    text_str(text, label);
    if (known) {
        text_time_seconds(text, time_ns);
        text_str(text, " (");
        human_age(text, pool_age_ns(time_ns));
        text_str(text, ")\n");
    } else {
        text_str(text, "-\n");
    }
}

/* The form for scripts that read lines. */
static void info_show_lines(const struct ref *ref, const struct pool_info *info, struct text *text)
{
    const bool known = info->n_messages > 0;
    const uint64_t used = pool_used_hundredths(info);

    text_printf(text, "Pool: %s\nPath: %s\n", ref->text, ref->path);
    text_printf(text,
        "Size: %llu bytes (index: offset=%llu slots=%llu bytes=%llu, ring: offset=%llu "
        "size=%llu)\n",
        (unsigned long long)info->file_size, (unsigned long long)info->index_offset,
        (unsigned long long)info->index_capacity,
        (unsigned long long)info->index_capacity * POOL_INDEX_SLOT_BYTES,
        (unsigned long long)info->ring_offset, (unsigned long long)info->ring_size);
    if (known)
        text_printf(text, "Bounds: oldest=%llu newest=%llu count=%llu\n",
            (unsigned long long)info->oldest_seq, (unsigned long long)info->newest_seq,
            (unsigned long long)info->n_messages);
    else
        text_str(text, "Bounds: oldest=- newest=- count=0\n");
    text_printf(text, "Utilization: used=%lluB free=%lluB (%llu.%02u%%)\n",
        (unsigned long long)info->used_bytes,
        (unsigned long long)(info->ring_size - info->used_bytes), (unsigned long long)(used / 100),
        (unsigned)(used % 100));
    info_time(text, "Oldest: ", info->oldest_time_ns, known);
    info_time(text, "Newest: ", info->newest_time_ns, known);
}

static void info_age(struct text *text, const char *label, uint64_t time_ns, bool known)
{
    text_str(text, label);
    if (known) {
        human_age(text, pool_age_ns(time_ns));
        text_str(text, " (");
        text_time_seconds(text, time_ns);
        text_str(text, ")\n");
    } else {
        text_str(text, "—\n");
    }
}

/* A picture of how full the ring is, as wide as the terminal allows. */
static void info_fill(const struct pool_info *info, struct text *text)
{
    static const size_t around = sizeof("  fill:      [] 100%");
    const size_t columns = terminal_columns(STDOUT_FILENO);
    size_t width = columns < around + BAR_MIN ? BAR_MIN : columns - around;
    width = width > BAR_MAX ? BAR_MAX : width;

    const double part = (double)info->used_bytes / (double)info->ring_size;
    text_str(text, "  fill:      ");
    pool_bar(text, part, width, terminal_is_utf8());
    text_printf(text, " %u%%\n", (unsigned)(part * 100));
}

/* The form for a terminal. */
static void info_show_people(const struct ref *ref, const struct pool_info *info,
    const struct pool_rate *rate, struct text *text)
{
    const bool known = info->n_messages > 0;
    const uint64_t used = pool_used_hundredths(info);

    text_printable(text, view_str(ref->text));
    text_str(text, "\n  path:      ");
    text_printable(text, view_str(ref->path));
    text_str(text, "\n  size:      ");
    human_bytes(text, info->file_size);
    text_str(text, " (");
    human_bytes(text, info->used_bytes);
    text_printf(text, " used, %llu.%02u%%)\n  messages:  ", (unsigned long long)(used / 100),
        (unsigned)(used % 100));
    if (known)
        text_printf(text, "%llu (seq %llu..%llu)\n", (unsigned long long)info->n_messages,
            (unsigned long long)info->oldest_seq, (unsigned long long)info->newest_seq);
    else
        text_str(text, "empty\n");
    info_age(text, "  oldest:    ", info->oldest_time_ns, known);
    info_age(text, "  newest:    ", info->newest_time_ns, known);
    text_printf(text, "  index:     %llu slots (", (unsigned long long)info->index_capacity);
    human_bytes(text, info->index_capacity * POOL_INDEX_SLOT_BYTES);
    text_str(text, ")\n  ring:      ");
    human_bytes(text, info->ring_size);
    text_str(text, "\n");
    info_fill(info, text);
    text_str(text, "  rate:      ");
    pool_rate_text(text, rate);
    text_str(text, "\n");
}

/* A missing pool is told without path and cause here: the name is all that was asked for. */
static int info_missing(const struct context *context, const struct ref *ref, plsm_error_t **err)
{
    if (err == NULL || *err == NULL || (*err)->kind != PLSM_ERROR_NOT_FOUND)
        return -1;
    plsm_error_free(*err); /* said again */
    error_set(err, PLSM_ERROR_NOT_FOUND, "not found");
    return open_hint_create(context, ref, err);
}

static int info_look(const struct context *context, const struct ref *ref,
    struct pool_info *out_info, struct pool_rate *out_rate, plsm_error_t **err)
{
    scoped(pool_close) struct pool *pool = NULL;

    if (open_pool(ref->path, POOL_READ, NULL, &pool, err) < 0)
        return info_missing(context, ref, err);
    if (pool_info(pool, out_info, err) < 0)
        return error_at_path(err, ref->path);
    if (context->stdout_tty)
        pool_rate(pool, out_info, clock_wall_ns(), out_rate);
    return 0;
}

static int info_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(ref_fini) struct ref ref = {0};
    scoped(text_fini) struct text text = {0};
    struct pool_info info = {.n_messages = 0};
    struct pool_rate rate = {.known = false};

    if (ref_resolve_local(args->positionals[0].text, context->dir, "pool info", &ref, err) < 0)
        return -1;
    if (info_look(context, &ref, &info, &rate, err) < 0)
        return -1;
    if (args_has(args, OPT_JSON)) {
        pool_json(&text, ref.text, ref.path, &info);
        return json_out_document(context, &text, err);
    }
    if (context->stdout_tty)
        info_show_people(&ref, &info, &rate, &text);
    else
        info_show_lines(&ref, &info, &text);
    return text_write(&text, STDOUT_FILENO, err);
}

static const struct option info_options[N_OPTIONS] = {
    [OPT_JSON] = {.name = "json", .summary = "Print JSON"},
};

static const struct positional info_positionals[] = {
    {.value = "<NAME>", .required = true, .kind = ARG_TEXT, .summary = "Pool name or path"},
};

const struct command command_pool_info = {
    .name = "info",
    .path = "pool info",
    .summary = "Show a pool's size, bounds and use",
    .examples = "Examples:\n"
                "  plasmite pool info chat\n"
                "  plasmite pool info chat --json | jq .bounds\n",
    .options = info_options,
    .n_options = N_OPTIONS,
    .positionals = info_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .run = info_run,
};

/* pool: the group of commands, and what they share. */
#include "cli/pool.h"

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/open.h"

int pool_look(const char *path, struct pool_info *out_info, plsm_error_t **err)
{
    scoped(pool_close) struct pool *pool = NULL;
    if (open_pool(path, POOL_READ, NULL, &pool, err) < 0)
        return -1;
    if (pool_info(pool, out_info, err) < 0)
        return error_at_path(err, path);
    return 0;
}

uint64_t pool_age_ns(uint64_t time_ns)
{
    const uint64_t now_ns = clock_wall_ns();
    return now_ns > time_ns ? now_ns - time_ns : 0;
}

uint64_t pool_used_hundredths(const struct pool_info *info)
{
    /* as doubles: a ring of terabytes times ten thousand would not fit */
    return (uint64_t)((double)info->used_bytes * 10000.0 / (double)info->ring_size);
}

void pool_json_bounds(struct text *text, const struct pool_info *info)
{
    text_str(text, "\"bounds\":{");
    if (info->n_messages > 0)
        text_printf(text, "\"oldest\":%llu,\"newest\":%llu", (unsigned long long)info->oldest_seq,
            (unsigned long long)info->newest_seq);
    text_str(text, "}");
}

static void pool_json_age(struct text *text, const char *which, uint64_t time_ns, bool known)
{
    text_printf(text, "\"%s_time\":", which);
    if (known) {
        text_str(text, "\"");
        text_time(text, time_ns);
        text_printf(text, "\",\"%s_age_ms\":%llu", which,
            (unsigned long long)(pool_age_ns(time_ns) / NS_PER_MS));
    } else {
        text_printf(text, "null,\"%s_age_ms\":null", which);
    }
}

static void pool_json_metrics(struct text *text, const struct pool_info *info)
{
    const unsigned long long n = info->n_messages;
    const uint64_t used = pool_used_hundredths(info);
    const unsigned fraction = (unsigned)(used % 100);

    text_printf(text, "\"metrics\":{\"message_count\":%llu,\"seq_span\":%llu", n, n);
    text_printf(text,
        ",\"utilization\":{\"used_bytes\":%llu,\"free_bytes\":%llu,\"used_percent\":%llu.",
        (unsigned long long)info->used_bytes,
        (unsigned long long)(info->ring_size - info->used_bytes), (unsigned long long)(used / 100));
    text_printf(
        text, fraction % 10 == 0 ? "%u" : "%02u", fraction % 10 == 0 ? fraction / 10 : fraction);
    text_str(text, "},\"age\":{");
    pool_json_age(text, "oldest", info->oldest_time_ns, n > 0);
    text_str(text, ",");
    pool_json_age(text, "newest", info->newest_time_ns, n > 0);
    text_str(text, "}}");
}

void pool_json(struct text *text, const char *name, const char *path, const struct pool_info *info)
{
    text_str(text, "{\"name\":");
    text_json_str(text, name);
    text_str(text, ",\"path\":");
    text_json_str(text, path);
    text_printf(text,
        ",\"file_size\":%llu,\"index_offset\":%llu,\"index_capacity\":%llu,"
        "\"index_size_bytes\":%llu,\"ring_offset\":%llu,\"ring_size\":%llu,",
        (unsigned long long)info->file_size, (unsigned long long)info->index_offset,
        (unsigned long long)info->index_capacity,
        (unsigned long long)info->index_capacity * POOL_INDEX_SLOT_BYTES,
        (unsigned long long)info->ring_offset, (unsigned long long)info->ring_size);
    pool_json_bounds(text, info);
    text_str(text, ",");
    pool_json_metrics(text, info);
    text_str(text, "}");
}

static const struct command *const pool_children[] = {
    &command_pool_create,
    &command_pool_info,
    &command_pool_delete,
    &command_pool_list,
    &command_pool_import,
    NULL,
};

const struct command command_pool = {
    .name = "pool",
    .path = "pool",
    .summary = "Manage pool files",
    .about = "Manage pool files: create, inspect, list and delete pools.",
    .children = pool_children,
    .help_when_empty = true,
    .examples = "Examples:\n"
                "  plasmite pool create chat\n"
                "  plasmite pool create syslog --size 64M\n"
                "  plasmite pool info chat --json | jq .metrics\n"
                "  plasmite pool list\n",
};

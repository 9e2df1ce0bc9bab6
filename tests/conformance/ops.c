/* The operations of manifests. */
#include "tests/conformance/expect.h"
#include "tests/conformance/fields.h"
#include "tests/conformance/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_IDLE_MS 500u /* a tail ends when nothing came for so long */

static int op_create_pool(struct run *run, const struct step *step)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    uint64_t size_bytes = 1048576;
    if (field_u64(run, step->input, "size_bytes", &size_bytes) < 0)
        return -1;
    return plsm_pool_create(run->client, step->pool, size_bytes, &pool, &run->failure);
}

static int op_append(struct run *run, const struct step *step)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    scoped(plsm_buf_free) plsm_buf_t text = {0};
    scoped(tags_fini) struct tags tags = {0};
    struct message message;
    struct json_value data;

    if (!field(step->input, "data", &data))
        return unmet(run, "input.data is required");
    if (tags_read(run, step->input, &tags) < 0)
        return -1;
    if (plsm_pool_open(run->client, step->pool, &pool, &run->failure) < 0)
        return -1;
    if (plsm_pool_append_json(pool, data.text.data, data.text.len, tags.items, tags.n, PLSM_FAST,
            &text, &run->failure) < 0)
        return -1;
    if (message_read(run, &text, &message) < 0)
        return -1;
    return expect_number(run, step->expect, "seq", true, message.seq);
}

static int op_get(struct run *run, const struct step *step)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    scoped(plsm_buf_free) plsm_buf_t text = {0};
    struct message message;
    uint64_t seq = 0;

    const int has_seq = field_u64(run, step->input, "seq", &seq);
    if (has_seq < 0)
        return -1;
    if (!has_seq)
        return unmet(run, "input.seq is required");
    if (plsm_pool_open(run->client, step->pool, &pool, &run->failure) < 0 ||
        plsm_pool_get_json(pool, seq, &text, &run->failure) < 0)
        return -1;
    if (message_read(run, &text, &message) < 0)
        return -1;
    if (message.seq != seq)
        return unmet(run, "get %" PRIu64 " gave message %" PRIu64, seq, message.seq);
    return expect_message(run, &message, step->expect);
}

static int tail_open(struct run *run, const struct step *step, plsm_stream_t **out_stream)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    plsm_stream_options_t options = {.struct_size = sizeof(options)};
    const int has_since = field_u64(run, step->input, "since_seq", &options.since_seq);
    const int has_max = field_u64(run, step->input, "max", &options.max_messages);
    if (has_since < 0 || has_max < 0)
        return -1;
    options.has_since = has_since > 0;
    options.has_max = has_max > 0;
    if (plsm_pool_open(run->client, step->pool, &pool, &run->failure) < 0 ||
        plsm_stream_open_ex(pool, &options, out_stream, &run->failure) < 0)
        return -1;
    return plsm_stream_idle_timeout(*out_stream, TAIL_IDLE_MS, &run->failure);
}

static int op_tail(struct run *run, const struct step *step)
{
    scoped(plsm_stream_free) plsm_stream_t *stream = NULL;
    scoped(expected_fini) struct expected expected = {0};
    struct json_value error;

    const bool fails = field(step->expect, "error", &error);
    if (!fails && expected_begin(run, step->expect, &expected) < 0)
        return -1;
    if (tail_open(run, step, &stream) < 0)
        return -1;
    while (true) {
        scoped(plsm_buf_free) plsm_buf_t text = {0};
        struct message message;
        const int r = plsm_stream_next(stream, &text, &run->failure);
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        if (message_read(run, &text, &message) < 0)
            return -1;
        if (!fails && expected_next(run, &expected, &message) < 0)
            return -1;
    }
    return fails ? 0 : expected_end(run, &expected);
}

static bool list_has(struct view names, const char *name)
{
    struct json_walk walk = json_walk(names);
    struct json_value item;
    while (json_next_element(&walk, &item)) {
        if (item.kind == JSON_STRING && json_string_is(item, view_str(name)))
            return true;
    }
    return false;
}

static int op_list_pools(struct run *run, const struct step *step)
{
    scoped(plsm_buf_free) plsm_buf_t names = {0};
    struct json_value wanted;
    size_t n = 0;
    if (plsm_pool_list(run->client, &names, &run->failure) < 0)
        return -1;
    if (!field(step->expect, "names", &wanted))
        return 0;
    if (wanted.kind != JSON_ARRAY)
        return unmet(run, "names is not an array");
    /* No two pools have the same name: if each is wanted and the counts agree, all are there. */
    for (size_t at = 0; at < names.len; n++) {
        const char *name = (const char *)names.data + at;
        if (!list_has(wanted.text, name))
            return unmet(run, "pool %s is not expected", name);
        at += strlen(name) + 1;
    }
    if (n != json_count(wanted.text))
        return unmet(run, "expected %zu pools, got %zu", json_count(wanted.text), n);
    return 0;
}

static int op_pool_info(struct run *run, const struct step *step)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    plsm_pool_info_t info = {.struct_size = sizeof(info)};
    struct view bounds;
    if (field_object(run, step->expect, "bounds", &bounds) < 0)
        return -1;
    if (plsm_pool_open(run->client, step->pool, &pool, &run->failure) < 0 ||
        plsm_pool_info(pool, &info, &run->failure) < 0)
        return -1;
    const bool filled = info.n_messages > 0;
    if (expect_number(run, step->expect, "file_size", true, info.file_size) < 0 ||
        expect_number(run, step->expect, "ring_size", true, info.ring_size) < 0 ||
        expect_number(run, bounds, "oldest", filled, info.oldest_seq) < 0 ||
        expect_number(run, bounds, "newest", filled, info.newest_seq) < 0)
        return -1;
    return 0;
}

static int op_delete_pool(struct run *run, const struct step *step)
{
    return plsm_pool_delete(run->client, step->pool, &run->failure);
}

/* In place: whoever has the pool mapped sees the file shrink. */
static int op_corrupt_pool_header(struct run *run, const struct step *step)
{
    scoped(buf_fini) struct buf path = {0};
    const int named = strchr(step->pool, '/') != NULL
                          ? buf_append_str(&path, step->pool)
                          : buf_appendf(&path, "%s/%s.plasmite", run->workdir, step->pool);
    if (named < 0 || buf_append(&path, "", 1) < 0)
        return unmet(run, "out of memory");

    const int fd = open((const char *)path.data, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return unmet(run, "cannot open %s: %s", (const char *)path.data, strerror(errno));
    const ssize_t n = write(fd, "NOPE", 4);
    close(fd);
    return n == 4 ? 0 : unmet(run, "cannot write %s", (const char *)path.data);
}

static int op_chmod_path(struct run *run, const struct step *step)
{
    scoped(text_free) char *path = NULL;
    scoped(text_free) char *mode = NULL;
    char *end = NULL;
    if (field_text(run, step->input, "path", &path) < 0 ||
        field_text(run, step->input, "mode", &mode) < 0)
        return -1;
    if (path == NULL || mode == NULL)
        return unmet(run, "input.path and input.mode are required");
    const unsigned long bits = strtoul(mode, &end, 8);
    if (*mode < '0' || *mode > '7' || *end != '\0' || bits > 07777)
        return unmet(run, "mode is not octal: %s", mode);
    if (chmod(path, (mode_t)bits) < 0)
        return unmet(run, "chmod %s: %s", path, strerror(errno));
    return 0;
}

static const struct op {
    const char *name;
    int (*run)(struct run *run, const struct step *step);
    bool has_pool;
} ops[] = {
    {"create_pool", op_create_pool, true},
    {"append", op_append, true},
    {"get", op_get, true},
    {"fetch", op_get, true},
    {"tail", op_tail, true},
    {"retention_gap", op_retention_gap, true},
    {"list_pools", op_list_pools, false},
    {"pool_info", op_pool_info, true},
    {"delete_pool", op_delete_pool, true},
    {"spawn_poke", op_spawn_poke, true},
    {"corrupt_pool_header", op_corrupt_pool_header, true},
    {"chmod_path", op_chmod_path, false},
};

int op_run(struct run *run, const char *name, const struct step *step)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        if (strcmp(ops[i].name, name) != 0)
            continue;
        if (ops[i].has_pool && step->pool == NULL)
            return unmet(run, "%s needs a pool", name);
        return ops[i].run(run, step);
    }
    return unmet(run, "unknown op: %s", name);
}

#include "bridge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int bridge_has(enum bridge_addition addition)
{
    switch (addition) {
    case BRIDGE_APPEND_BATCH: return plsm_pool_append_batch != NULL;
    case BRIDGE_CANCEL: return plsm_stream_cancel != NULL;
    case BRIDGE_DELETE: return plsm_pool_delete != NULL;
    case BRIDGE_FD: return plsm_stream_fd != NULL;
    case BRIDGE_FILTER: return plsm_stream_filter != NULL;
    case BRIDGE_FLUSH: return plsm_pool_flush != NULL;
    case BRIDGE_GUARD: return plsm_guard_install != NULL;
    case BRIDGE_INFO: return plsm_pool_info != NULL;
    case BRIDGE_LIST: return plsm_pool_list != NULL;
    case BRIDGE_LITE3_BASE: return plsm_lite3_stream_base != NULL;
    case BRIDGE_NEXT_BATCH: return plsm_stream_next_batch != NULL;
    case BRIDGE_OPEN_EX: return plsm_pool_open_ex != NULL;
    case BRIDGE_PATH: return plsm_pool_path != NULL;
    case BRIDGE_REQUIRE_TAGS: return plsm_stream_require_tags != NULL;
    case BRIDGE_SEEK_LAST: return plsm_stream_seek_last != NULL;
    case BRIDGE_SEEK_TIME: return plsm_stream_seek_time != NULL;
    case BRIDGE_VERIFY: return plsm_pool_verify != NULL;
    case BRIDGE_VERSION: return plsm_version != NULL;
    case BRIDGE_WAIT: return plsm_stream_wait != NULL;
    }
    return 0;
}

void bridge_free(plsm_buf_t rest)
{
    plsm_buf_free(&rest);
}

const char *bridge_hint(const plsm_error_t *err)
{
    const char *hint = plsm_error_hint != NULL ? plsm_error_hint(err) : NULL;
    return hint != NULL ? hint : "";
}

/* Hands the bytes of a call that succeeded over: into the caller's room, or as they are. */
static void bridge_give(struct bridge_result *result, plsm_buf_t bytes, uint8_t *out, size_t room)
{
    result->len = bytes.len;
    if (bytes.len > room) {
        result->rest = bytes;
        return;
    }
    if (bytes.len > 0)
        memcpy(out, bytes.data, bytes.len);
    plsm_buf_free(&bytes);
}

/* Tags ----------------------------------------------------------------------------------------- */

/* Pointers to texts that lie one behind the other; most messages have few. */
struct tag_list {
    const char *few[16];
    const char **tags;
};

static int tag_list_init(struct tag_list *list, const char *texts, size_t n)
{
    const size_t n_few = sizeof(list->few) / sizeof(list->few[0]);

    list->tags = n <= n_few ? list->few : malloc(n * sizeof(*list->tags));
    if (list->tags == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        list->tags[i] = texts;
        texts += strlen(texts) + 1;
    }
    return 0;
}

static void tag_list_fini(struct tag_list *list)
{
    if (list->tags != list->few)
        free(list->tags);
}

/* Appending ------------------------------------------------------------------------------------ */

struct bridge_result bridge_append(plsm_pool_t *pool, const uint8_t *json, size_t json_len,
    const char *tags, size_t n_tags, uint32_t durability, uint8_t *out, size_t room)
{
    struct bridge_result result = {.status = -1};
    struct tag_list list;
    plsm_buf_t message;

    if (tag_list_init(&list, tags, n_tags) < 0)
        return result;
    result.status = plsm_pool_append_json(
        pool, json, json_len, list.tags, n_tags, durability, &message, &result.err);
    tag_list_fini(&list);
    if (result.status == 0)
        bridge_give(&result, message, out, room);
    return result;
}

/* Fills the inputs; all_tags has room for every tag of all of them. */
static void bridge_inputs(plsm_input_t *inputs, const uint8_t *texts, const size_t *lens, size_t n,
    const char **all_tags, const uint32_t *tag_counts, const uint64_t *times_ns)
{
    for (size_t i = 0; i < n; i++) {
        inputs[i] = (plsm_input_t){.json = texts, .json_len = lens[i]};
        texts += lens[i];
        if (tag_counts != NULL) {
            inputs[i].tags = all_tags;
            inputs[i].tags_len = tag_counts[i];
            all_tags += tag_counts[i];
        }
        if (times_ns != NULL)
            inputs[i].time_ns = times_ns[i];
    }
}

struct bridge_result bridge_append_batch(plsm_pool_t *pool, const uint8_t *texts,
    const size_t *lens, size_t n, const char *tags, const uint32_t *tag_counts,
    const uint64_t *times_ns, uint32_t durability)
{
    struct bridge_result result = {.status = -1};
    struct tag_list list;
    size_t n_tags = 0;

    for (size_t i = 0; tag_counts != NULL && i < n; i++)
        n_tags += tag_counts[i];
    plsm_input_t *inputs = malloc(n * sizeof(*inputs));
    if (inputs == NULL)
        return result;
    if (tag_list_init(&list, tags, n_tags) == 0) {
        bridge_inputs(inputs, texts, lens, n, list.tags, tag_counts, times_ns);
        result.status =
            plsm_pool_append_batch(pool, inputs, n, durability, &result.number, &result.err);
        tag_list_fini(&list);
    }
    free(inputs);
    return result;
}

/* Reading -------------------------------------------------------------------------------------- */

struct bridge_result bridge_get(plsm_pool_t *pool, uint64_t seq, uint8_t *out, size_t room)
{
    struct bridge_result result = {0};
    plsm_buf_t message;

    result.status = plsm_pool_get_json(pool, seq, &message, &result.err);
    if (result.status == 0)
        bridge_give(&result, message, out, room);
    return result;
}

/* Whether a call with this patience finds something: a message, the end, or an error. */
static int bridge_is_ready(plsm_stream_t *stream, int patience_ms)
{
    return patience_ms == BRIDGE_FOR_GOOD ||
           plsm_stream_wait(stream, (uint64_t)patience_ms, NULL) != 0;
}

struct bridge_result bridge_next(plsm_stream_t *stream, int patience_ms, uint8_t *out, size_t room)
{
    struct bridge_result result = {.status = BRIDGE_NOT_YET, .n_messages = 1};
    plsm_buf_t message;

    if (!bridge_is_ready(stream, patience_ms))
        return result;
    result.status = plsm_stream_next(stream, &message, &result.err);
    if (result.status == 1)
        bridge_give(&result, message, out, room);
    return result;
}

struct bridge_result bridge_next_batch(
    plsm_stream_t *stream, int patience_ms, size_t max_messages, uint8_t *out, size_t room)
{
    struct bridge_result result = {.status = BRIDGE_NOT_YET};
    plsm_buf_t lines;

    if (!bridge_is_ready(stream, patience_ms))
        return result;
    result.status =
        plsm_stream_next_batch(stream, max_messages, &lines, &result.n_messages, &result.err);
    if (result.status == 1)
        bridge_give(&result, lines, out, room);
    return result;
}

int bridge_next_lite3(
    plsm_lite3_stream_t *stream, int patience_ms, plsm_lite3_frame_t *out_frame, plsm_error_t **err)
{
    if (patience_ms != BRIDGE_FOR_GOOD &&
        !bridge_is_ready(plsm_lite3_stream_base(stream), patience_ms))
        return BRIDGE_NOT_YET;
    return plsm_lite3_stream_next(stream, out_frame, err);
}

int bridge_descriptor(plsm_stream_t *stream)
{
    int fd;

    /* another number of the same, so that whoever waits may close it when he likes */
    return plsm_stream_fd(stream, &fd, NULL) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
}

plsm_error_t *bridge_require_tags(plsm_stream_t *stream, const char *tags, size_t n_tags)
{
    struct tag_list list;
    plsm_error_t *err = NULL;

    if (tag_list_init(&list, tags, n_tags) < 0)
        return NULL; /* then only the caller's own filter counts */
    plsm_stream_require_tags(stream, list.tags, n_tags, &err);
    tag_list_fini(&list);
    return err;
}

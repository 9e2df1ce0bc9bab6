/* Appending: JSON is checked and compacted, tags become a JSON array, the engine stores both. */
#include "abi/abi.h"

#include "base/limits.h"
#include "client/envelope.h"
#include "client/open.h"
#include "json/json.h"
#include "json/write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Texts that take no more need no allocation. */
#define DRAFT_SCRATCH 2048

/* Messages on their way into the pool, with the bytes that they refer to. */
struct draft {
    struct message *messages;
    struct message single; /* where messages points if there is but one */
    uint8_t *scratch;      /* the caller's DRAFT_SCRATCH bytes */
    uint8_t *data;         /* where the compact texts are: in scratch, if they fit */
    size_t data_len;
    struct buf tags;
    size_t input; /* which one an error speaks of */
    bool is_batch;
};

static void draft_fini(struct draft *draft)
{
    if (draft->messages != &draft->single)
        free(draft->messages);
    if (draft->data != draft->scratch)
        free(draft->data);
    buf_fini(&draft->tags);
}

static void draft_fini_scoped(struct draft *draft)
{
    draft_fini(draft);
}

static int draft_refuse(const struct draft *draft, const char *why, plsm_error_t **err)
{
    if (draft->is_batch)
        return error_set(err, PLSM_ERROR_USAGE, "inputs[%zu]: %s", draft->input, why);
    return error_set(err, PLSM_ERROR_USAGE, "%s", why);
}

static int draft_invalid_json(
    const struct draft *draft, struct view json, const struct json_error *fault, plsm_error_t **err)
{
    if (!json_is_utf8(json))
        return draft_refuse(draft, "invalid json utf-8", err);
    draft_refuse(draft, "invalid json", err);
    return error_hint(err, "Line %zu, column %zu: %s%s%s%s%s.", fault->line, fault->column,
        fault->problem, fault->expected != NULL ? ", expected " : "",
        fault->expected != NULL ? fault->expected : "", fault->hint != NULL ? "; " : "",
        fault->hint != NULL ? fault->hint : "");
}

/* Writes an input's tags as a JSON array; nothing where there are none. */
static int draft_add_tags(struct draft *draft, const plsm_input_t *input, plsm_error_t **err)
{
    struct buf *tags = &draft->tags;
    const size_t start = tags->len;
    const size_t n_tags = input->tags == NULL ? 0 : input->tags_len;

    for (size_t i = 0; i < n_tags; i++) {
        if (input->tags[i] == NULL)
            return draft_refuse(draft, "tags contains null", err);
        const struct view tag = view_str(input->tags[i]);
        if (!json_is_utf8(tag))
            return draft_refuse(draft, "tags invalid UTF-8", err);
        if (buf_append_str(tags, i == 0 ? "[" : ",") < 0 || json_quote(tags, tag) < 0)
            return error_oom(err);
        if (tags->len - start >= LIMIT_TAGS_BYTES)
            return draft_refuse(draft, "tags exceed 65535 bytes", err);
    }
    return n_tags > 0 && buf_append_str(tags, "]") < 0 ? error_oom(err) : 0;
}

/* Checks an input, in the order that callers rely on, and fills the message with its lengths. */
static int draft_add(struct draft *draft, struct message *message, const plsm_input_t *input,
    uint32_t durability, plsm_error_t **err)
{
    const struct view json = view_of(input->json, input->json_len);
    uint8_t *compact = draft->data + draft->data_len;
    const size_t tags_start = draft->tags.len;
    struct json_error fault;
    size_t len;

    if (input->json == NULL)
        return draft_refuse(draft, "json_bytes is null", err);
    if (!json_compact(json.data, json.len, compact, &len, &fault))
        return draft_invalid_json(draft, json, &fault, err);
    if (draft_add_tags(draft, input, err) < 0)
        return -1;
    if (durability != PLSM_FAST && durability != PLSM_FLUSH)
        return draft_refuse(draft, "invalid durability", err);
    if (!json_is_object(view_of(compact, len)))
        return draft_refuse(draft, "data must be object", err);
    *message = (struct message){
        .tags = {.len = draft->tags.len - tags_start},
        .data = view_of(compact, len),
        .time_ns = input->time_ns,
    };
    draft->data_len += len;
    return 0;
}

/* Room for all compact texts: none is longer than what it was made of. */
static int draft_allocate(
    struct draft *draft, const plsm_input_t *inputs, size_t n_inputs, plsm_error_t **err)
{
    size_t room = JSON_SLACK;

    for (size_t i = 0; i < n_inputs; i++) {
        const size_t len = inputs[i].json == NULL ? 0 : inputs[i].json_len;
        if (__builtin_add_overflow(room, len, &room))
            return error_oom(err);
    }
    draft->data = room <= DRAFT_SCRATCH ? draft->scratch : malloc(room);
    draft->messages = n_inputs == 1 ? &draft->single : calloc(n_inputs, sizeof(*draft->messages));
    return draft->data == NULL || draft->messages == NULL ? error_oom(err) : 0;
}

static int draft_fill(struct draft *draft, const plsm_input_t *inputs, size_t n_inputs,
    uint32_t durability, plsm_error_t **err)
{
    if (draft_allocate(draft, inputs, n_inputs, err) < 0)
        return -1;
    draft->is_batch = n_inputs > 1;
    for (size_t i = 0; i < n_inputs; i++) {
        draft->input = i;
        if (draft_add(draft, &draft->messages[i], &inputs[i], durability, err) < 0)
            return -1;
    }
    /* the buffer of tags moves no more */
    const uint8_t *tags = draft->tags.data;
    for (size_t i = 0; i < n_inputs; i++) {
        struct message *message = &draft->messages[i];
        if (message->tags.len > 0) {
            message->tags.data = tags;
            tags += message->tags.len;
        }
    }
    return 0;
}

int abi_append(plsm_pool_t *pool, const struct message *messages, size_t n_messages,
    uint32_t durability, struct appended *out_appended, plsm_error_t **err)
{
    if (pool->read_only)
        return abi_read_only(pool, err);
    int r = pool_append(pool->pool, messages, n_messages, out_appended, err);
    if (r == POOL_BUSY)
        return open_busy(pool_path(pool->pool), err);
    if (r < 0 || durability != PLSM_FLUSH)
        return r;
    r = pool_flush_to(pool->pool, out_appended->end_pos, err);
    if (r != POOL_OK)
        return open_not_flushed(r, pool_path(pool->pool), out_appended->first_seq, err);
    return 0;
}

/* Nobody takes the message. That it is too large would be said before. */
static int append_unheard(
    const plsm_pool_t *pool, const struct message *message, plsm_error_t **err)
{
    if (message_footprint(message) > pool_ring_size(pool->pool))
        return error_set(err, PLSM_ERROR_USAGE, "payload exceeds ring capacity");
    return abi_null(err, "out_message");
}

int plsm_pool_append_json(plsm_pool_t *pool, const uint8_t *json, size_t json_len,
    const char **tags, size_t tags_len, uint32_t durability, plsm_buf_t *out_message,
    plsm_error_t **out_err)
{
    const plsm_input_t input = {
        .json = json, .json_len = json_len, .tags = tags, .tags_len = tags_len};
    uint8_t scratch[DRAFT_SCRATCH];
    scoped(draft_fini) struct draft draft = {.scratch = scratch};
    struct envelope envelope = {0};
    struct appended appended = {0};

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (draft_fill(&draft, &input, 1, durability, out_err) < 0)
        return -1;
    if (out_message == NULL) /* before anything is stored */
        return append_unheard(pool, &draft.single, out_err);

    struct frame frame = {.tags = draft.single.tags, .data = draft.single.data};
    uint8_t *text = malloc(envelope_size(&frame));
    if (text == NULL)
        return error_oom(out_err);
    if (abi_append(pool, draft.messages, 1, durability, &appended, out_err) < 0) {
        free(text);
        return -1;
    }
    frame.seq = appended.first_seq;
    frame.time_ns = appended.time_ns;
    const size_t len = envelope_put(&envelope, &frame, text);
    *out_message = (plsm_buf_t){text, len};
    return 0;
}

int plsm_pool_append_json_seq(plsm_pool_t *pool, const uint8_t *json, size_t json_len,
    const char **tags, size_t tags_len, uint32_t durability, uint64_t *out_seq,
    uint64_t *out_time_ns, plsm_error_t **out_err)
{
    const plsm_input_t input = {
        .json = json, .json_len = json_len, .tags = tags, .tags_len = tags_len};
    uint8_t scratch[DRAFT_SCRATCH];
    scoped(draft_fini) struct draft draft = {.scratch = scratch};
    struct appended appended = {0};

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (draft_fill(&draft, &input, 1, durability, out_err) < 0 ||
        abi_append(pool, draft.messages, 1, durability, &appended, out_err) < 0)
        return -1;
    if (out_seq != NULL)
        *out_seq = appended.first_seq;
    if (out_time_ns != NULL)
        *out_time_ns = appended.time_ns;
    return 0;
}

int plsm_pool_append_batch(plsm_pool_t *pool, const plsm_input_t *inputs, size_t inputs_len,
    uint32_t durability, uint64_t *out_first_seq, plsm_error_t **out_err)
{
    uint8_t scratch[DRAFT_SCRATCH];
    scoped(draft_fini) struct draft draft = {.scratch = scratch};
    struct appended appended = {0};

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (inputs == NULL)
        return abi_null(out_err, "inputs");
    if (inputs_len == 0 || inputs_len > LIMIT_BATCH_MESSAGES)
        return error_set(out_err, PLSM_ERROR_USAGE, "a batch has 1 to %d messages, not %zu",
            LIMIT_BATCH_MESSAGES, inputs_len);
    if (draft_fill(&draft, inputs, inputs_len, durability, out_err) < 0 ||
        abi_append(pool, draft.messages, inputs_len, durability, &appended, out_err) < 0)
        return -1;
    if (out_first_seq != NULL)
        *out_first_seq = appended.first_seq;
    return 0;
}

/* The operation retention_gap: what streams do about messages that were overwritten before they
 * came to them. */
#include "tests/conformance/expect.h"
#include "tests/conformance/fields.h"
#include "tests/conformance/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILL_MESSAGES_MAX  10000u
#define FILL_PADDING_BYTES 4096
#define NEVER_MS           500u   /* how long a stream waits for what never comes */
#define PATIENCE_MS        60000u /* ends a run that hangs */

static int append(struct run *run, plsm_pool_t *pool, const char *json, uint64_t *out_seq)
{
    scoped(plsm_buf_free) plsm_buf_t text = {0};
    struct message message;
    if (plsm_pool_append_json(pool, (const uint8_t *)json, strlen(json), NULL, 0, PLSM_FAST, &text,
            &run->failure) < 0 ||
        message_read(run, &text, &message) < 0)
        return -1;
    *out_seq = message.seq;
    return 0;
}

/* Appends until the message is overwritten. */
static int fill_past(struct run *run, plsm_pool_t *pool, uint64_t seq)
{
    char padding[FILL_PADDING_BYTES + 1];
    char json[FILL_PADDING_BYTES + 64];
    memset(padding, 'x', FILL_PADDING_BYTES);
    padding[FILL_PADDING_BYTES] = '\0';
    for (unsigned i = 0; i < FILL_MESSAGES_MAX; i++) {
        scoped(plsm_error_free) plsm_error_t *error = NULL;
        scoped(plsm_buf_free) plsm_buf_t text = {0};
        uint64_t ignored;
        snprintf(json, sizeof(json), "{\"i\":%u,\"padding\":\"%s\"}", i, padding);
        if (append(run, pool, json, &ignored) < 0)
            return -1;
        if (plsm_pool_get_json(pool, seq, &text, &error) == 0)
            continue;
        if (error->kind == PLSM_ERROR_NOT_FOUND && error->has_seq && error->seq == seq)
            return 0;
        return unmet(run, "get %" PRIu64 ": %s", seq, error->message);
    }
    return unmet(run, "message %" PRIu64 " is never overwritten", seq);
}

/* The next message's seq. */
static int take(struct run *run, plsm_stream_t *stream, uint64_t *out_seq)
{
    scoped(plsm_buf_free) plsm_buf_t text = {0};
    struct message message;
    const int r = plsm_stream_next(stream, &text, &run->failure);
    if (r == 0)
        return unmet(run, "the stream ended early");
    if (r < 0 || message_read(run, &text, &message) < 0)
        return -1;
    *out_seq = message.seq;
    return 0;
}

/* The next read fails with a gap from seq on, and the one after it ends. */
static int take_gap(struct run *run, plsm_stream_t *stream, uint64_t seq)
{
    scoped(plsm_error_free) plsm_error_t *error = NULL;
    scoped(plsm_buf_free) plsm_buf_t text = {0};
    const int r = plsm_stream_next(stream, &text, &error);
    if (r >= 0)
        return unmet(run, "expected RetentionGap, got %s", r > 0 ? "a message" : "the end");
    if (error->kind != PLSM_ERROR_RETENTION_GAP)
        return unmet(run, "expected RetentionGap, got %s: %s", plsm_error_kind_name(error->kind),
            error->message);
    if (!error->has_seq || error->seq != seq)
        return unmet(run, "the gap begins with %" PRIu64 ", not %" PRIu64, error->seq, seq);
    if (plsm_stream_next(stream, &text, NULL) != 0)
        return unmet(run, "the stream goes on behind the gap");
    return 0;
}

static int stream_open(struct run *run, plsm_pool_t *pool, uint64_t since_seq, uint32_t timeout_ms,
    uint32_t gap_policy, plsm_stream_t **out_stream)
{
    const plsm_stream_options_t options = {
        .struct_size = sizeof(options),
        .gap_policy = gap_policy,
        .since_seq = since_seq,
        .has_since = 1,
        .timeout_ms = timeout_ms,
        .has_timeout = 1,
    };
    return plsm_stream_open_ex(pool, &options, out_stream, &run->failure);
}

static int pool_create(
    struct run *run, const struct step *step, const char *suffix, plsm_pool_t **out_pool)
{
    scoped(buf_fini) struct buf name = {0};
    uint64_t size_bytes = 65536;
    if (field_u64(run, step->input, "size_bytes", &size_bytes) < 0)
        return -1;
    if (buf_appendf(&name, "%s-%s", step->pool, suffix) < 0 || buf_append(&name, "", 1) < 0)
        return unmet(run, "out of memory");
    return plsm_pool_create(
        run->client, (const char *)name.data, size_bytes, out_pool, &run->failure);
}

/* What a stream begins with is overwritten. */
static int gap_before_start(struct run *run, const struct step *step)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    scoped(plsm_stream_free) plsm_stream_t *going = NULL;
    scoped(plsm_stream_free) plsm_stream_t *failing = NULL;
    const char *never = "never";
    uint64_t first = 0, seq = 0;

    if (pool_create(run, step, "stale", &pool) < 0 ||
        append(run, pool, "{\"kind\":\"first\"}", &first) < 0 || fill_past(run, pool, first) < 0)
        return -1;
    if (stream_open(run, pool, first, PATIENCE_MS, PLSM_GAP_CONTINUE, &going) < 0 ||
        take(run, going, &seq) < 0)
        return -1;
    if (seq <= first)
        return unmet(run, "message %" PRIu64 " is lost, but came", seq);
    if (stream_open(run, pool, first, NEVER_MS, PLSM_GAP_ERROR, &failing) < 0 ||
        plsm_stream_require_tags(failing, &never, 1, &run->failure) < 0)
        return -1;
    return take_gap(run, failing, first);
}

/* What a stream would take next is overwritten. */
static int gap_under_way(struct run *run, const struct step *step)
{
    scoped(plsm_pool_free) plsm_pool_t *pool = NULL;
    scoped(plsm_stream_free) plsm_stream_t *stream = NULL;
    uint64_t wanted[2] = {0}, missing = 0;

    if (pool_create(run, step, "established", &pool) < 0 ||
        append(run, pool, "{\"kind\":\"seed\"}", &wanted[0]) < 0 ||
        append(run, pool, "{\"kind\":\"second\"}", &wanted[1]) < 0 ||
        stream_open(run, pool, wanted[0], PATIENCE_MS, PLSM_GAP_ERROR, &stream) < 0)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        uint64_t seq = 0;
        if (take(run, stream, &seq) < 0)
            return -1;
        if (seq != wanted[i])
            return unmet(run, "expected message %" PRIu64 ", got %" PRIu64, wanted[i], seq);
    }
    if (append(run, pool, "{\"kind\":\"first-missing\"}", &missing) < 0 ||
        fill_past(run, pool, missing) < 0)
        return -1;
    return take_gap(run, stream, missing);
}

int op_retention_gap(struct run *run, const struct step *step)
{
    if (gap_before_start(run, step) < 0)
        return -1;
    return gap_under_way(run, step);
}

/* fetch: one message by its seq. */
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/report.h"
#include "client/envelope.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARG_POOL, ARG_SEQ };

static int fetch_missing(const struct ref *ref, uint64_t seq, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_NOT_FOUND, "message not found");
    error_at_seq(err, seq);
    return error_hint(err,
        "It was overwritten or not yet written. `plasmite pool info %s` shows which seqs there "
        "are; `plasmite follow %s` prints new ones.",
        ref->text, ref->text);
}

/* The message as a document, copied while it was certainly there. POOL_OK, POOL_MISSING, -1. */
static int fetch_message(
    struct pool *pool, uint64_t seq, bool descrips, struct text *out_text, plsm_error_t **err)
{
    struct envelope envelope = {.descrips = descrips};
    scoped(buf_fini) struct buf data = {0};
    struct frame frame;

    const int r = pool_get(pool, seq, &frame, err);
    if (r != POOL_OK)
        return r;
    const int rendered = envelope_json(pool, &frame, &data, err);
    if (rendered != 0)
        return rendered == ENVELOPE_LOST ? POOL_MISSING : -1;
    if (buf_reserve(&out_text->buf, envelope_size(&frame)) < 0)
        return error_oom(err);
    out_text->buf.len = envelope_put(&envelope, &frame, out_text->buf.data);
    return frame_still_valid(pool, &frame) ? POOL_OK : POOL_MISSING;
}

static int fetch_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(ref_fini) struct ref ref = {0};
    scoped(text_fini) struct text text = {0};
    scoped(pool_close) struct pool *pool = NULL;
    const uint64_t seq = args->positionals[ARG_SEQ].number;
    const bool descrips = strcmp(args->spelling, "get") == 0;

    if (ref_resolve_local(args->positionals[ARG_POOL].text, context->dir, "fetch", &ref, err) < 0)
        return -1;
    if (open_pool(ref.path, POOL_READ, NULL, &pool, err) < 0)
        return open_hint_create(context, &ref, err);
    const int r = fetch_message(pool, seq, descrips, &text, err);
    if (r == POOL_MISSING)
        return fetch_missing(&ref, seq, err);
    return r < 0 ? -1 : json_out_document(context, &text, err);
}

static const struct positional fetch_positionals[] = {
    [ARG_POOL] = {.value = "<POOL>",
        .required = true,
        .kind = ARG_TEXT,
        .summary = "Pool name or path"},
    [ARG_SEQ] = {.value = "<SEQ>",
        .required = true,
        .kind = ARG_U64,
        .summary = "Sequence number of the message"},
};

const struct command command_fetch = {
    .name = "fetch",
    .path = "fetch",
    .alias = "get",
    .summary = "Fetch one message by its seq",
    .about = "Fetch one message by its seq and print it as JSON: pretty on a terminal, one line in "
             "a pipe. A seq that was never written, or is overwritten by now, exits 3.",
    .examples = "Examples:\n"
                "  plasmite fetch chat 1\n"
                "  plasmite fetch chat 42 | jq .data\n",
    .positionals = fetch_positionals,
    .n_positionals = sizeof(fetch_positionals) / sizeof(fetch_positionals[0]),
    .help_when_empty = true,
    .run = fetch_run,
};

/* Printing messages as they come: drain all there is, flush, sleep until there is more. */
#include "cli/follow.h"

#include "cli/json_out.h"
#include "client/envelope.h"

#include <unistd.h>

/* So many messages are looked at before the clock and unflushed output are, so that neither a
 * flood of unwanted messages nor one of wanted ones delays what was found. */
#define DRAIN_MESSAGES 1024

enum drain {
    DRAIN_EMPTY, /* there is nothing more now */
    DRAIN_MORE,
    DRAIN_DONE, /* --one has its message */
};

void follow_init(struct follow *follow, const struct context *context)
{
    *follow = (struct follow){.context = context, .watch = {.fd = -1}};
    follow->drops = (struct drops){.context = context, .ref = &follow->ref};
    out_init(&follow->out, STDOUT_FILENO);
}

void follow_fini(struct follow *follow)
{
    watch_close(&follow->watch);
    pool_close(follow->pool);
    ref_fini(&follow->ref);
    select_fini(&follow->select);
    out_fini(&follow->out);
    buf_fini(&follow->data);
    buf_fini(&follow->document);
    buf_fini(&follow->shown);
}

int follow_finish(struct follow *follow, int code, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *second = NULL;
    if (out_flush(&follow->out, code < 0 ? &second : err) < 0)
        return -1;
    drops_tell(&follow->drops, true);
    return code;
}

void follow_arm(struct follow *follow)
{
    follow->deadline_ns =
        follow->has_timeout ? clock_deadline_ns(follow->timeout_ms) : DEADLINE_NEVER;
}

static int follow_print_lost(struct follow *follow, const struct frame *frame)
{
    drops_add(&follow->drops, (struct gap){frame->seq, frame->seq + 1});
    return 0;
}

static int follow_print_line(struct follow *follow, const struct frame *frame, plsm_error_t **err)
{
    uint8_t *room = out_reserve(&follow->out, envelope_size(frame) + 1, err);
    if (room == NULL)
        return -1;
    const size_t len = envelope_put(&follow->envelope, frame, room);
    room[len] = '\n';
    if (!frame_still_valid(follow->pool, frame))
        return follow_print_lost(follow, frame);
    out_commit(&follow->out, len + 1);
    return 1;
}

/* Any other shape than plain lines. */
static int follow_print_shown(struct follow *follow, const struct frame *frame, plsm_error_t **err)
{
    struct buf *document = &follow->document;
    struct buf *shown = &follow->shown;

    document->len = 0;
    shown->len = 0;
    if (buf_reserve(document, envelope_size(frame)) < 0)
        return error_oom(err);
    document->len = envelope_put(&follow->envelope, frame, document->data);
    if (!frame_still_valid(follow->pool, frame))
        return follow_print_lost(follow, frame);
    if (json_out_render(follow->context, buf_view(document), !follow->jsonl, shown) < 0)
        return error_oom(err);
    return out_put(&follow->out, shown->data, shown->len, err) < 0 ? -1 : 1;
}

int follow_print(struct follow *follow, struct frame *frame, plsm_error_t **err)
{
    const int r = envelope_json(follow->pool, frame, &follow->data, err);
    if (r != 0)
        return r == ENVELOPE_LOST ? follow_print_lost(follow, frame) : -1;
    return follow->jsonl && !follow->context->stdout_tty ? follow_print_line(follow, frame, err)
                                                         : follow_print_shown(follow, frame, err);
}

/* Whether the message is wanted; one that was overwritten while we looked is lost. 1, 0, -1. */
static int follow_wants(struct follow *follow, const struct frame *frame, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *failed = NULL;

    const int r = select_match(&follow->select, frame, &failed);
    if (!frame_still_valid(follow->pool, frame))
        return follow_print_lost(follow, frame); /* an answer or error about torn bytes */
    if (r < 0 && err != NULL) {
        *err = failed;
        failed = NULL;
    }
    return r;
}

/* One message that the cursor came to. 1: printed, 0: not, -1. */
static int follow_take(struct follow *follow, struct frame *frame, plsm_error_t **err)
{
    if (!select_all(&follow->select)) {
        const int wanted = follow_wants(follow, frame, err);
        if (wanted <= 0)
            return wanted;
    }
    if (follow->n_skip > 0) {
        follow->n_skip--;
        return 0;
    }
    return follow_print(follow, frame, err);
}

/* Reads up to DRAIN_MESSAGES messages. An enum drain, or -1. */
static int follow_drain(struct follow *follow, bool *out_printed, plsm_error_t **err)
{
    struct frame frame;
    struct gap gap;

    for (int i = 0; i < DRAIN_MESSAGES; i++) {
        int r = cursor_next(&follow->cursor, &frame, &gap, err);
        if (r == CURSOR_EMPTY)
            return DRAIN_EMPTY;
        if (r == CURSOR_GAP) {
            drops_add(&follow->drops, gap);
            continue;
        }
        if (r == CURSOR_FRAME)
            r = follow_take(follow, &frame, err);
        if (r < 0)
            return -1;
        if (r == 1) {
            *out_printed = true;
            if (follow->one)
                return DRAIN_DONE;
        }
    }
    return DRAIN_MORE;
}

static int follow_deleted(const struct follow *follow, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_NOT_FOUND, "the pool was deleted while it was followed");
    error_at_path(err, follow->ref.path);
    return error_hint(err, "Everything it had was printed. Create it again to go on.");
}

static bool follow_is_stopped(const struct follow *follow)
{
    /* acquire: what the other thread appended before; pairs with its store */
    return follow->stop != NULL && atomic_load_explicit(follow->stop, memory_order_acquire);
}

/* Sleeps until something happens. 0, EXIT_TIMEOUT, or -1. */
static int follow_sleep(struct follow *follow, plsm_error_t **err)
{
    watch_close(&follow->watch); /* takes milliseconds: not before what was waited for is out */
    const uint64_t notice_ns = drops_deadline(&follow->drops);
    const uint64_t deadline_ns = notice_ns < follow->deadline_ns ? notice_ns : follow->deadline_ns;

    switch (follow_wait_unless(&follow->cursor, follow->stop, deadline_ns, err)) {
    case FOLLOW_READY:
    case FOLLOW_STOPPED:
    case FOLLOW_SIGNAL: return 0;
    case FOLLOW_TIMEOUT:
        drops_tell(&follow->drops, false);
        return clock_monotonic_ns() >= follow->deadline_ns && !follow_is_stopped(follow)
                   ? EXIT_TIMEOUT
                   : 0;
    case FOLLOW_DELETED: return follow_deleted(follow, err);
    default: return -1;
    }
}

/* Prints what there is now. An enum drain, EXIT_TIMEOUT, or -1. */
static int follow_pass(struct follow *follow, plsm_error_t **err)
{
    bool printed = false;
    const int r = follow_drain(follow, &printed, err);
    if (r < 0 || out_flush(&follow->out, err) < 0)
        return -1;
    if (printed)
        follow_arm(follow);
    else if (follow->has_timeout && r == DRAIN_MORE && clock_monotonic_ns() >= follow->deadline_ns)
        return EXIT_TIMEOUT;
    return r;
}

/* The last messages, behind which nobody waits for more: those that are there when it begins, so
 * that writers who never pause do not keep us. */
static int follow_last(struct follow *follow, plsm_error_t **err)
{
    struct cursor end;
    int r = DRAIN_MORE;

    follow->has_timeout = false;
    cursor_newest(&end, follow->pool);
    while (r == DRAIN_MORE && follow->cursor.pos < end.pos)
        r = follow_pass(follow, err);
    return r < 0 ? -1 : 0;
}

int follow_live(struct follow *follow, plsm_error_t **err)
{
    for (;;) {
        if (follow_is_stopped(follow))
            return follow_last(follow, err);
        const int r = follow_pass(follow, err);
        if (r < 0 || r == EXIT_TIMEOUT)
            return r;
        if (r == DRAIN_DONE)
            return 0;
        if (r == DRAIN_MORE)
            continue;
        const int slept = follow_sleep(follow, err);
        if (slept != 0)
            return slept;
    }
}

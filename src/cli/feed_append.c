/* Batches into the pool, receipts out. */
#include "base/digits.h"
#include "cli/feed.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/report.h"
#include "client/envelope.h"
#include "json/span.h"
#include "json/write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void feed_fini(struct feed *feed)
{
    pool_close(feed->pool);
    ref_fini(&feed->ref);
    buf_fini(&feed->tags);
    out_fini(&feed->out);
    free(feed->messages);
    *feed = (struct feed){0};
}

static bool feed_is_transient(const plsm_error_t *err)
{
    const int errnum = error_errno_of(err);
    return err->kind == PLSM_ERROR_BUSY ||
           (err->kind == PLSM_ERROR_IO &&
               (errnum == EINTR || errnum == EAGAIN || errnum == ETIMEDOUT));
}

static void feed_sleep(uint64_t ms)
{
    const struct timespec time = {
        .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL); /* a signal handler cuts it short: then we try earlier */
}

bool feed_try_again(const struct feed *feed, struct feed_retry *retry, plsm_error_t **err)
{
    retry->n_attempts++;
    if (err == NULL || *err == NULL || !feed_is_transient(*err))
        return false;
    if (retry->n_attempts <= feed->retries) {
        plsm_error_free(*err); /* the next attempt speaks for itself */
        *err = NULL;
        feed_sleep(feed->retry_delay_ms);
        retry->waited_ms += feed->retry_delay_ms;
        return true;
    }
    if (retry->n_attempts > 1)
        error_hint(err, "Another process holds the pool. Retry attempts: %u (waited %llums).",
            retry->n_attempts, (unsigned long long)retry->waited_ms);
    return false;
}

static int feed_append_once(struct feed *feed, struct appended *out_appended, plsm_error_t **err)
{
    const int r = pool_append(feed->pool, feed->messages, feed->n_messages, out_appended, err);
    return r == POOL_BUSY ? open_busy(feed->ref.path, err) : r;
}

/* A receipt for people: "fed seq=3 at 2026-01-02T03:04:05Z  tags: a,b". */
static int feed_receipt_text(struct feed *feed, uint64_t seq, uint64_t time_ns, plsm_error_t **err)
{
    scoped(text_fini) struct text text = {0};
    struct json_value value;

    text_str(&text, "fed seq=");
    text_u64(&text, seq);
    text_str(&text, " at ");
    text_time_seconds(&text, time_ns);
    struct json_walk walk = json_walk(buf_view(&feed->tags));
    for (const char *before = "  tags: "; json_next_element(&walk, &value); before = ",") {
        struct buf tag = {0};
        text_str(&text, before);
        if (json_unescape(value, &tag) < 0)
            text.failed = true;
        text_printable(&text, buf_view(&tag));
        buf_fini(&tag);
    }
    text_str(&text, "\n");
    if (text.failed)
        return error_oom(err);
    return out_put(&feed->out, text.buf.data, text.buf.len, err);
}

/* A JSON document as this run prints them. */
static int feed_put_document(struct feed *feed, struct view document, plsm_error_t **err)
{
    scoped(buf_fini) struct buf shown = {0};
    if (json_out_render(feed->context, document, json_out_is_pretty(feed->context), &shown) < 0)
        return error_oom(err);
    return out_put(&feed->out, shown.data, shown.len, err);
}

/* The message itself, as the older spelling prints it. */
static int feed_put_message(struct feed *feed, const struct message *message, uint64_t seq,
    uint64_t time_ns, plsm_error_t **err)
{
    scoped(buf_fini) struct buf text = {0};
    struct envelope envelope = {.descrips = true};
    const struct frame frame = {
        .seq = seq, .time_ns = time_ns, .tags = message->tags, .data = message->data};

    if (buf_reserve(&text, envelope_size(&frame)) < 0)
        return error_oom(err);
    text.len = envelope_put(&envelope, &frame, text.data);
    return feed_put_document(feed, buf_view(&text), err);
}

/* What all receipts of a batch have in common: all but the seq. */
static int feed_receipt_tail(const struct feed *feed, uint64_t time_ns, struct buf *out_tail)
{
    char time[CLOCK_TEXT_MAX];
    const size_t len = clock_format(time_ns, time);
    const struct view tags = feed->tags.len > 0 ? buf_view(&feed->tags) : view_str("[]");
    if (buf_append_str(out_tail, ",\"time\":\"") < 0 || buf_append(out_tail, time, len) < 0 ||
        buf_append_str(out_tail, "\",\"meta\":{\"tags\":") < 0 ||
        buf_append(out_tail, tags.data, tags.len) < 0 || buf_append_str(out_tail, "}}\n") < 0)
        return -1;
    return 0;
}

static int feed_receipts_compact(
    struct feed *feed, const struct appended *appended, plsm_error_t **err)
{
    static const char head[] = "{\"seq\":";
    scoped(buf_fini) struct buf tail = {0};

    if (feed_receipt_tail(feed, appended->time_ns, &tail) < 0)
        return error_oom(err);
    for (uint64_t i = 0; i < appended->n_messages; i++) {
        uint8_t *at = out_reserve(&feed->out, sizeof(head) + DIGITS_MAX + tail.len, err);
        if (at == NULL)
            return -1;
        memcpy(at, head, sizeof(head) - 1);
        size_t len = sizeof(head) - 1;
        len += digits_put(at + len, appended->first_seq + i);
        memcpy(at + len, tail.data, tail.len);
        out_commit(&feed->out, len + tail.len);
    }
    return 0;
}

/* Receipts in other shapes than one compact line: one by one. */
static int feed_receipt_other(
    struct feed *feed, size_t i, const struct appended *appended, plsm_error_t **err)
{
    const uint64_t seq = appended->first_seq + i;
    if (feed->whole)
        return feed_put_message(feed, &feed->messages[i], seq, appended->time_ns, err);
    if (feed->context->stdout_tty)
        return feed_receipt_text(feed, seq, appended->time_ns, err);

    scoped(buf_fini) struct buf text = {0};
    if (buf_appendf(&text, "{\"seq\":%llu", (unsigned long long)seq) < 0 ||
        feed_receipt_tail(feed, appended->time_ns, &text) < 0)
        return error_oom(err);
    return feed_put_document(feed, view_of(text.data, text.len - 1), err);
}

static int feed_receipts(struct feed *feed, const struct appended *appended, plsm_error_t **err)
{
    if (!feed->whole && !json_out_is_pretty(feed->context))
        return feed_receipts_compact(feed, appended, err);
    for (size_t i = 0; i < appended->n_messages; i++)
        if (feed_receipt_other(feed, i, appended, err) < 0)
            return -1;
    return 0;
}

static int feed_append_all(struct feed *feed, plsm_error_t **err)
{
    struct feed_retry retry = {0};
    struct appended appended;

    while (feed_append_once(feed, &appended, err) < 0)
        if (!feed_try_again(feed, &retry, err))
            return -1;
    if (feed->flush) {
        const int r = pool_flush_to(feed->pool, appended.end_pos, err);
        if (r != POOL_OK) /* appended, but not promised: no receipt */
            return open_not_flushed(r, feed->ref.path, appended.first_seq, err);
    }
    feed->n_ok += feed->n_messages;
    return feed->mute ? 0 : feed_receipts(feed, &appended, err);
}

int feed_append(struct feed *feed, plsm_error_t **err)
{
    if (feed->n_messages == 0)
        return 0;
    const int r = feed_append_all(feed, err);
    feed->n_messages = 0; /* also after a failure: nothing is appended twice */
    feed->batch_bytes = 0;
    return r;
}

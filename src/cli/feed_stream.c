/* Records of a stream into batches; what happens to bad ones. */
#include "cli/feed.h"
#include "cli/ingest.h"
#include "cli/report.h"

#include "json/span.h"

#include <stdlib.h>
#include <string.h>

/* A batch takes at most this part of the ring, so that readers keep most of what there was. */
#define BATCH_RING_PART 8

#define SNIPPET_BYTES ((size_t)200)

#define EXIT_SKIPPED 1

int feed_no_input(const struct feed *feed, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "missing data input");
    if (feed->mute)
        return error_hint(err,
            "Pipe JSON: echo '{\"x\":1}' | plasmite duplex <pool>, or type at a terminal: "
            "plasmite duplex <pool> --me NAME.");
    return error_hint(err,
        "Give a JSON object as DATA, use --file FILE, or pipe JSON: echo '{\"x\":1}' | plasmite "
        "feed <pool>.");
}

static int feed_not_object(plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "data must be object");
    return error_hint(err, "Wrap the value in an object, for example {\"value\": ...}.");
}

static int feed_too_large(const struct feed *feed, uint64_t bytes, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE,
        "payload exceeds ring capacity: the message takes %llu bytes, the ring has %llu",
        (unsigned long long)bytes, (unsigned long long)feed->ring_size);
    error_at_path(err, feed->ref.path);
    return error_hint(err, "Create a larger pool: `plasmite pool create NAME --size SIZE`.");
}

/* Where and why a text is not JSON, as the error's cause and, where there is none, its hint. */
static void feed_explain(const struct json_error *json, plsm_error_t **err)
{
    error_cause(err, "%s at line %zu column %zu (offset %zu)%s%s", json->problem, json->line,
        json->column, json->offset, json->expected == NULL ? "" : ": expected ",
        json->expected == NULL ? "" : json->expected);
}

/* Puts a message into the batch. 0, or -1 where the pool could never take it. */
static int feed_add(struct feed *feed, struct view data, plsm_error_t **err)
{
    const struct message message = {.tags = buf_view(&feed->tags), .data = data};
    if (!json_is_object(data))
        return feed_not_object(err);
    const uint64_t bytes = message_footprint(&message);
    if (bytes > feed->ring_size)
        return feed_too_large(feed, bytes, err);
    feed->messages[feed->n_messages++] = message;
    feed->batch_bytes += bytes;
    return 0;
}

static bool feed_batch_is_full(const struct feed *feed)
{
    return feed->n_messages == LIMIT_BATCH_MESSAGES ||
           feed->batch_bytes >= feed->ring_size / BATCH_RING_PART;
}

/* Whether a message of this length must not join the batch: together they might not fit. */
static bool feed_batch_must_go(const struct feed *feed, size_t data_len)
{
    const struct message message = {.tags = buf_view(&feed->tags), .data = view_of(NULL, data_len)};
    return feed->n_messages > 0 &&
           feed->batch_bytes + message_footprint(&message) > feed->ring_size / BATCH_RING_PART;
}

static int feed_room(struct feed *feed, size_t n, plsm_error_t **err)
{
    feed->messages = calloc(n, sizeof(*feed->messages));
    return feed->messages == NULL ? error_oom(err) : 0;
}

int feed_message(struct feed *feed, struct view data, plsm_error_t **err)
{
    if ((feed->messages == NULL && feed_room(feed, 1, err) < 0) || feed_add(feed, data, err) < 0 ||
        feed_append(feed, err) < 0)
        return -1;
    return out_flush(&feed->out, err);
}

int feed_argument(struct feed *feed, const char *data, plsm_error_t **err)
{
    scoped(buf_fini) struct buf compact = {0};
    struct json_error json;
    const size_t len = strlen(data);

    if (buf_reserve(&compact, len + JSON_SLACK) < 0)
        return error_oom(err);
    if (!json_compact((const uint8_t *)data, len, compact.data, &compact.len, &json)) {
        error_set(err, PLSM_ERROR_USAGE, "invalid json");
        feed_explain(&json, err);
        return error_hint(err, "%s",
            json.hint != NULL
                ? json.hint
                : "Give one JSON object, quoted for the shell: '{\"key\": \"value\"}'.");
    }
    return feed_message(feed, buf_view(&compact), err);
}

/* What a bad record looked like: its first bytes, as JSON text. */
static void feed_snippet(struct view record, struct text *text)
{
    static const char more[] = "...";
    scoped(buf_fini) struct buf snippet = {0};

    while (record.len > 0 && strchr("\r\n", record.data[record.len - 1]) != NULL &&
           record.data[record.len - 1] != '\0')
        record.len--;
    const size_t len = record.len < 2 * SNIPPET_BYTES ? record.len : 2 * SNIPPET_BYTES;
    if (ingest_lossy(view_of(record.data, len), &snippet) < 0) {
        text->failed = true;
        return;
    }
    if (snippet.len <= SNIPPET_BYTES && len == record.len) {
        text_json(text, buf_view(&snippet));
        return;
    }
    size_t cut = SNIPPET_BYTES - strlen(more);
    while (cut > 0 && (snippet.data[cut] & 0xc0) == 0x80)
        cut--;
    snippet.len = cut;
    if (buf_append_str(&snippet, more) < 0)
        text->failed = true;
    text_json(text, buf_view(&snippet));
}

static void feed_notice_skip(struct feed *feed, const struct ingest *ingest,
    const struct ingest_record *record, const char *error_kind, const char *message)
{
    scoped(text_fini) struct text details = {0};

    text_printf(&details, "{\"mode\":\"%s\",\"index\":%llu,\"error_kind\":\"%s\"",
        ingest_mode_name(ingest->mode), (unsigned long long)record->index, error_kind);
    if (record->line > 0)
        text_printf(&details, ",\"line\":%llu", (unsigned long long)record->line);
    text_str(&details, ",\"snippet\":");
    feed_snippet(record->text, &details);
    text_str(&details, ",\"pool_path\":");
    text_json_str(&details, feed->ref.path);
    text_str(&details, "}");
    report_notice(
        feed->context, "ingest_skip", "feed", feed->ref.text, message, buf_view(&details.buf));
}

static void feed_notice_summary(struct feed *feed)
{
    scoped(text_fini) struct text details = {0};
    scoped(text_fini) struct text message = {0};
    const unsigned long long failed = feed->n_failed, ok = feed->n_ok;

    text_printf(&details, "{\"total\":%llu,\"ok\":%llu,\"failed\":%llu,\"pool_path\":", ok + failed,
        ok, failed);
    text_json_str(&details, feed->ref.path);
    text_str(&details, "}");
    text_printf(&message, "Finished with %llu skipped record%s.", failed, failed == 1 ? "" : "s");
    text_put(&message, "", 1);
    if (!message.failed)
        report_notice(feed->context, "ingest_summary", "feed", feed->ref.text,
            (const char *)message.buf.data, buf_view(&details.buf));
}

static int feed_bad_error(const struct feed *feed, const struct ingest *ingest,
    const struct ingest_record *record, plsm_error_t **err)
{
    const char *skip = feed->mute                  ? "`plasmite feed -e skip` steps"
                       : ingest->mode == INGEST_JQ ? "Use --in jsonl -e skip to step"
                                                   : "Use -e skip to step";
    if (record->reason == INGEST_OVERSIZE) {
        error_set(err, PLSM_ERROR_USAGE, "record exceeds size limit");
        error_cause(err, "record %llu is longer than %u bytes", (unsigned long long)record->index,
            LIMIT_RECORD_BYTES);
        return error_hint(err, "A record may have 1 MiB. %s over larger ones.", skip);
    }
    error_set(err, PLSM_ERROR_USAGE, "invalid json input");
    feed_explain(&record->error, err);
    return error_hint(err, "Record %llu%s is not JSON%s%s. %s over bad records.",
        (unsigned long long)record->index, record->line > 0 ? " of the input" : "",
        record->error.hint == NULL ? "" : ": ",
        record->error.hint == NULL ? "" : record->error.hint, skip);
}

/* A record that could not be read: an error, or a notice. */
static int feed_bad(struct feed *feed, const struct ingest *ingest,
    const struct ingest_record *record, plsm_error_t **err)
{
    const bool oversize = record->reason == INGEST_OVERSIZE;
    if (!feed->skip)
        return feed_bad_error(feed, ingest, record, err);
    feed->n_failed++;
    feed_notice_skip(feed, ingest, record, oversize ? "Oversize" : "Parse",
        oversize ? "Skipped oversized record." : "Skipped invalid JSON.");
    return 0;
}

/* A record that is JSON. One that the pool could never take is as bad as one that is not. */
static int feed_good(struct feed *feed, const struct ingest *ingest,
    const struct ingest_record *record, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *refused = NULL;

    if (feed_batch_must_go(feed, record->data.len) && feed_append(feed, err) < 0)
        return -1;
    if (feed_add(feed, record->data, &refused) < 0) {
        if (!feed->skip) {
            if (err != NULL) {
                *err = refused;
                refused = NULL;
            }
            return -1;
        }
        feed->n_failed++;
        feed_notice_skip(feed, ingest, record, "Usage", refused->message);
        return 0;
    }
    return feed_batch_is_full(feed) ? feed_append(feed, err) : 0;
}

static int feed_read(struct ingest *ingest, const char *path, plsm_error_t **err)
{
    plsm_error_t *failed = NULL;
    if (ingest_read(ingest, &failed) == 0)
        return 0;
    const int errnum = error_errno_of(failed);
    if (errnum == 0) { /* out of memory */
        if (err != NULL)
            *err = failed;
        return -1;
    }
    plsm_error_free(failed); /* said again, with the name of what was read */
    error_io(err, errnum, path == NULL ? "failed to read stdin" : "failed to read data file");
    return path == NULL ? -1 : error_at_path(err, path);
}

int feed_check_pool(struct feed *feed, plsm_error_t **err)
{
    const int r = pool_check_file(feed->pool, err);
    if (r != POOL_DELETED)
        return r;
    error_set(err, PLSM_ERROR_NOT_FOUND, "the pool was deleted while it was fed");
    error_at_path(err, feed->ref.path);
    return error_hint(
        err, "What came after its deletion was not stored. Start again with --create.");
}

/* Everything at hand was read: it goes into the pool, its receipts go out, and if more has to be
 * waited for, now is the time. */
static int feed_pause(
    struct feed *feed, struct ingest *ingest, const char *path, bool wait, plsm_error_t **err)
{
    const int r = feed_append(feed, err);
    progress_step(&feed->progress, feed->n_ok, ingest->n_bytes);
    ingest_release(ingest);
    if (r < 0 || !wait)
        return r;
    if (out_flush(&feed->out, err) < 0)
        return -1;
    pthread_mutex_t *gate = feed_gate_open(feed);
    const int read = feed_read(ingest, path, err);
    feed_gate_close(gate);
    return read < 0 ? -1 : feed_check_pool(feed, err);
}

/* Everything of the stream. 0 at its end, -1 at the first error; the batch may be unfinished. */
static int feed_records(
    struct feed *feed, struct ingest *ingest, const char *path, plsm_error_t **err)
{
    for (;;) {
        struct ingest_record record;
        int r = ingest_next(ingest, &record, err);
        switch (r) {
        case INGEST_RECORD: r = feed_good(feed, ingest, &record, err); break;
        case INGEST_BAD: r = feed_bad(feed, ingest, &record, err); break;
        case INGEST_END: return 0;
        case INGEST_FULL:
        case INGEST_WAIT: r = feed_pause(feed, ingest, path, r == INGEST_WAIT, err); break;
        default: break;
        }
        if (r < 0)
            return -1;
    }
}

/* What came before an error stays: it is appended and receipted first. */
static int feed_finish_failed(struct feed *feed)
{
    scoped(plsm_error_free) plsm_error_t *second = NULL; /* the first error is the one to report */
    if (feed_append(feed, &second) == 0)
        out_flush(&feed->out, &second);
    return -1;
}

int feed_stream(
    struct feed *feed, int fd, enum ingest_mode mode, const char *path, plsm_error_t **err)
{
    scoped(ingest_fini) struct ingest ingest = {0};
    ingest_init(&ingest, fd, mode, feed->skip);

    if (feed_room(feed, LIMIT_BATCH_MESSAGES, err) < 0)
        return -1;
    if (feed_records(feed, &ingest, path, err) < 0)
        return feed_finish_failed(feed);
    if (feed_append(feed, err) < 0 || out_flush(&feed->out, err) < 0)
        return -1;
    if (feed->n_ok + feed->n_failed == 0)
        return feed_no_input(feed, err);
    if (feed->n_failed == 0)
        return 0;
    feed_notice_summary(feed);
    return EXIT_SKIPPED;
}

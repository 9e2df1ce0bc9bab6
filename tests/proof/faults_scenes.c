/* The scenes: everything that the engine and the reading of input do. */
#include "base/buf.h"
#include "base/clock.h"
#include "cli/ingest.h"
#include "engine/handle.h"
#include "tests/proof/faults.h"
#include "json/filter.h"
#include "json/lite3.h"

#include <fcntl.h>

struct view stage_message(uint64_t seq, char out_text[static 160])
{
    const int len = snprintf(out_text, 160, "{\"n\":%llu,\"pad\":\"%0*u\"}",
        (unsigned long long)seq, (int)(seq % 97) + 1, (unsigned)seq % 10u);
    return view_of(out_text, (size_t)len);
}

bool stage_is_message(const struct frame *frame)
{
    scoped(buf_fini) struct buf payload = {0};
    struct lite3_fault fault;
    char text[160];
    const struct view json = stage_message(frame->seq, text);

    if (frame->encoding == ENCODING_JSON)
        return view_equal(json, frame->data);
    must(lite3_from_json(view_of(NULL, 0), json, &payload, &fault) == LITE3_OK);
    return view_equal(buf_view(&payload), frame->data);
}

/* The engine ------------------------------------------------------------------------------------*/

static int open_and_close(struct stage *stage, enum pool_mode mode, plsm_error_t **err)
{
    const struct pool_open_options options = {.busy_timeout_ms = 20};
    struct pool *pool = NULL;
    const int r = pool_open(stage->path, mode, &options, &pool, err);
    pool_close(pool);
    return r;
}

static int run_open_write(struct stage *stage, plsm_error_t **err)
{
    return open_and_close(stage, POOL_WRITE, err);
}

static int run_open_read(struct stage *stage, plsm_error_t **err)
{
    return open_and_close(stage, POOL_READ, err);
}

static int run_create(struct stage *stage, plsm_error_t **err)
{
    const struct pool_create_options options = {.size_bytes = 16384, .index_capacity = 16};
    return pool_create(stage->other, &options, err);
}

static void hold(struct stage *stage, enum pool_mode mode)
{
    const struct pool_open_options options = {.busy_timeout_ms = 20};
    must(pool_open(stage->path, mode, &options, &stage->held, NULL) == POOL_OK);
}

static void hold_writer(struct stage *stage)
{
    hold(stage, POOL_WRITE);
}

static void hold_reader(struct stage *stage)
{
    hold(stage, POOL_READ);
}

static void let_go(struct stage *stage)
{
    pool_close(stage->held);
    stage->held = NULL;
}

/* Appends n messages by one call; they count as acknowledged if it returned 0. */
static int append_some(struct stage *stage, struct pool *pool, unsigned n, plsm_error_t **err)
{
    struct message messages[STAGE_BATCH];
    struct appended appended;
    char texts[STAGE_BATCH][160];

    for (unsigned i = 0; i < n; i++)
        messages[i] = (struct message){
            .data = stage_message(stage->first_new + stage->n_acked + i, texts[i]),
            .tags = view_str("[\"a\"]"),
        };
    stage->n_tried = stage->n_acked + n;
    const int r = pool_append(pool, messages, n, &appended, err);
    if (r != POOL_OK)
        return r;
    must(appended.first_seq == stage->first_new + stage->n_acked);
    stage->n_acked += n;
    return POOL_OK;
}

static int run_append(struct stage *stage, plsm_error_t **err)
{
    int r = POOL_OK;
    for (int i = 0; i < 3 && r == POOL_OK; i++)
        r = append_some(stage, stage->held, 1, err);
    return r;
}

static int run_append_batch(struct stage *stage, plsm_error_t **err)
{
    stage->batch = STAGE_BATCH;
    return append_some(stage, stage->held, STAGE_BATCH, err);
}

static int run_append_flush(struct stage *stage, plsm_error_t **err)
{
    int r = append_some(stage, stage->held, 1, err);
    if (r == POOL_OK)
        r = pool_flush(stage->held, err);
    if (r == POOL_OK)
        r = append_some(stage, stage->held, 1, err);
    return r == POOL_OK ? pool_flush(stage->held, err) : r;
}

static int run_open_append(struct stage *stage, plsm_error_t **err)
{
    const struct pool_open_options options = {.busy_timeout_ms = 20};
    scoped(pool_close) struct pool *pool = NULL;
    const int r = pool_open(stage->path, POOL_WRITE, &options, &pool, err);
    return r == POOL_OK ? append_some(stage, pool, 1, err) : r;
}

/* All messages from the oldest on. */
static int read_all(struct pool *pool, plsm_error_t **err)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    unsigned n = 0;
    int r;

    cursor_oldest(&cursor, pool);
    while ((r = cursor_next(&cursor, &frame, &gap, err)) == CURSOR_FRAME) {
        must(stage_is_message(&frame));
        n++;
    }
    must(r == CURSOR_EMPTY || r == -1);
    must(r == -1 || n > 100);
    return r == -1 ? -1 : POOL_OK;
}

static int run_read(struct stage *stage, plsm_error_t **err)
{
    struct frame frame;
    struct pool_info info;
    struct cursor cursor;

    if (read_all(stage->held, err) < 0 || pool_info(stage->held, &info, err) < 0)
        return -1;
    if (cursor_seek_seq(&cursor, stage->held, info.oldest_seq + 10, err) < 0 ||
        cursor_seek_time(&cursor, stage->held, info.newest_time_ns, err) < 0)
        return -1;
    const int r = pool_get(stage->held, info.newest_seq, &frame, err);
    must(r < 0 || (r == POOL_OK && stage_is_message(&frame)));
    return r;
}

/* Waits for what nobody sends: long enough for a look at the file. */
static int run_follow(struct stage *stage, plsm_error_t **err)
{
    const uint64_t deadline_ns = clock_deadline_ns(130);
    struct cursor cursor;
    int r;

    cursor_newest(&cursor, stage->held);
    do
        r = follow_wait(&cursor, deadline_ns, err);
    while (r == FOLLOW_SIGNAL);
    return r;
}

static int run_verify(struct stage *stage, plsm_error_t **err)
{
    struct pool_report report;
    const int r = pool_verify(stage->held, &report, err);
    must(r != POOL_OK || report.n_issues == 0);
    return r;
}

static int run_repair(struct stage *stage, plsm_error_t **err)
{
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    return pool_repair(stage->path, NULL, &repaired, err);
}

/* Filters and input -----------------------------------------------------------------------------*/

static int run_filter(struct stage *stage, plsm_error_t **err)
{
    static const char expression[] =
        ".data.n > 3 and (.meta.tags | any(. == \"a\\u0062\")) or (.data.s | contains(\"x\"))";
    scoped(filter_free) struct filter *filter = NULL;
    const struct filter_message message = {
        .seq = 7,
        .tags = view_str("[\"a\\u0062\",\"c\"]"),
        .data = view_str("{\"n\":30000000000000000000000,\"s\":\"\\u0061x\"}"),
    };

    (void)stage;
    if (filter_new(expression, &filter, err) < 0)
        return -1;
    must(filter_is_native(filter));
    const int r = filter_match(filter, &message, err);
    return r < 0 ? -1 : r == FILTER_MATCH ? POOL_OK : 99;
}

struct input {
    enum ingest_mode mode;
    unsigned n_records;
    unsigned n_bad;
    const char *text;
};

static const struct input *input;

static void prepare_input(struct stage *stage)
{
    const int fd = open(stage->text, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const size_t len = strlen(input->text);
    must(fd >= 0 && pwrite(fd, input->text, len, 0) == (ssize_t)len);
    stage->text_fd = fd;
}

static void close_input(struct stage *stage)
{
    close(stage->text_fd);
}

static int ingest_all(struct ingest *ingest, plsm_error_t **err)
{
    struct ingest_record record;
    unsigned n_records = 0, n_bad = 0;

    for (;;) {
        switch (ingest_next(ingest, &record, err)) {
        case INGEST_RECORD: n_records++; break;
        case INGEST_BAD: n_bad++; break;
        case INGEST_FULL: ingest_release(ingest); break;
        case INGEST_WAIT:
            ingest_release(ingest);
            if (ingest_read(ingest, err) < 0)
                return -1;
            break;
        case INGEST_END: return n_records == input->n_records && n_bad == input->n_bad ? 0 : 99;
        default: return -1;
        }
    }
}

static int run_ingest(struct stage *stage, plsm_error_t **err)
{
    scoped(ingest_fini) struct ingest ingest = {0};
    ingest_init(&ingest, stage->text_fd, input->mode, input->n_bad > 0);
    return ingest_all(&ingest, err);
}

#define INPUT(name, mode_, n_records_, n_bad_, text_)                                              \
    static void prepare_##name(struct stage *stage)                                                \
    {                                                                                              \
        static const struct input of_mode = {mode_, n_records_, n_bad_, text_};                    \
        input = &of_mode;                                                                          \
        prepare_input(stage);                                                                      \
    }

#define LONG_STRING                                                                                \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

INPUT(auto, INGEST_AUTO, 3, 0, "{\"a\":1}\n{\"b\":\n[2,\n3]}\n{\"c\":\"" LONG_STRING "\"}\n")
INPUT(jsonl, INGEST_JSONL, 2, 1, "{\"a\":1}\nbad \xff line\n{\"c\":\"" LONG_STRING "\"}\n")
INPUT(json, INGEST_JSON, 1, 0, "{\n\"a\" : [1, 2, \"" LONG_STRING "\"]\n}\n")
INPUT(seq, INGEST_SEQ, 2, 0, "\x1e{\"a\":1}\n\x1e{\"b\":\"" LONG_STRING "\"}\n")
INPUT(events, INGEST_EVENTS, 2, 0,
    "data: {\"a\":1}\n\nid: 3\ndata: {\"b\":\ndata: \"" LONG_STRING "\"}\n\n")
INPUT(jq, INGEST_JQ, 3, 0, "{\"a\":1}{\"b\":2} {\n\"c\":\"" LONG_STRING "\"}\n")

const struct scene engine_scenes[] = {
    {"create", STAGE_SOUND, NULL, run_create, NULL, 0, false},
    {"open for writing", STAGE_SOUND, NULL, run_open_write, NULL, 0, false},
    {"open for reading", STAGE_SOUND, NULL, run_open_read, NULL, 0, false},
    {"open after a power loss", STAGE_REBOOTED, NULL, run_open_write, NULL, 0, false},
    {"read after a power loss", STAGE_REBOOTED, NULL, run_open_read, NULL, 0, false},
    {"open after a failed sync", STAGE_POISONED, NULL, run_open_write, NULL, 0, false},
    {"open and append behind a dead writer", STAGE_DIED, NULL, run_open_append, NULL, 0, false},
    {"open and append", STAGE_SOUND, NULL, run_open_append, NULL, 0, false},
    {"append", STAGE_SOUND, hold_writer, run_append, let_go, 0, false},
    {"append behind a dead writer", STAGE_DIED, hold_writer, run_append, let_go, 0, false},
    {"append a batch", STAGE_SOUND, hold_writer, run_append_batch, let_go, 0, false},
    {"append and flush", STAGE_SOUND, hold_writer, run_append_flush, let_go, 0, false},
    {"read", STAGE_SOUND, hold_reader, run_read, let_go, 0, false},
    {"follow", STAGE_SOUND, hold_reader, run_follow, let_go, FOLLOW_TIMEOUT, false},
    {"verify", STAGE_SOUND, hold_reader, run_verify, let_go, 0, false},
    {"repair", STAGE_DAMAGED, NULL, run_repair, NULL, 0, true},
    {"repair what is sound", STAGE_SOUND, NULL, run_repair, NULL, POOL_HEALTHY, false},
    {"filter", STAGE_NONE, NULL, run_filter, NULL, 0, false},
    {"filter with constants", STAGE_NONE, NULL, run_filter_constants, NULL, 0, false},
    {"filter that compares", STAGE_NONE, NULL, run_filter_values, NULL, 0, false},
    {"filter within a budget", STAGE_NONE, NULL, run_filter_budget, NULL, 0, false},
    {"write JSON", STAGE_NONE, NULL, run_json_write, NULL, 0, false},
    {"quote JSON", STAGE_NONE, NULL, run_json_quote, NULL, 0, false},
    {"Lite3 and back", STAGE_NONE, NULL, run_lite3, NULL, 0, false},
    {"ingest auto", STAGE_NONE, prepare_auto, run_ingest, close_input, 0, false},
    {"ingest jsonl", STAGE_NONE, prepare_jsonl, run_ingest, close_input, 0, false},
    {"ingest json", STAGE_NONE, prepare_json, run_ingest, close_input, 0, false},
    {"ingest seq", STAGE_NONE, prepare_seq, run_ingest, close_input, 0, false},
    {"ingest events", STAGE_NONE, prepare_events, run_ingest, close_input, 0, false},
    {"ingest jq", STAGE_NONE, prepare_jq, run_ingest, close_input, 0, false},
};
const unsigned n_engine_scenes = sizeof(engine_scenes) / sizeof(*engine_scenes);

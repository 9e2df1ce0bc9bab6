/* Scenes of the C library: streams, their descriptors, and messages as Lite3.
 *
 * Streams that are to deliver end by a count, so that a slow machine changes nothing; those that
 * end by a time have nothing to deliver. */
#include "tests/proof/faults.h"

#include "plasmite.h"
#include "tests/proof/inject.h"
#include "json/lite3.h"

#include <sys/select.h>

#define BRIEF_MS   5
#define FOR_SURE_S 10 /* in which a bell rings, whatever fails */
#define N_BACK     6  /* messages that streams read */

struct wanted {
    uint64_t n_back;       /* begin so many messages before the end; 0: with what comes */
    uint64_t max_messages; /* 0: no end by count */
    uint64_t timeout_ms;   /* 0: no end by time */
};

static void stream_close(plsm_stream_t *stream)
{
    plsm_stream_free(stream);
}
SCOPED_DEFINE(plsm_stream_t *, stream_close)

static plsm_stream_options_t options_of(const struct stage *stage, struct wanted wanted)
{
    return (plsm_stream_options_t){
        .struct_size = sizeof(plsm_stream_options_t),
        .gap_policy = PLSM_GAP_ERROR,
        .since_seq = stage->first_new + stage->n_acked - wanted.n_back,
        .has_since = 1,
        .max_messages = wanted.max_messages,
        .has_max = wanted.max_messages > 0,
        .timeout_ms = wanted.timeout_ms,
        .has_timeout = wanted.timeout_ms > 0,
    };
}

static int stream_open(
    struct stage *stage, struct wanted wanted, plsm_stream_t **out_stream, plsm_error_t **err)
{
    const plsm_stream_options_t options = options_of(stage, wanted);
    const int r = plsm_stream_open_ex(stage->abi_pool, &options, out_stream, err);
    must(r == 0 || *out_stream == NULL);
    return r;
}

/* Reads to the stream's end. */
static int take_all(plsm_stream_t *stream, unsigned n_expected, plsm_error_t **err)
{
    plsm_buf_t message = {0};
    unsigned n = 0;
    int r;

    while ((r = plsm_stream_next(stream, &message, err)) == 1) {
        plsm_buf_free(&message);
        n++;
    }
    must(r == 0 || message.data == NULL);
    return r == 0 && n != n_expected ? 99 : r;
}

static int run_next(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){N_BACK, N_BACK, 0}, &stream, err) < 0)
        return -1;
    const int r = take_all(stream, N_BACK, err);
    must(r != 0 || plsm_stream_position(stream) == stage->first_new);
    return r;
}

/* Nothing comes: it waits until its time is over. */
static int run_next_waits(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){0, 0, BRIEF_MS}, &stream, err) < 0)
        return -1;
    return take_all(stream, 0, err);
}

static int run_idle(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){0, 0, 0}, &stream, err) < 0 ||
        plsm_stream_idle_timeout(stream, BRIEF_MS, err) < 0)
        return -1;
    return take_all(stream, 0, err);
}

static int run_cancel(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){N_BACK, 0, 0}, &stream, err) < 0)
        return -1;
    plsm_stream_cancel(stream);
    return take_all(stream, 0, err);
}

/* plsm_stream_wait gives no errors: plsm_stream_next does. An interruption looks like an end of its
 * time. */
static int run_wait(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;
    plsm_buf_t message = {0};

    if (stream_open(stage, (struct wanted){1, 0, 0}, &stream, err) < 0)
        return -1;
    must(plsm_stream_wait(stream, 0, err) == 1 && plsm_stream_wait(stream, 0, err) == 1);
    if (plsm_stream_next(stream, &message, err) != 1)
        return -1;
    plsm_buf_free(&message);
    must(plsm_stream_wait(stream, 0, err) == 0);
    return plsm_stream_wait(stream, BRIEF_MS, err);
}

static int run_batch(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;
    unsigned n = 0;
    int r;

    if (stream_open(stage, (struct wanted){N_BACK, N_BACK, 0}, &stream, err) < 0)
        return -1;
    for (;;) {
        plsm_buf_t lines = {0};
        size_t n_lines = 0;
        r = plsm_stream_next_batch(stream, 4, &lines, &n_lines, err);
        must(r == 1 || lines.data == NULL);
        plsm_buf_free(&lines);
        if (r != 1)
            break;
        n += (unsigned)n_lines;
    }
    return r == 0 && n != N_BACK ? 99 : r;
}

static int run_view(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;
    plsm_view_t view;
    uint64_t seq = stage->first_new - N_BACK;
    int r;

    if (stream_open(stage, (struct wanted){N_BACK, N_BACK, 0}, &stream, err) < 0)
        return -1;
    while ((r = plsm_stream_next_view(stream, &view, err)) == 1) {
        must(view.seq == seq++ && view.data_len > 0);
        must(plsm_stream_view_valid(stream, &view) == 1);
    }
    return r == 0 && seq != stage->first_new ? 99 : r;
}

static int run_seek(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){1, 2, 0}, &stream, err) < 0 ||
        plsm_stream_seek_time(stream, UINT64_MAX, err) < 0)
        return -1;
    must(plsm_stream_position(stream) == stage->first_new);
    if (plsm_stream_seek_last(stream, 0, err) < 0 || plsm_stream_seek_last(stream, 100000, err) < 0)
        return -1;
    must(plsm_stream_position(stream) < stage->first_new - 100);
    if (plsm_stream_seek_last(stream, 2, err) < 0)
        return -1;
    return take_all(stream, 2, err);
}

/* What is wanted, and each message but the last one lacks one of: two tags, and another one that
 * an expression asks for. */
static int run_filter(struct stage *stage, plsm_error_t **err)
{
    const char *tags[] = {"a", "b"};
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){4, 1, 0}, &stream, err) < 0 ||
        plsm_stream_require_tags(stream, tags, 1, err) < 0 ||
        plsm_stream_require_tags(stream, tags + 1, 1, err) < 0 ||
        plsm_stream_filter(stream, ".data.n > 3", err) < 0 ||
        plsm_stream_filter(stream, ".meta.tags | any(. == \"c\")", err) < 0)
        return -1;
    const int r = take_all(stream, 1, err);
    return r == 0 && plsm_stream_position(stream) != stage->first_new + 4 ? 99 : r;
}

static void prepare_tagged(struct stage *stage)
{
    static const char *tags[][3] = {
        {"a", "b", "d"}, {"a", "d", "c"}, {"d", "b", "c"}, {"a", "b", "c"}};
    char text[160];

    abi_prepare(stage);
    for (unsigned i = 0; i < 4; i++) {
        const struct view json = stage_message(stage->first_new + i, text);
        must(plsm_pool_append_json_seq(stage->abi_pool, json.data, json.len, tags[i], 3, PLSM_FAST,
                 NULL, NULL, NULL) == 0);
    }
    stage->n_tried = stage->n_acked = 4;
}

/* Descriptors -----------------------------------------------------------------------------------*/

/* Not by poll(), which is made to fail. */
static bool is_ringing(int fd, int seconds)
{
    fd_set set;
    struct timeval patience = {.tv_sec = seconds};
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &patience) == 1;
}

/* A descriptor is to be had or not; if it is, it tells of an append, whatever fails beneath. */
static int run_fd(struct stage *stage, plsm_error_t **err)
{
    const struct wanted wanted = {0, 1, 0};
    scoped(stream_close) plsm_stream_t *stream = NULL;
    scoped(stream_close) plsm_stream_t *second = NULL;
    char text[160];
    int fd = -1, second_fd = -1;

    if (stream_open(stage, wanted, &stream, err) < 0 ||
        stream_open(stage, wanted, &second, err) < 0 || plsm_stream_fd(stream, &fd, err) < 0 ||
        plsm_stream_fd(second, &second_fd, err) < 0)
        return -1;
    must(!is_ringing(fd, 0));
    stage->n_tried = 1;
    const struct view json = stage_message(stage->first_new, text);
    if (plsm_pool_append_json_seq(
            stage->abi_pool, json.data, json.len, NULL, 0, PLSM_FAST, NULL, NULL, err) < 0)
        return -1;
    stage->n_acked = 1;
    must(is_ringing(fd, FOR_SURE_S) && is_ringing(second_fd, FOR_SURE_S));
    must(plsm_stream_wait(stream, 0, NULL) == 1);
    return take_all(stream, 1, err);
}

/* Lite3 -----------------------------------------------------------------------------------------*/

static struct buf payload; /* of the message that comes next, made before anything fails */

static void prepare_payload(struct stage *stage)
{
    struct lite3_fault fault;
    char text[160];

    abi_prepare(stage);
    must(lite3_from_json(view_of(NULL, 0), stage_message(stage->first_new, text), &payload,
             &fault) == LITE3_OK);
}

static void close_payload(struct stage *stage)
{
    buf_fini(&payload);
    abi_close(stage);
}

static int append_payload(struct stage *stage, plsm_error_t **err)
{
    uint64_t seq = 0;
    stage->n_tried = 1;
    const int r =
        plsm_pool_append_lite3(stage->abi_pool, payload.data, payload.len, PLSM_FLUSH, &seq, err);
    must((r == 0) == (seq == stage->first_new));
    stage->n_acked += r == 0;
    return r;
}

/* The newest message is such a one, the one before it JSON. */
static void prepare_both(struct stage *stage)
{
    prepare_payload(stage);
    must(append_payload(stage, NULL) == 0);
}

static int run_get_lite3(struct stage *stage, plsm_error_t **err)
{
    for (uint64_t back = 0; back < 2; back++) {
        plsm_lite3_frame_t frame = {0};
        const int r = plsm_pool_get_lite3(stage->abi_pool, stage->first_new - back, &frame, err);
        must(r == 0 || frame.payload.data == NULL);
        must(r < 0 || (frame.seq == stage->first_new - back && frame.payload.len > 0));
        plsm_lite3_frame_free(&frame);
        if (r < 0)
            return -1;
    }
    return 0;
}

static int run_get_rendered(struct stage *stage, plsm_error_t **err)
{
    plsm_buf_t message = {0};
    const int r = plsm_pool_get_json(stage->abi_pool, stage->first_new, &message, err);
    must(r == 0 || message.data == NULL);
    plsm_buf_free(&message);
    return r;
}

static int take_lite3(plsm_lite3_stream_t *stream, plsm_error_t **err)
{
    plsm_lite3_frame_t frame = {0};
    unsigned n = 0;
    int r;

    while ((r = plsm_lite3_stream_next(stream, &frame, err)) == 1) {
        plsm_lite3_frame_free(&frame);
        n++;
    }
    must(r == 0 || frame.payload.data == NULL);
    return r == 0 && n != N_BACK ? 99 : r;
}

static int run_lite3_stream(struct stage *stage, plsm_error_t **err)
{
    const plsm_stream_options_t options = options_of(stage, (struct wanted){N_BACK, N_BACK, 0});
    plsm_lite3_stream_t *stream = NULL;

    if (plsm_lite3_stream_open_ex(stage->abi_pool, &options, &stream, err) < 0)
        return -1;
    const int r = plsm_stream_filter(plsm_lite3_stream_base(stream), ".data.n > 3", err) < 0
                      ? -1
                      : take_lite3(stream, err);
    plsm_lite3_stream_free(stream);
    return r;
}

static int run_rendered_stream(struct stage *stage, plsm_error_t **err)
{
    scoped(stream_close) plsm_stream_t *stream = NULL;

    if (stream_open(stage, (struct wanted){2, 2, 0}, &stream, err) < 0 ||
        plsm_stream_filter(stream, ".data.n > 3", err) < 0)
        return -1;
    return take_all(stream, 2, err);
}

#define SCENE(name, prepare, run, finish)                                                          \
    {                                                                                              \
        name, STAGE_SOUND, prepare, run, finish, 0, false                                          \
    }

const struct scene stream_scenes[] = {
    SCENE("plsm_stream_next", abi_prepare, run_next, abi_close),
    SCENE("plsm_stream_next that waits", abi_prepare, run_next_waits, abi_close),
    SCENE("plsm_stream_idle_timeout", abi_prepare, run_idle, abi_close),
    SCENE("plsm_stream_cancel", abi_prepare, run_cancel, abi_close),
    SCENE("plsm_stream_wait", abi_prepare, run_wait, abi_close),
    SCENE("plsm_stream_next_batch", abi_prepare, run_batch, abi_close),
    SCENE("plsm_stream_next_batch of Lite3", prepare_both, run_batch, close_payload),
    SCENE("plsm_stream_next_view", abi_prepare, run_view, abi_close),
    SCENE("plsm_stream_seek", abi_prepare, run_seek, abi_close),
    SCENE("plsm_stream_filter", prepare_tagged, run_filter, abi_close),
    SCENE("plsm_stream_fd", abi_prepare, run_fd, abi_close),
    SCENE("plsm_pool_append_lite3", prepare_payload, append_payload, close_payload),
    SCENE("plsm_pool_get_lite3", prepare_both, run_get_lite3, close_payload),
    SCENE("plsm_pool_get_json of Lite3", prepare_both, run_get_rendered, close_payload),
    SCENE("plsm_lite3_stream_next", prepare_both, run_lite3_stream, close_payload),
    SCENE("plsm_stream_next of Lite3", prepare_both, run_rendered_stream, close_payload),
};
const unsigned n_stream_scenes = sizeof(stream_scenes) / sizeof(*stream_scenes);

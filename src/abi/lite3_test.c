/* Lite3 through the library: what comes out is what went in, and both forms show every message. */
#include "abi/abi_test.h"

/* {"meta":{"tags":["a"]},"data":{"k":[1,2.5,"x"]}}, made by the library itself. */
static plsm_lite3_frame_t payload_of(plsm_pool_t *pool, const char *json)
{
    const char *tags[] = {"a"};
    plsm_lite3_frame_t frame = {0};
    plsm_buf_t message = {0};
    check_ok(plsm_pool_append_json(
        pool, (const uint8_t *)json, strlen(json), tags, 1, PLSM_FAST, &message, &test_error));
    check_ok(plsm_pool_get_lite3(pool, test_seq(&message), &frame, &test_error));
    assert_int_equal(frame.seq, test_seq(&message));
    plsm_buf_free(&message);
    return frame;
}

static int append(plsm_pool_t *pool, const void *payload, size_t len, uint64_t *out_seq)
{
    return plsm_pool_append_lite3(pool, payload, len, PLSM_FAST, out_seq, &test_error);
}

/* {"meta":{"tags":[]},"data":{}} */
static const uint8_t smallest[408] = {[0x00] = 6,
    2,
    [0x04] = 0x5f,
    0x91,
    0x95,
    0x7c,
    0xcc,
    0x91,
    0x9a,
    0x7c,
    [0x20] = 0x82,
    [0x24] = 0x32,
    1,
    0,
    0,
    0x62,
    [0x62] = 0x14,
    'm',
    'e',
    't',
    'a',
    0,
    6,
    1,
    [0x6c] = 0xd4,
    0x55,
    0x9e,
    0x7c,
    [0x88] = 0x41,
    [0x8c] = 0xca,
    [0xca] = 0x14,
    't',
    'a',
    'g',
    's',
    0,
    7,
    [0x132] = 0x14,
    'd',
    'a',
    't',
    'a',
    0,
    6};

static void test_a_payload_comes_back_byte_for_byte(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("bytes.plasmite", 65536);
    uint8_t longer[sizeof(smallest) + 5] = {0};
    plsm_lite3_frame_t frame = {.flags = 9};
    uint64_t seq = 0;

    memcpy(longer, smallest, sizeof(smallest));
    memcpy(longer + sizeof(smallest), "trail", 5); /* belongs to nothing, and is kept */
    check_ok(plsm_pool_append_lite3(pool, longer, sizeof(longer), PLSM_FLUSH, &seq, &test_error));
    assert_int_equal(seq, 1);
    check_ok(plsm_pool_get_lite3(pool, 1, &frame, &test_error));
    assert_int_equal(frame.seq, 1);
    assert_int_equal(frame.flags, 0);
    assert_true(frame.timestamp_ns > UINT64_C(1600000000000000000));
    assert_int_equal(frame.payload.len, sizeof(longer));
    assert_memory_equal(frame.payload.data, longer, sizeof(longer));
    assert_int_equal((uintptr_t)frame.payload.data % 8, 0);
    plsm_lite3_frame_free(&frame);
    assert_null(frame.payload.data);
    plsm_lite3_frame_free(&frame);
    plsm_pool_free(pool);
}

static void expect_json(plsm_pool_t *pool, uint64_t seq, const char *end)
{
    plsm_buf_t message = {0};
    check_ok(plsm_pool_get_json(pool, seq, &message, &test_error));
    assert_true(message.len > strlen(end));
    assert_memory_equal(message.data + message.len - strlen(end), end, strlen(end));
    assert_int_equal(test_seq(&message), seq);
    plsm_buf_free(&message);
}

static void test_lite3_is_read_as_json(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("json.plasmite", 65536);
    plsm_lite3_frame_t frame = payload_of(pool, "{\"k\":[1,2.50,\"x\"]}");
    uint64_t seq = 0;

    check_ok(append(pool, frame.payload.data, frame.payload.len, &seq));
    assert_int_equal(seq, 2);
    expect_json(pool, 1, "\"meta\":{\"tags\":[\"a\"]},\"data\":{\"k\":[1,2.50,\"x\"]}}");
    expect_json(pool, 2, "\"meta\":{\"tags\":[\"a\"]},\"data\":{\"k\":[1,2.5,\"x\"]}}");
    plsm_lite3_frame_free(&frame);
    check_ok(append(pool, smallest, sizeof(smallest), &seq));
    expect_json(pool, 3, "\"meta\":{\"tags\":[]},\"data\":{}}");

    plsm_stream_t *stream = NULL;
    plsm_buf_t message = {0};
    check_ok(plsm_stream_open(pool, 2, 1, 1, 1, 0, 0, &stream, &test_error));
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
    assert_int_equal(test_seq(&message), 2);
    assert_memory_equal(message.data + message.len - 9, ".5,\"x\"]}}", 9);
    plsm_buf_free(&message);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_json_is_read_as_lite3(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("lite3.plasmite", 65536);
    plsm_lite3_frame_t frame = {0};
    plsm_buf_t message = {0};

    check_ok(test_append_json(pool, "{}", &message));
    plsm_buf_free(&message);
    check_ok(plsm_pool_get_lite3(pool, 1, &frame, &test_error));
    assert_int_equal(frame.payload.len, sizeof(smallest));
    assert_memory_equal(frame.payload.data, smallest, sizeof(smallest));
    plsm_lite3_frame_free(&frame);
    plsm_pool_free(pool);
}

static void test_a_stream_gives_both_kinds(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("stream.plasmite", 65536);
    const plsm_stream_options_t options = {.struct_size = sizeof(options),
        .has_max = 1,
        .max_messages = 3,
        .gap_policy = PLSM_GAP_ERROR};
    plsm_lite3_stream_t *stream = NULL;
    plsm_lite3_frame_t frame = payload_of(pool, "{\"n\":1}");
    uint64_t seq = 0;

    check_ok(append(pool, frame.payload.data, frame.payload.len, &seq));
    check_ok(append(pool, smallest, sizeof(smallest), &seq));
    check_ok(plsm_lite3_stream_open_ex(pool, &options, &stream, &test_error));
    for (uint64_t i = 1; i <= 3; i++) {
        plsm_lite3_frame_t next = {0};
        const bool is_smallest = i == 3;
        assert_int_equal(plsm_lite3_stream_next(stream, &next, &test_error), 1);
        assert_int_equal(next.seq, i);
        assert_int_equal(next.payload.len, is_smallest ? sizeof(smallest) : frame.payload.len);
        assert_memory_equal(
            next.payload.data, is_smallest ? smallest : frame.payload.data, next.payload.len);
        plsm_lite3_frame_free(&next);
    }
    assert_int_equal(plsm_lite3_stream_next(stream, &frame, &test_error), 0);
    plsm_lite3_stream_free(stream);
    plsm_lite3_frame_free(&frame);

    check_ok(plsm_lite3_stream_open(pool, 9, 1, 0, 0, 0, 1, &stream, &test_error));
    assert_int_equal(plsm_lite3_stream_next(stream, &frame, &test_error), 0);
    plsm_lite3_stream_free(stream);
    plsm_pool_free(pool);
}

static void check_refused(plsm_pool_t *pool, const void *payload, size_t len, const char *message)
{
    uint64_t seq = 77;
    check_fails(append(pool, payload, len, &seq), PLSM_ERROR_CORRUPT, message);
    assert_int_equal(seq, 77);
}

static void test_payloads_that_are_no_messages(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("refused.plasmite", 65536);
    const char *text = "{\"meta\":{\"tags\":[]},\"data\":{}}";
    const struct {
        size_t at;
        const char *message;
    } other_types[] = {{0, "root is not object"}, {0x68, "meta is not object"},
        {0x138, "data is not object"}, {0xd0, "meta.tags must be array"}};

    check_refused(pool, text, 0, "root is not object");
    check_refused(pool, "\1", 1, "root is not object");
    check_refused(pool, "\6\0\0", 3, "root is not object");
    check_refused(pool, text, strlen(text), "root is not object");
    for (size_t i = 0; i < 4; i++) {
        uint8_t changed[sizeof(smallest)];
        memcpy(changed, smallest, sizeof(smallest));
        changed[other_types[i].at] = 5;
        check_refused(pool, changed, sizeof(changed), other_types[i].message);
    }
    check_refused(pool, smallest, sizeof(smallest) - 1, "lite3 node is not inside the payload");

    /* a tag that is a number: the string's type and length become one */
    plsm_lite3_frame_t frame = payload_of(pool, "{}");
    uint8_t *tag = memmem(frame.payload.data, frame.payload.len, "\5\2\0\0\0a", 6);
    assert_non_null(tag);
    *tag = 0;
    check_refused(pool, frame.payload.data, frame.payload.len, "meta.tags must be string array");
    plsm_lite3_frame_free(&frame);
    plsm_pool_free(pool);
}

static void test_arguments_are_checked_in_order(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("arguments.plasmite", 8192);
    const uint8_t *json = (const uint8_t *)"{}";
    plsm_stream_options_t options = {.struct_size = 47};
    plsm_lite3_stream_t *stream = NULL;
    plsm_lite3_frame_t frame = {0};
    uint64_t seq = 0;

#define FAILS(call, message) check_fails(call, PLSM_ERROR_USAGE, message)
    FAILS(plsm_pool_append_lite3(NULL, NULL, 1, 9, NULL, &test_error), "pool is null");
    FAILS(plsm_pool_append_lite3(pool, NULL, 1, 9, NULL, &test_error), "out_seq is null");
    FAILS(plsm_pool_append_lite3(pool, NULL, 1, 9, &seq, &test_error), "lite3_bytes is null");
    FAILS(plsm_pool_append_lite3(pool, json, 2, 99, &seq, &test_error), "invalid durability");
    FAILS(plsm_pool_get_lite3(NULL, 1, &frame, &test_error), "pool is null");
    FAILS(plsm_pool_get_lite3(pool, 1, NULL, &test_error), "out_frame is null");
    FAILS(plsm_lite3_stream_next(NULL, NULL, &test_error), "stream is null");
    FAILS(plsm_lite3_stream_open_ex(NULL, NULL, NULL, &test_error), "stream options are null");
    FAILS(plsm_lite3_stream_open_ex(NULL, &options, NULL, &test_error),
        "stream options are too small: got 47 bytes, need at least 48");
    options.struct_size = 48;
    FAILS(plsm_lite3_stream_open_ex(NULL, &options, NULL, &test_error), "pool is null");
    FAILS(plsm_lite3_stream_open_ex(pool, &options, NULL, &test_error), "out_stream is null");
    FAILS(plsm_lite3_stream_open(pool, 0, 0, 0, 0, 0, 0, NULL, &test_error), "out_stream is null");
    check_ok(plsm_lite3_stream_open_ex(pool, &options, &stream, &test_error));
    FAILS(plsm_lite3_stream_next(stream, NULL, &test_error), "out_frame is null");
#undef FAILS
    plsm_lite3_stream_free(stream);
    plsm_lite3_stream_free(NULL);
    plsm_lite3_frame_free(NULL);
    plsm_pool_free(pool);
}

static void test_missing_messages_and_large_ones(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("missing.plasmite", 8192);
    uint8_t *large = calloc(1, 8192);
    plsm_lite3_frame_t frame = {0};
    uint64_t seq = 0;

    assert_non_null(large);
    memcpy(large, smallest, sizeof(smallest));
    check_fails(append(pool, large, 8192, &seq), PLSM_ERROR_USAGE, "payload exceeds ring capacity");
    free(large);
    assert_int_equal(plsm_pool_get_lite3(pool, 42, &frame, &test_error), -1);
    assert_int_equal(test_error->seq, 42);
    assert_int_equal(test_error->has_seq, 1);
    assert_null(test_error->path);
    check_error(PLSM_ERROR_NOT_FOUND, "message not found");
    plsm_pool_free(pool);
}

/* Deeper than Lite3 can say: the stream tells, and goes on. */
static void test_a_message_that_lite3_cannot_hold(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("deep.plasmite", 65536);
    static const char why[] = "the message cannot be given as Lite3: nested deeper than Lite3 can "
                              "hold: more than 32 levels";
    plsm_lite3_stream_t *stream = NULL;
    plsm_lite3_frame_t frame = {0};
    plsm_buf_t message = {0};
    char json[128];

    snprintf(json, sizeof(json), "{\"a\":%.*s%.*s}", 31, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 31,
        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    check_ok(test_append_json(pool, json, &message));
    plsm_buf_free(&message);
    test_append(pool, 2);
    check_fails(plsm_pool_get_lite3(pool, 1, &frame, &test_error), PLSM_ERROR_USAGE, why);
    check_ok(plsm_lite3_stream_open(pool, 1, 1, 1, 1, 0, 0, &stream, &test_error));
    assert_int_equal(plsm_lite3_stream_next(stream, &frame, &test_error), -1);
    assert_int_equal(test_error->seq, 1);
    check_error(PLSM_ERROR_USAGE, why);
    assert_int_equal(plsm_lite3_stream_next(stream, &frame, &test_error), 1);
    assert_int_equal(frame.seq, 2);
    plsm_lite3_frame_free(&frame);
    plsm_lite3_stream_free(stream);
    plsm_pool_free(pool);
}

/* What streams can do beside giving one message after the other, on both kinds of messages. */
static void test_streams_with_filters_batches_and_views(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("more.plasmite", 65536);
    const char *tags[] = {"a"};
    plsm_lite3_frame_t frame = payload_of(pool, "{\"n\":1}"); /* seq 1: JSON, with the tag a */
    plsm_stream_t *stream = NULL;
    plsm_lite3_stream_t *lite3 = NULL;
    plsm_buf_t lines = {0};
    plsm_view_t view = {0};
    uint64_t seq = 0;
    size_t n_messages = 0;

    check_ok(append(pool, frame.payload.data, frame.payload.len, &seq));
    check_ok(append(pool, smallest, sizeof(smallest), &seq));
    check_ok(plsm_stream_open(pool, 1, 1, 0, 0, 0, 0, &stream, &test_error));
    check_ok(plsm_stream_require_tags(stream, tags, 1, &test_error));
    check_ok(plsm_stream_filter(stream, ".data.n == 1", &test_error));
    assert_int_equal(plsm_stream_next_batch(stream, 9, &lines, &n_messages, &test_error), 1);
    assert_int_equal(n_messages, 2);
    const uint8_t *second = (const uint8_t *)memchr(lines.data, '\n', lines.len) + 1;
    assert_memory_equal(second, "{\"seq\":2,", 9);
    assert_memory_equal(lines.data + lines.len - 9, "{\"n\":1}}\n", 9);
    plsm_buf_free(&lines);
    plsm_stream_free(stream);

    check_ok(plsm_stream_open(pool, 3, 1, 0, 0, 0, 0, &stream, &test_error));
    assert_int_equal(plsm_stream_next_view(stream, &view, &test_error), 1);
    assert_int_equal(view.is_lite3, 1);
    assert_int_equal(view.data_len, sizeof(smallest));
    assert_memory_equal(view.data, smallest, sizeof(smallest));
    plsm_stream_free(stream);

    check_ok(plsm_lite3_stream_open(pool, 2, 1, 1, 1, 0, 0, &lite3, &test_error));
    plsm_lite3_frame_free(&frame);
    assert_int_equal(plsm_lite3_stream_next(lite3, &frame, &test_error), 1);
    assert_int_equal(frame.seq, 2);
    plsm_lite3_frame_free(&frame);
    plsm_lite3_stream_free(lite3);

    check_ok(plsm_lite3_stream_open(pool, 1, 1, 0, 0, 0, 0, &lite3, &test_error));
    plsm_stream_t *base = plsm_lite3_stream_base(lite3);
    check_ok(plsm_stream_filter(base, ".data | has(\"n\") | not", &test_error));
    assert_int_equal(plsm_stream_wait(base, 0, &test_error), 1);
    assert_int_equal(plsm_lite3_stream_next(lite3, &frame, &test_error), 1);
    assert_int_equal(frame.seq, 3);
    assert_int_equal(plsm_stream_wait(base, 0, &test_error), 0);
    plsm_stream_cancel(base);
    plsm_lite3_frame_free(&frame);
    assert_int_equal(plsm_lite3_stream_next(lite3, &frame, &test_error), 0);
    plsm_lite3_stream_free(lite3);
    assert_null(plsm_lite3_stream_base(NULL));
    plsm_pool_free(pool);
}

TESTS(test_a_payload_comes_back_byte_for_byte, test_lite3_is_read_as_json,
    test_json_is_read_as_lite3, test_a_stream_gives_both_kinds, test_payloads_that_are_no_messages,
    test_arguments_are_checked_in_order, test_missing_messages_and_large_ones,
    test_a_message_that_lite3_cannot_hold, test_streams_with_filters_batches_and_views)

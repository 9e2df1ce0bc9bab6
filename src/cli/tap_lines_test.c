#include "cli/tap_lines.h"

#include "base/limits.h"
#include "base/test.h"
#include "json/json.h"
#include "json/span.h"

#include <inttypes.h>

/* What was appended: the data texts, each ended by LF, and how they came. */
struct stored {
    struct buf text;
    size_t n_messages;
    size_t n_batches;
    uint64_t ring_size;
    bool fail;
};

static int stored_append(
    void *context, const struct message *messages, size_t n_messages, plsm_error_t **err)
{
    struct stored *stored = context;
    uint64_t bytes = 0;

    if (stored->fail)
        return error_set(err, PLSM_ERROR_IO, "no");
    assert_in_range(n_messages, 1, LIMIT_BATCH_MESSAGES);
    for (size_t i = 0; i < n_messages; i++) {
        const struct view data = messages[i].data;
        uint8_t *compact = malloc(data.len + JSON_SLACK);
        size_t len = 0;
        assert_non_null(compact);
        assert_true(json_compact(data.data, data.len, compact, &len, NULL));
        assert_int_equal(len, data.len); /* it was compact */
        free(compact);
        bytes += message_footprint(&messages[i]);
        assert_int_equal(buf_append(&stored->text, data.data, data.len), 0);
        assert_int_equal(buf_append(&stored->text, "\n", 1), 0);
    }
    assert_true(bytes <= stored->ring_size);
    stored->n_messages += n_messages;
    stored->n_batches++;
    return 0;
}

#define RING_BYTES 65536u

static void start(struct lines *lines, struct stored *stored, uint64_t ring_size)
{
    *stored = (struct stored){.ring_size = ring_size};
    assert_int_equal(
        lines_init(lines, "stdout", view_str(""), ring_size, stored_append, stored, NULL), 0);
}

/* Puts all of it, in pieces of this many bytes, and ends the stream. */
static void put_all(struct lines *lines, struct view bytes, size_t piece)
{
    size_t at = 0, end = 0, used;
    while (end < bytes.len) {
        end = bytes.len - end < piece ? bytes.len : end + piece;
        assert_int_equal(
            lines_put(lines, view_of(bytes.data + at, end - at), false, &used, NULL), 0);
        assert_true(end - at - used <= 3); /* the beginning of a character */
        at += used;
    }
    assert_int_equal(lines_put(lines, view_of(bytes.data + at, end - at), true, &used, NULL), 0);
    assert_int_equal(used, end - at);
    assert_int_equal(lines_end(lines, NULL), 0);
}

static void stop(struct lines *lines, struct stored *stored)
{
    lines_fini(lines);
    buf_fini(&stored->text);
}

/* One message for each of the texts (JSON, with quotes), however the bytes are cut. */
static void expect(const char *bytes, size_t len, const char *const texts[])
{
    scoped(buf_fini) struct buf expected = {0};
    for (size_t i = 0; texts[i] != NULL; i++)
        assert_int_equal(buf_appendf(&expected,
                             "{\"kind\":\"line\",\"line\":%s,\"stream\":\"stdout\"}\n", texts[i]),
            0);
    for (size_t piece = 1; piece <= len + 1; piece++) {
        struct lines lines;
        struct stored stored;
        start(&lines, &stored, RING_BYTES);
        put_all(&lines, view_of(bytes, len), piece);
        assert_int_equal(stored.text.len, expected.len);
        if (expected.len > 0)
            assert_memory_equal(stored.text.data, expected.data, expected.len);
        assert_int_equal(lines.n_lines, stored.n_messages);
        stop(&lines, &stored);
    }
}

#define EXPECT(bytes, ...) expect(bytes, sizeof(bytes) - 1, (const char *const[]){__VA_ARGS__})

static void test_lines_become_messages(void **state)
{
    (void)state;
    EXPECT("", NULL);
    EXPECT("\n", "\"\"", NULL);
    EXPECT("a\nbc\n\nd", "\"a\"", "\"bc\"", "\"\"", "\"d\"", NULL);
    EXPECT("exactly8\nsixteen letters!\n", "\"exactly8\"", "\"sixteen letters!\"", NULL);
}

static void test_carriage_returns_at_the_end_are_dropped(void **state)
{
    (void)state;
    EXPECT("a\r\nb\r\r\r\n\r\nc\rd\r", "\"a\"", "\"b\"", "\"\"", "\"c\\rd\"", NULL);
    EXPECT("a\\r\nb\\\\r\n\\\r\n", "\"a\\\\r\"", "\"b\\\\\\\\r\"", "\"\\\\\"", NULL);
    EXPECT("r\n\\r\r\n", "\"r\"", "\"\\\\r\"", NULL);
}

static void test_special_characters_are_escaped(void **state)
{
    (void)state;
    EXPECT("\"\\\b\f\t\x1f\x7f/\n", "\"\\\"\\\\\\b\\f\\t\\u001f\x7f/\"", NULL);
    EXPECT("a\0b\n\0", "\"a\\u0000b\"", "\"\\u0000\"", NULL);
    EXPECT("1234567\"123456\\1234567\x01\n", "\"1234567\\\"123456\\\\1234567\\u0001\"", NULL);
}

static void test_text_that_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    EXPECT(
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", NULL);
    EXPECT("a\xff"
           "b\n\xc3\n",
        "\"a\xef\xbf\xbd"
        "b\"",
        "\"\xef\xbf\xbd\"", NULL);
    EXPECT("\xe2\x82\n\xf0\x9f\x98", "\"\xef\xbf\xbd\xef\xbf\xbd\"",
        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", NULL);
    EXPECT("\xed\xa0\x80\xc0\x80\xf5\n",
        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", NULL);
}

static void test_a_line_leaves_with_the_bytes_that_end_it(void **state)
{
    (void)state;
    struct lines lines;
    struct stored stored;
    size_t used;

    start(&lines, &stored, RING_BYTES);
    assert_int_equal(lines_put(&lines, view_str("one"), false, &used, NULL), 0);
    assert_int_equal(stored.n_messages, 0);
    assert_int_equal(lines_put(&lines, view_str("\xe2\n"), false, &used, NULL), 0);
    assert_int_equal(used, 2);
    assert_int_equal(stored.n_messages, 1);
    assert_int_equal(lines_put(&lines, view_str("2\n3\n4\nfive"), false, &used, NULL), 0);
    assert_int_equal(stored.n_messages, 4);
    assert_int_equal(stored.n_batches, 2);
    stop(&lines, &stored);
}

/* ---- lines that are cut -------------------------------------------------------------------- */

/* Joins the parts of the last line that was stored, and checks how they say so. */
static uint64_t joined(const struct stored *stored, struct buf *out_line)
{
    const uint8_t *at = stored->text.data, *end = at + stored->text.len;
    uint64_t n_parts = 0;

    while (at < end) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
        const struct view data = view_of(at, (size_t)(lf - at));
        struct json_value line;
        char part[64];
        n_parts++;
        snprintf(part, sizeof(part), "\",\"part\":%" PRIu64 "%s,\"stream\":\"stdout\"}", n_parts,
            lf + 1 < end ? ",\"more\":true" : "");
        assert_true(data.len > strlen(part));
        assert_memory_equal(data.data + data.len - strlen(part), part, strlen(part));
        assert_true(json_find(data, view_str("line"), &line));
        assert_int_equal(json_unescape(line, out_line), 0);
        at = lf + 1;
    }
    return n_parts;
}

/* A repeated text of len bytes as one line. */
static void cut_line(const char *pattern, size_t pattern_len, size_t len, uint64_t ring_size)
{
    scoped(buf_fini) struct buf line = {0};
    scoped(buf_fini) struct buf back = {0};
    struct lines lines;
    struct stored stored;

    while (line.len + pattern_len <= len)
        assert_int_equal(buf_append(&line, pattern, pattern_len), 0);
    const size_t whole = line.len;
    assert_int_equal(buf_append(&line, "\n", 1), 0);
    start(&lines, &stored, ring_size);
    put_all(&lines, buf_view(&line), 50000);
    assert_true(joined(&stored, &back) > 8);
    assert_int_equal(back.len, whole);
    assert_memory_equal(back.data, line.data, whole);
    assert_int_equal(lines.n_lines, 1);
    /* memory: one message, and not the line */
    assert_true(lines.text.capacity <= 2 * ((size_t)LIMIT_LINE_BYTES + 4096));
    stop(&lines, &stored);
}

static void test_a_line_larger_than_the_ring_is_cut(void **state)
{
    (void)state;
    cut_line("0123456789", 10, 200000, RING_BYTES);
    cut_line("\xc3\xa4", 2, 150001, RING_BYTES);
    cut_line("a\xf0\x9f\x98\x80", 5, 150001, RING_BYTES);
    cut_line("\x01", 1, 90000, RING_BYTES);
    cut_line("\\\\r\"x", 5, 90000, RING_BYTES);
    cut_line("\0\xe2\x82\xac", 4, 90000, 4096);
}

static void test_a_line_larger_than_the_limit_is_cut(void **state)
{
    (void)state;
    cut_line("0123456789", 10, LIMIT_LINE_BYTES + 100000, UINT64_C(1) << 30);
}

/* A line of n letters: how many messages it becomes. */
static size_t n_messages_of(size_t n, uint64_t ring_size)
{
    struct lines lines;
    struct stored stored;
    size_t used;

    char *line = malloc(n + 2);
    assert_non_null(line);
    memset(line, 'x', n);
    memcpy(line + n, "\n", 2);
    start(&lines, &stored, ring_size);
    assert_int_equal(lines_put(&lines, view_of(line, n + 1), false, &used, NULL), 0);
    const size_t n_messages = stored.n_messages;
    stop(&lines, &stored);
    free(line);
    return n_messages;
}

static void test_a_line_that_fits_is_whole(void **state)
{
    (void)state;
    assert_int_equal(n_messages_of(RING_BYTES - 256, RING_BYTES), 1);
    assert_true(n_messages_of(RING_BYTES, RING_BYTES) > 1);
    assert_int_equal(n_messages_of(LIMIT_LINE_BYTES - 256, UINT64_C(1) << 30), 1);
}

static void test_batches_leave_room_in_the_ring(void **state)
{
    (void)state;
    struct lines lines;
    struct stored stored;
    static char bytes[200000];

    memset(bytes, '\n', sizeof(bytes));
    start(&lines, &stored, UINT64_C(1) << 30);
    put_all(&lines, view_of(bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(stored.n_messages, sizeof(bytes));
    assert_in_range(stored.n_batches, sizeof(bytes) / LIMIT_BATCH_MESSAGES, 200);
    stop(&lines, &stored);

    start(&lines, &stored, RING_BYTES);
    put_all(&lines, view_of(bytes, 5000), 5000);
    assert_int_equal(stored.n_messages, 5000);
    assert_true(stored.n_batches >= 8 * 5000 * 96 / RING_BYTES);
    stop(&lines, &stored);
}

static void test_tags_that_fill_the_ring_do_not_fit(void **state)
{
    (void)state;
    static char tags[4096];
    assert_true(lines_fit(view_str(""), 4096));
    assert_true(lines_fit(view_of(tags, 2048), 4096));
    assert_false(lines_fit(view_of(tags, 3900), 4096));
    assert_false(lines_fit(view_of(tags, 4096), 4096));
}

static void test_a_failed_append_is_handed_up(void **state)
{
    (void)state;
    struct lines lines;
    struct stored stored;
    plsm_error_t *err = NULL;
    size_t used;

    start(&lines, &stored, RING_BYTES);
    stored.fail = true;
    assert_int_equal(lines_put(&lines, view_str("a\n"), false, &used, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_IO);
    plsm_error_free(err);
    stored.fail = false;
    assert_int_equal(lines_put(&lines, view_str("b\n"), false, &used, NULL), 0);
    assert_int_equal(stored.n_messages, 1); /* what failed is not appended later */
    stop(&lines, &stored);
}

TESTS(test_lines_become_messages, test_carriage_returns_at_the_end_are_dropped,
    test_special_characters_are_escaped, test_text_that_is_not_utf8_is_replaced,
    test_a_line_leaves_with_the_bytes_that_end_it, test_a_line_larger_than_the_ring_is_cut,
    test_a_line_larger_than_the_limit_is_cut, test_a_line_that_fits_is_whole,
    test_batches_leave_room_in_the_ring, test_tags_that_fill_the_ring_do_not_fit,
    test_a_failed_append_is_handed_up)

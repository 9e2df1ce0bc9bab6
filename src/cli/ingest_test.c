#include "cli/ingest.h"

#include "base/test.h"

#include <errno.h>
#include <unistd.h>

static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % n;
}

/* What came out of a stream: for each record its JSON, or '!' and the reason. */
struct outcome {
    struct buf text;
    uint64_t n_good;
    uint64_t n_bad;
};

/* Gives the input to the reader in pieces, each when it asks for more; stop: as feed without
 * --errors skip, ends at the first bad record. */
static void drain(struct view input, enum ingest_mode mode, bool skip, uint64_t seed, bool whole,
    struct outcome *out)
{
    scoped(ingest_fini) struct ingest ingest = {0};
    int ends[2];
    size_t at = 0;

    assert_int_equal(pipe(ends), 0);
    ingest_init(&ingest, ends[0], mode, skip);
    for (uint64_t expected_index = 1;;) {
        struct ingest_record record;
        const int r = ingest_next(&ingest, &record, NULL);
        assert_true(r >= 0);
        if (r == INGEST_END)
            break;
        if (r == INGEST_RECORD || r == INGEST_BAD) {
            assert_true(record.index == expected_index++);
            const bool good = r == INGEST_RECORD;
            out->n_good += good;
            out->n_bad += !good;
            assert_int_equal(good ? buf_append(&out->text, record.data.data, record.data.len)
                                  : buf_append_str(&out->text,
                                        record.reason == INGEST_PARSE ? "!parse" : "!oversize"),
                0);
            assert_int_equal(buf_append_str(&out->text, "\n"), 0);
            if (!good && !skip)
                break;
            continue;
        }
        ingest_release(&ingest);
        if (r == INGEST_FULL)
            continue;
        size_t piece = whole ? 60000 : 1 + random_below(&seed, 40);
        piece = piece < input.len - at ? piece : input.len - at;
        if (piece > 0)
            assert_int_equal(write(ends[1], input.data + at, piece), piece);
        at += piece;
        if (piece == 0 && ends[1] >= 0) {
            close(ends[1]);
            ends[1] = -1;
        }
        assert_int_equal(ingest_read(&ingest, NULL), 0);
    }
    if (ends[1] >= 0)
        close(ends[1]);
    close(ends[0]);
}

static void check_same(struct view input, enum ingest_mode mode, bool skip, uint64_t seed)
{
    struct outcome whole = {0}, pieces = {0};
    drain(input, mode, skip, seed, true, &whole);
    drain(input, mode, skip, seed, false, &pieces);
    if (!view_equal(buf_view(&whole.text), buf_view(&pieces.text)))
        fail_msg("seed %llu: %.*s: %.*s <> %.*s", (unsigned long long)seed, (int)input.len,
            (const char *)input.data, (int)whole.text.len, (const char *)whole.text.data,
            (int)pieces.text.len, (const char *)pieces.text.data);
    buf_fini(&whole.text);
    buf_fini(&pieces.text);
}

static void random_stream(uint64_t *seed, struct buf *out)
{
    static const char *const parts[] = {"{\"a\":1}", "{", "}", "[", "]", "\n", "\n", "\r\n", "\n\n",
        " ", "\"k\":", "1", ",", "{\n\"a\": [\n{\n}]\n}", "nope", "data: ", "data: {\"a\":1}\n\n",
        "event: x\n", ":\n", "\x1e", "\x1e{\"a\":1}\n", "\xff", "\"s", "\"", "{}{}"};
    for (uint32_t n = random_below(seed, 14); n > 0; n--)
        assert_int_equal(
            buf_append_str(out, parts[random_below(seed, sizeof(parts) / sizeof(parts[0]))]), 0);
}

/* However a stream is cut into reads, the same records come out, good and bad. */
static void property_reads_do_not_matter(void **state)
{
    (void)state;
    static const enum ingest_mode modes[] = {
        INGEST_AUTO, INGEST_JSONL, INGEST_LINES, INGEST_JSON, INGEST_SEQ, INGEST_EVENTS, INGEST_JQ};
    for (uint64_t round = 0; round < 14000; round++) {
        uint64_t seed = round;
        scoped(buf_fini) struct buf input = {0};
        random_stream(&seed, &input);
        const enum ingest_mode mode = modes[round % (sizeof(modes) / sizeof(modes[0]))];
        const bool skip = mode != INGEST_JQ && random_below(&seed, 2) == 0;
        check_same(buf_view(&input), mode, skip, seed);
    }
}

/* Strict JSON Lines are what a plain split at line ends gives. */
static void property_strict_lines_are_lines(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 3000; round++) {
        uint64_t seed = round;
        scoped(buf_fini) struct buf input = {0};
        struct outcome out = {0}, expected = {0};
        random_stream(&seed, &input);
        drain(buf_view(&input), INGEST_JSONL, true, seed, false, &out);
        for (size_t at = 0; at < input.len;) {
            const uint8_t *end = memchr(input.data + at, '\n', input.len - at);
            const size_t len = end == NULL ? input.len - at : (size_t)(end - input.data) - at;
            uint8_t compact[1024 + JSON_SLACK];
            size_t compact_len = 0, blanks = 0;
            while (blanks < len && memchr(" \r", input.data[at + blanks], 2) != NULL)
                blanks++;
            const bool good = json_compact(input.data + at, len, compact, &compact_len, NULL);
            expected.n_good += good;
            expected.n_bad += !good && blanks < len;
            at += len + 1;
        }
        assert_true(out.n_good == expected.n_good && out.n_bad == expected.n_bad);
        buf_fini(&out.text);
    }
}

static void test_results_are_handed_over_in_time(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf input = {0};
    struct outcome out = {0};
    for (int i = 0; i < 50000; i++)
        assert_int_equal(buf_append_str(&input, "{\"some\":\"text of a record\"}\n"), 0);
    drain(buf_view(&input), INGEST_AUTO, false, 0, true, &out);
    assert_true(out.n_good == 50000 && out.n_bad == 0);
    buf_fini(&out.text);
}

static void test_failed_reads_are_told(void **state)
{
    (void)state;
    scoped(ingest_fini) struct ingest ingest = {0};
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    ingest_init(&ingest, -1, INGEST_AUTO, false);
    assert_int_equal(ingest_read(&ingest, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_IO);
    assert_int_equal(error_errno_of(err), EBADF);
}

static void test_broken_utf8_is_replaced(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf out = {0};
    static const char text[] = "a\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82";
    assert_int_equal(ingest_lossy(view_str(text), &out), 0);
    static const char expected[] = "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                   "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd";
    assert_true(view_equal(buf_view(&out), view_str(expected)));
}

/* What is good of the stream, and how many records were bad. */
static void check_skipping(enum ingest_mode mode, const char *input, const char *good, size_t n_bad)
{
    struct outcome out = {0};
    scoped(buf_fini) struct buf found = {0};
    drain(view_str(input), mode, true, 0, true, &out);
    const char *text = (const char *)out.text.data;
    for (size_t at = 0; at < out.text.len;) {
        const size_t len = strcspn(text + at, "\n") + 1;
        if (text[at] != '!')
            assert_int_equal(buf_append(&found, text + at, len), 0);
        at += len;
    }
    assert_true(view_equal(buf_view(&found), view_str(good)));
    assert_int_equal(out.n_bad, n_bad);
    buf_fini(&out.text);
    check_same(view_str(input), mode, true, 1);
}

static void test_a_banner_before_a_sequence_is_one_bad_record(void **state)
{
    (void)state;
    static const char good[] = "{\"n\":1}\n{\"n\":2}\n";
    check_skipping(INGEST_AUTO, "-- begins --\n\x1e{\"n\":1}\n\x1e{\"n\":2}\n", good, 1);
    check_skipping(INGEST_AUTO, "{\n\x1e{\"n\":1}\n\x1e{\"n\":2}\n", good, 1);
    check_skipping(INGEST_AUTO, "{\"n\":1}\n\x1e{\"n\":2}\n", good, 0);
    check_skipping(INGEST_JSONL, "{\"n\":1}\n\x1e\n{\"n\":2}\n", good, 1);
}

static void test_a_late_separator_is_one_bad_line(void **state)
{
    (void)state;
    check_skipping(INGEST_AUTO, "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\x1e\n[]\n",
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n[]\n", 1);
}

TESTS(property_reads_do_not_matter, property_strict_lines_are_lines,
    test_results_are_handed_over_in_time, test_failed_reads_are_told, test_broken_utf8_is_replaced,
    test_a_banner_before_a_sequence_is_one_bad_record, test_a_late_separator_is_one_bad_line)

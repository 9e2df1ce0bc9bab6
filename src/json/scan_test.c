/* The scanners against each other and against a plain model: random documents with random
 * blanks, faults put into them, and every way to cut them off. PLSM_SEED=n repeats a run. */
#include "base/clock.h"
#include "base/test.h"
#include "json/scan.h"

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * n >> 32);
}

static void random_begin(void)
{
    const char *seed = getenv("PLSM_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 10) : clock_wall_ns();
    print_message("# PLSM_SEED=%llu\n", (unsigned long long)random_state);
    random_state = random_state * 2 + 1;
}

/* A document under construction: as written with blanks, and as it must come out. */
struct sample {
    struct buf text;
    struct buf model;
    uint32_t blank_percent;
    uint32_t odd_percent; /* escapes and characters beyond ASCII */
};

static void sample_free(struct sample *sample)
{
    buf_fini(&sample->text);
    buf_fini(&sample->model);
}

static void put(struct sample *sample, const char *bytes, size_t len)
{
    assert_int_equal(buf_append(&sample->text, bytes, len), 0);
    assert_int_equal(buf_append(&sample->model, bytes, len), 0);
}

static void put_blanks(struct sample *sample)
{
    if (random_below(100) >= sample->blank_percent)
        return;
    uint32_t n = random_below(20) == 0 ? random_below(150) : 1 + random_below(3);
    while (n-- > 0)
        assert_int_equal(buf_append(&sample->text, &" \n\r\t"[random_below(4)], 1), 0);
}

static void put_string(struct sample *sample)
{
    static const char *const odd[] = {"\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t",
        "\\u0000", "\\uABCd", "\\ud83d\\ude00", "\\uDBFF\\uDFFF", "\xc2\x80", "\xdf\xbf",
        "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    put(sample, "\"", 1);
    uint32_t n = random_below(10) == 0 ? random_below(200) : random_below(12);
    while (n-- > 0) {
        if (random_below(100) < sample->odd_percent) {
            const char *one = odd[random_below(sizeof(odd) / sizeof(odd[0]))];
            put(sample, one, strlen(one));
        } else {
            const char one = " !#abz[]{},:'09-+.eE/~\x7f"[random_below(23)];
            put(sample, &one, 1);
        }
    }
    put(sample, "\"", 1);
}

static void put_digits(struct sample *sample)
{
    uint32_t n = random_below(15) == 0 ? random_below(90) : random_below(6);
    do
        put(sample, &"0123456789"[random_below(10)], 1);
    while (n-- > 0);
}

static void put_number(struct sample *sample)
{
    if (random_below(3) == 0)
        put(sample, "-", 1);
    if (random_below(4) == 0) {
        put(sample, "0", 1);
    } else {
        put(sample, &"123456789"[random_below(9)], 1);
        if (random_below(2) == 0)
            put_digits(sample);
    }
    if (random_below(3) == 0) {
        put(sample, ".", 1);
        put_digits(sample);
    }
    if (random_below(5) == 0) {
        put(sample, &"eE"[random_below(2)], 1);
        if (random_below(2) == 0)
            put(sample, &"+-"[random_below(2)], 1);
        put_digits(sample);
    }
}

static void put_value(struct sample *sample, uint32_t depth);

static void put_members(struct sample *sample, uint32_t depth, bool object)
{
    put(sample, object ? "{" : "[", 1);
    put_blanks(sample);
    const uint32_t n = random_below(6);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) {
            put(sample, ",", 1);
            put_blanks(sample);
        }
        if (object) {
            put_string(sample);
            put_blanks(sample);
            put(sample, ":", 1);
            put_blanks(sample);
        }
        put_value(sample, depth);
        put_blanks(sample);
    }
    put(sample, object ? "}" : "]", 1);
}

static void put_value(struct sample *sample, uint32_t depth)
{
    switch (random_below(depth > 0 ? 9 : 5)) {
    case 0: put(sample, "true", 4); break;
    case 1: put(sample, "false", 5); break;
    case 2: put(sample, "null", 4); break;
    case 3: put_number(sample); break;
    case 4: put_string(sample); break;
    case 5:
    case 6: put_members(sample, depth - 1, false); break;
    default: put_members(sample, depth - 1, true); break;
    }
}

static void sample_make(struct sample *sample)
{
    static const uint32_t percents[] = {0, 0, 5, 30, 100};
    memset(sample, 0, sizeof(*sample));
    sample->blank_percent = percents[random_below(5)];
    sample->odd_percent = percents[random_below(5)];
    put_blanks(sample);
    put_members(sample, 1 + random_below(5), random_below(2) == 0);
    put_blanks(sample);
}

/* Both scanners on a copy that ends where its memory does; they must agree. */
static bool scan_both(const uint8_t *bytes, size_t len, struct buf *out_compact)
{
    scan_function *fast = scan_accelerated();
    uint8_t *text = malloc(len == 0 ? 1 : len);
    uint8_t *out = malloc(len + JSON_SLACK);
    uint8_t *fast_out = malloc(len + JSON_SLACK);
    assert_non_null(text);
    assert_non_null(out);
    assert_non_null(fast_out);
    if (len > 0)
        memcpy(text, bytes, len);

    size_t out_len = 0;
    size_t fast_len = 0;
    struct scan_fault fault;
    const bool ok = scan_portable(text, len, out, &out_len, &fault);
    size_t first = 0;
    while (first < len && scan_is_blank(text[first]))
        first++;
    size_t ends = len;
    while (ends > first && scan_is_blank(text[ends - 1]))
        ends--;
    const bool mine = fast != NULL && first < len && (text[first] == '{' || text[first] == '[') &&
                      ends - first >= SCAN_FAST_MIN;
    const bool fast_ok = fast != NULL && fast(text, len, fast_out, &fast_len);
    if (mine && ok != fast_ok)
        fail_msg("%s by the fast scanner alone: %.*s", ok ? "refused" : "accepted", (int)len, text);
    if (fast_ok) {
        assert_int_equal(fast_len, out_len);
        assert_memory_equal(fast_out, out, out_len);
    }
    if (ok && out_compact != NULL) {
        out_compact->len = 0;
        assert_int_equal(buf_append(out_compact, out, out_len), 0);
    }
    free(text);
    free(out);
    free(fast_out);
    return ok;
}

static void test_scan_compact_equals_model(void **state)
{
    (void)state;
    random_begin();
    struct buf compact = {0};
    for (int i = 0; i < 20000; i++) {
        struct sample sample;
        sample_make(&sample);
        if (!scan_both(sample.text.data, sample.text.len, &compact))
            fail_msg("refused: %.*s", (int)sample.text.len, sample.text.data);
        assert_int_equal(compact.len, sample.model.len);
        assert_memory_equal(compact.data, sample.model.data, compact.len);
        assert_true(scan_both(sample.model.data, sample.model.len, &compact));
        assert_int_equal(compact.len, sample.model.len);
        sample_free(&sample);
    }
    buf_fini(&compact);
}

static void test_scan_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    random_begin();
    for (int i = 0; i < 300; i++) {
        struct sample sample;
        sample_make(&sample);
        struct view text = buf_view(&sample.text);
        while (scan_is_blank(text.data[text.len - 1]))
            text.len--;
        for (size_t len = 0; len < text.len && len < 600; len++) {
            if (scan_both(text.data, len, NULL))
                fail_msg("accepted: %.*s", (int)len, text.data);
        }
        sample_free(&sample);
    }
}

/* Changes a few bytes, preferably to ones that mean something. */
static void mutate(struct buf *text)
{
    static const char signs[] = "{}[]:,\"\\ \n0019-+.eEtfnu/'\x01\x1f\x80\xc3\xed\xf0\xff";
    for (uint32_t n = 1 + random_below(3); n > 0; n--) {
        const size_t at = random_below((uint32_t)text->len);
        switch (random_below(4)) {
        case 0: text->data[at] = (uint8_t)signs[random_below(sizeof(signs))]; break;
        case 1: text->data[at] = text->data[random_below((uint32_t)text->len)]; break;
        case 2: text->data[at] = (uint8_t)random_below(256); break;
        default:
            memmove(text->data + at, text->data + at + 1, text->len - at - 1);
            text->len -= text->len > 1;
            break;
        }
    }
}

static void test_scan_variants_agree_on_faults(void **state)
{
    (void)state;
    random_begin();
    for (int i = 0; i < 20000; i++) {
        struct sample sample;
        sample_make(&sample);
        for (int round = 0; round < 4; round++) {
            mutate(&sample.text);
            scan_both(sample.text.data, sample.text.len, NULL);
        }
        sample_free(&sample);
    }
}

/* All pairs and triples of bytes that matter to UTF-8, at all places around a block's end. */
static void test_scan_variants_agree_on_utf8(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
        0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff};
    const size_t n = sizeof(bytes);
    for (size_t i = 0; i < n * n * n; i++) {
        for (size_t shift = 58; shift < 67; shift += 1 + i % 3) {
            uint8_t text[128];
            memset(text, 'x', sizeof(text));
            text[0] = '[';
            text[1] = '"';
            text[shift] = bytes[i % n];
            text[shift + 1] = bytes[i / n % n];
            text[shift + 2] = bytes[i / n / n];
            text[shift + 3] = 0x80 | (uint8_t)(i % 64);
            text[98] = '"';
            text[99] = ']';
            scan_both(text, 100, NULL);
        }
    }
}

TESTS(test_scan_compact_equals_model, test_scan_cut_off_anywhere_is_refused,
    test_scan_variants_agree_on_faults, test_scan_variants_agree_on_utf8)

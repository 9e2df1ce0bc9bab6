/* Bytes from outside on their way to a terminal or into JSON: nothing comes out that a terminal
 * obeys, what needs no change is not changed, and what is printed as JSON is JSON. */
#include "cli/json_out.h"
#include "cli/text.h"
#include "json/json.h"
#include "json/scan.h"
#include "json/span.h"
#include "json/write.h"

#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 4096 };

/* The character at the front by RFC 3629, and its length; 0: there is none. */
static size_t character(struct view text, uint32_t *out_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t lead = text.data[0];
    const size_t n = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    if (n == 0 || n > text.len || lead > 0xf7)
        return 0;
    uint32_t code = n == 1 ? lead : lead & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text.data[i] & 0x3fu);
    }
    *out_code = code;
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : n;
}

static bool obeyed(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* Whether all of it is UTF-8, and holds nothing that a terminal obeys. */
static void judge(struct view text, bool *out_utf8, bool *out_harmless)
{
    *out_utf8 = true;
    *out_harmless = true;
    while (text.len > 0) {
        uint32_t code = 0;
        const size_t n = character(text, &code);
        check(n == scan_utf8(text.data, text.data + text.len) || code < 0x80);
        *out_utf8 = *out_utf8 && n > 0;
        *out_harmless = *out_harmless && (n == 0 || !obeyed(code));
        text = view_of(text.data + (n > 0 ? n : 1), text.len - (n > 0 ? n : 1));
    }
}

static void check_harmless(struct view text, bool line_ends)
{
    while (text.len > 0) {
        uint32_t code = 0;
        const size_t n = character(text, &code);
        check(n > 0 && (!obeyed(code) || (line_ends && code == '\n')));
        text = view_of(text.data + n, text.len - n);
    }
}

/* What each byte or character becomes, one by one. */
static void expect_printable(struct view text, struct text *out)
{
    while (text.len > 0) {
        uint32_t code = 0;
        const size_t n = character(text, &code);
        if (n == 0)
            text_printf(out, "\\x%02x", text.data[0]);
        else if (!obeyed(code))
            text_put(out, text.data, n);
        else if (code == '\n' || code == '\r' || code == '\t')
            text_str(out, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
        else
            text_printf(out, "\\u%04x", code);
        text = view_of(text.data + (n > 0 ? n : 1), text.len - (n > 0 ? n : 1));
    }
}

static void check_printable(struct view text, bool same)
{
    scoped(text_fini) struct text shown = {0};
    scoped(text_fini) struct text expected = {0};

    text_printable(&shown, text);
    expect_printable(text, &expected);
    check(!shown.failed && !expected.failed);
    check(view_equal(buf_view(&shown.buf), buf_view(&expected.buf)));
    check_harmless(buf_view(&shown.buf), false);
    check(!same || view_equal(buf_view(&shown.buf), text));
}

static void content_of(struct view quoted, struct buf *out)
{
    uint8_t *compact = malloc(quoted.len + JSON_SLACK);
    size_t len = 0;

    check(compact != NULL);
    check(json_compact(quoted.data, quoted.len, compact, &len, NULL));
    check(view_equal(view_of(compact, len), quoted));
    free(compact);
    check(json_unescape(json_value_of(quoted), out) == 0);
}

/* As a JSON string; and that on a terminal, where it is the same string. */
static void check_json(struct view text, bool utf8)
{
    scoped(text_fini) struct text quoted = {0};
    scoped(buf_fini) struct buf content = {0};
    scoped(buf_fini) struct buf rendered = {0};
    scoped(buf_fini) struct buf again = {0};
    const struct context context = {.stdout_tty = true};

    text_json(&quoted, text);
    content_of(buf_view(&quoted.buf), &content);
    check(json_is_utf8(buf_view(&content)));
    check(!utf8 || view_equal(buf_view(&content), text));
    check(json_out_render(&context, buf_view(&quoted.buf), false, &rendered) == 0);
    check_harmless(buf_view(&rendered), true);
    check(rendered.len > 0 && rendered.data[rendered.len - 1] == '\n');
    content_of(view_of(rendered.data, rendered.len - 1), &again);
    check(view_equal(buf_view(&again), buf_view(&content)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct view text = view_of(data, size);
    bool utf8, harmless;

    if (size > TEXT_MAX)
        return 0;
    judge(text, &utf8, &harmless);
    check(json_is_utf8(text) == utf8);
    check_printable(text, utf8 && harmless);
    check_json(text, utf8);
    return 0;
}

/* JSON text: what the scanners make of any bytes.
 *
 * Whatever the bytes: both scanners agree, nothing is read or written where it must not be (the
 * sanitizers see to that), a refusal points into the text, what is accepted comes out compact and
 * stays so, and the end of a value is found the same way at once and byte by byte. */
#include "json/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *bytes_new(size_t len)
{
    uint8_t *bytes = malloc(len);
    if (bytes == NULL)
        abort();
    return bytes;
}

/* The fast scanner accepts what the byte-wise one does if it is its business, never anything else,
 * and writes the same. */
static void check_fast(const uint8_t *text, size_t len, const uint8_t *compact, size_t compact_len)
{
    scan_function *fast = scan_accelerated();
    if (fast == NULL)
        return;
    uint8_t *out = bytes_new(len + JSON_SLACK);
    size_t out_len = 0;
    const bool ok = fast(text, len, out, &out_len);
    if (ok)
        assert(compact != NULL && out_len == compact_len && memcmp(out, compact, out_len) == 0);

    while (len > 0 && scan_is_blank(text[len - 1]))
        len--;
    while (len > 0 && scan_is_blank(*text))
        text++, len--;
    if (compact != NULL && len >= SCAN_FAST_MIN && (*text == '{' || *text == '['))
        assert(ok);
    free(out);
}

static void check_refusal(const uint8_t *text, size_t len, const struct scan_fault *fault)
{
    struct json_error error = {0};
    scan_explain(text, len, fault, &error);
    assert(error.offset <= len);
    assert(error.line >= 1 && error.line <= len + 1);
    assert(error.column >= 1 && error.column <= error.offset + 1);
    assert(error.problem != NULL);
}

static void check_end(const uint8_t *text, size_t len, bool accepted)
{
    struct json_end at_once = {0};
    size_t whole = 0;
    const bool found = json_end_find(&at_once, text, len, true, &whole);

    struct json_end in_steps = {0};
    size_t stepped = 0;
    bool found_again = false;
    for (size_t known = 0; known <= len && !found_again; known++)
        found_again = json_end_find(&in_steps, text, known, known == len, &stepped);
    assert(found == found_again && whole == stepped);
    if (accepted) { /* nothing but blanks behind it */
        assert(found && whole <= len);
        for (size_t i = whole; i < len; i++)
            assert(scan_is_blank(text[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (data == NULL)
        data = (const uint8_t *)"";

    uint8_t *compact = bytes_new(size + JSON_SLACK);
    size_t compact_len = 0;
    struct scan_fault fault = {0};
    const bool ok = scan_portable(data, size, compact, &compact_len, &fault);
    check_fast(data, size, ok ? compact : NULL, compact_len);
    check_end(data, size, ok);
    if (ok) {
        assert(compact_len > 0 && compact_len <= size);
        uint8_t *again = bytes_new(compact_len + JSON_SLACK);
        size_t again_len = 0;
        assert(scan_portable(compact, compact_len, again, &again_len, &fault));
        assert(again_len == compact_len && memcmp(again, compact, compact_len) == 0);
        free(again);
    } else {
        check_refusal(data, size, &fault);
    }
    free(compact);
    return 0;
}

#include "json/json.h"

#include "json/scan.h"

#include <assert.h>
#include <stdatomic.h>

/* Shorter texts are quicker byte by byte: a block of 256 bytes costs the same, full or not. */
#define JSON_FAST_MIN 64

static_assert(JSON_FAST_MIN >= SCAN_FAST_MIN, "a fast scanner takes what it gets");

static bool json_choose(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len);

/* The fast scanner in use; the first call replaces itself by the best one. */
static _Atomic(scan_function *) json_fast = json_choose;

/* Where no scanner is faster than scan_portable(). */
static bool json_no_fast(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len)
{
    (void)text, (void)len, (void)out, (void)out_len;
    return false;
}

static bool json_choose(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len)
{
    scan_function *best = scan_accelerated();
    if (best == NULL)
        best = json_no_fast;
    /* relaxed: a pointer to code that needs nothing made before it */
    atomic_store_explicit(&json_fast, best, memory_order_relaxed);
    return best(text, len, out, out_len);
}

bool json_compact(
    const uint8_t *text, size_t len, uint8_t *out, size_t *out_len, struct json_error *out_error)
{
    if (len >= JSON_FAST_MIN &&
        atomic_load_explicit(&json_fast, memory_order_relaxed)(text, len, out, out_len))
        return true;

    static const uint8_t nothing[1] = {0};
    if (len == 0)
        text = nothing; /* an empty view may be NULL, to which nothing may be added */

    struct scan_fault fault;
    if (scan_portable(text, len, out, out_len, &fault))
        return true;
    if (out_error != NULL)
        scan_explain(text, len, &fault, out_error);
    return false;
}

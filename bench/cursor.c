/* cursor: one reader walks all retained messages, again and again; each message's checksum is
 * checked by the engine. copy=1 copies the data out and asks afterwards whether it was sound. */
#include "bench/common.h"

#include <string.h>

static uint64_t cursor_pass(struct pool *pool, bool copy)
{
    uint8_t out[256];
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    plsm_error_t *err = NULL;
    uint64_t seq = 0;
    uint64_t n = 0;
    int r;

    cursor_oldest(&cursor, pool);
    while ((r = cursor_next(&cursor, &frame, &gap, &err)) == CURSOR_FRAME) {
        bench_check(seq == 0 || frame.seq == seq + 1, "a seq is missing");
        bench_check(frame.data.len == sizeof(out), "a message of %zu bytes", frame.data.len);
        seq = frame.seq;
        n++;
        if (!copy)
            continue;
        memcpy(out, frame.data.data, sizeof(out));
        __asm__ volatile("" : : "r"(out) : "memory"); /* the copy is wanted */
        bench_check(frame_still_valid(pool, &frame), "overtaken with nobody writing");
    }
    bench_check(r == CURSOR_EMPTY, "reading ended with %d: %s", r, err ? err->message : "");
    return n;
}

void bench_cursor(void)
{
    const bool copy = arg_number("copy", 1) != 0;
    struct pool *pool = bench_pool_filled("filled", 256);
    const uint64_t n_retained = cursor_pass(pool, copy); /* warms up */
    uint64_t n = 0;

    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        const uint64_t n_pass = cursor_pass(pool, copy);
        bench_check(n_pass == n_retained, "a pass saw other messages");
        n += n_pass;
    } while (now_ns() < deadline);
    report_rate("rate", n, now_ns() - start);
    pool_close(pool);
}

/* fetch_random: single messages by seq, at random over a full pool, copied out and compared with
 * what was appended. */
#include "bench/common.h"

#include <string.h>

void bench_fetch(void)
{
    const struct payloads *payloads = payloads_new(256, 0);
    struct pool *pool = bench_pool_filled("filled", 256);
    struct pool_info info;
    struct frame frame;
    plsm_error_t *err = NULL;
    uint64_t random = 88172645463325252u;
    uint8_t out[256];
    uint64_t n = 0;

    bench_ok(pool_info(pool, &info, &err), err, "pool_info");
    bench_check(info.n_messages >= bench_messages(), "the pool has only %llu messages",
        (unsigned long long)info.n_messages);
    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        for (uint32_t i = 0; i < 256; i++, n++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const uint64_t seq = info.oldest_seq + (random >> 33) % info.n_messages;
            const int r = pool_get(pool, seq, &frame, &err);
            if (r != POOL_OK)
                bench_ok(r, err, "pool_get");
            bench_check(frame.seq == seq && frame.data.len == sizeof(out), "the wrong message");
            memcpy(out, frame.data.data, sizeof(out));
            bench_check(frame_still_valid(pool, &frame), "overtaken with nobody writing");
            bench_check(memcmp(out, payload_at(payloads, seq - 1).data, sizeof(out)) == 0,
                "message %llu has other data", (unsigned long long)seq);
        }
    } while (now_ns() < deadline);
    report_rate("rate", n, now_ns() - start);
    pool_close(pool);
}

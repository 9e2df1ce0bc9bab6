/* append_latency: each append timed by itself, after one lap of warm-up; beside it the floor, the
 * same bytes copied into a ring in memory, in turns of 1000 within the same process. Both times
 * contain one reading of the clock. */
#include "bench/common.h"
#include "bench/ring.h"

#define TURN        1000u
#define SAMPLES_MAX 2000000u

static void latency_turn_pool(
    struct pool *pool, const struct payloads *payloads, uint64_t *n, struct samples *samples)
{
    struct message message = {.encoding = ENCODING_JSON};
    struct appended appended;
    plsm_error_t *err = NULL;

    for (uint32_t i = 0; i < TURN; i++, ++*n) {
        message.data = payload_at(payloads, *n);
        const uint64_t start = now_ns();
        const int r = pool_append(pool, &message, 1, &appended, &err);
        samples_add(samples, now_ns() - start);
        if (r != POOL_OK)
            bench_ok(r, err, "append");
    }
}

static void latency_turn_ring(
    struct ring *ring, const struct payloads *payloads, struct samples *samples)
{
    for (uint32_t i = 0; i < TURN; i++) {
        const struct view payload = payload_at(payloads, i);
        const uint64_t start = now_ns();
        ring_append(ring, &payload, 1);
        samples_add(samples, now_ns() - start);
    }
}

void bench_append_latency(void)
{
    const struct payloads *payloads = payloads_new(256, 0);
    struct samples of_pool;
    struct samples of_ring;

    samples_init(&of_pool, SAMPLES_MAX);
    samples_init(&of_ring, SAMPLES_MAX);
    struct pool *pool = bench_pool_create("latency");
    struct ring *ring = ring_new();
    ring_fill(ring);
    uint64_t n = bench_pool_warm(pool, payloads);
    const uint64_t deadline = now_ns() + bench_duration_ns();
    do {
        latency_turn_pool(pool, payloads, &n, &of_pool);
        latency_turn_ring(ring, payloads, &of_ring);
    } while (now_ns() < deadline);
    bench_pool_verify(pool, 256, 1, n);
    pool_close(pool);
    bench_pool_remove("latency");
    report_samples("pool", &of_pool);
    report_samples("ring", &of_ring);
}

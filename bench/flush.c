/* flush: append and wait until it is durable, one writer or several threads on one handle; beside
 * it the floor, 256 bytes written and one fdatasync for all that wait, on the same file system,
 * in turns within the same process. */
#include "bench/common.h"
#include "bench/group.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define TURNS 4u

struct flusher {
    struct pool *pool;
    struct payloads *payloads[PAYLOAD_WRITERS];
    uint64_t n[PAYLOAD_WRITERS]; /* what each thread has appended */
};

static uint64_t flush_thread(void *state, uint32_t thread, uint64_t deadline_ns)
{
    struct flusher *flusher = state;
    struct message message = {.encoding = ENCODING_JSON};
    struct appended appended;
    plsm_error_t *err = NULL;
    uint64_t n = 0;

    do {
        message.data = payload_at(flusher->payloads[thread], flusher->n[thread]++);
        bench_ok(pool_append(flusher->pool, &message, 1, &appended, &err), err, "append");
        bench_ok(pool_flush_to(flusher->pool, appended.end_pos, &err), err, "flush");
        n++;
    } while (now_ns() < deadline_ns);
    return n;
}

void bench_flush(void)
{
    const uint32_t n_threads = (uint32_t)arg_number("threads", 1);
    char *path = bench_path("group.dat");
    struct group *group = group_new(path);
    struct flusher flusher = {.pool = bench_pool_create("flush")};
    plsm_error_t *err = NULL;
    uint64_t elapsed[2] = {0, 0};
    uint64_t n[2] = {0, 0};

    bench_check(n_threads <= PAYLOAD_WRITERS, "at most %u threads", PAYLOAD_WRITERS);
    for (uint32_t i = 0; i < n_threads; i++)
        flusher.payloads[i] = payloads_new(256, i);
    const uint64_t n_warm = bench_pool_warm(flusher.pool, flusher.payloads[0]);
    bench_ok(pool_flush(flusher.pool, &err), err, "flush");
    for (uint32_t turn = 0; turn < 2 * TURNS; turn++) {
        const uint64_t duration = bench_duration_ns() / TURNS;
        const uint64_t start = now_ns();
        n[turn % 2] += turn % 2 == 0 ? threads_run(n_threads, flush_thread, &flusher, duration)
                                     : group_run(group, n_threads, duration);
        elapsed[turn % 2] += now_ns() - start;
    }
    bench_pool_verify(flusher.pool, 256, n_threads, n_warm + n[0]);
    pool_close(flusher.pool);
    bench_pool_remove("flush");
    bench_check(unlink(path) == 0, "cannot remove %s", path);
    free(path);
    report_rate("pool", n[0], elapsed[0]);
    report_rate("group", n[1], elapsed[1]);
}

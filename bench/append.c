/* append: one writer or several processes, one call a message or batches of 64, JSON text that
 * is validated and compacted first (json=1) or bytes that already were (json=0). */
#include "bench/common.h"

#include "json/json.h"

#include <stdlib.h>
#include <string.h>

static uint32_t batch;
static bool json;

struct writer {
    struct pool *pool;
    struct payloads *payloads;
};

static uint64_t *n_warm_of_all; /* shared memory, one for each writer */

static void *append_prepare(uint32_t i)
{
    struct writer *writer = calloc(1, sizeof(*writer));

    bench_check(writer, "out of memory");
    writer->pool = bench_pool_open("append", POOL_WRITE);
    writer->payloads = payloads_new(256, i);
    n_warm_of_all[i] = bench_pool_warm(writer->pool, writer->payloads);
    return writer;
}

static void append_compact(
    const struct payloads *payloads, uint64_t i, uint8_t *out, struct view *out_data)
{
    const struct view text = payload_at(payloads, i);
    struct json_error error;
    size_t len = 0;

    bench_check(
        json_compact(text.data, text.len, out, &len, &error), "not JSON: %s", error.problem);
    *out_data = view_of(out, len);
}

/* One call, and for JSON one compaction, for each message. */
static uint64_t append_single(const struct writer *writer, uint64_t deadline_ns)
{
    uint8_t scratch[256 + JSON_SLACK];
    struct message message = {.encoding = ENCODING_JSON};
    struct appended appended;
    plsm_error_t *err = NULL;
    uint64_t n = 0;

    do {
        for (uint32_t i = 0; i < 256; i++, n++) {
            if (json)
                append_compact(writer->payloads, n, scratch, &message.data);
            else
                message.data = payload_at(writer->payloads, n);
            const int r = pool_append(writer->pool, &message, 1, &appended, &err);
            if (r != POOL_OK)
                bench_ok(r, err, "append");
        }
    } while (now_ns() < deadline_ns);
    return n;
}

static uint64_t append_batches(const struct writer *writer, uint64_t deadline_ns)
{
    static uint8_t scratch[PAYLOAD_VARIANTS][256 + JSON_SLACK];
    struct message messages[PAYLOAD_VARIANTS];
    struct appended appended;
    plsm_error_t *err = NULL;
    uint64_t n = 0;

    memset(messages, 0, sizeof(messages));
    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++)
        messages[i].data = payload_at(writer->payloads, i);
    do {
        for (uint32_t i = 0; json && i < PAYLOAD_VARIANTS; i++)
            append_compact(writer->payloads, i, scratch[i], &messages[i].data);
        const int r = pool_append(writer->pool, messages, PAYLOAD_VARIANTS, &appended, &err);
        if (r != POOL_OK)
            bench_ok(r, err, "append");
        n += PAYLOAD_VARIANTS;
    } while (now_ns() < deadline_ns);
    return n;
}

static uint64_t append_work(void *state, uint32_t i, uint64_t deadline_ns)
{
    (void)i;
    return batch == 1 ? append_single(state, deadline_ns) : append_batches(state, deadline_ns);
}

static void append_finish(void *state)
{
    pool_close(((struct writer *)state)->pool);
}

void bench_append(void)
{
    const uint32_t n_writers = (uint32_t)arg_number("writers", 1);
    const struct workers workers = {
        .n = n_writers,
        .duration_ns = bench_duration_ns(),
        .prepare = append_prepare,
        .work = append_work,
        .finish = append_finish,
    };
    uint64_t elapsed_ns;

    batch = (uint32_t)arg_number("batch", 1);
    json = arg_number("json", 0) != 0;
    bench_check(batch == 1 || batch == PAYLOAD_VARIANTS, "batch=1 or %u", PAYLOAD_VARIANTS);
    n_warm_of_all = map_shared(PAYLOAD_WRITERS * sizeof(uint64_t));
    pool_close(bench_pool_create("append"));
    const uint64_t n = workers_run(&workers, &elapsed_ns);
    uint64_t n_all = n;
    for (uint32_t i = 0; i < n_writers; i++)
        n_all += n_warm_of_all[i];
    struct pool *pool = bench_pool_open("append", POOL_READ);
    bench_pool_verify(pool, 256, n_writers, n_all);
    pool_close(pool);
    bench_pool_remove("append");
    report_rate("rate", n, elapsed_ns);
}

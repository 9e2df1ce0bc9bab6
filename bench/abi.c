/* bench_abi: what a call of the C library costs, through libplasmite.so as other programs and
 * the bindings use it. */
#include "bench/bench.h"
#include "plasmite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 256u

static void ok(int result, const plsm_error_t *err, const char *what)
{
    bench_check(result >= 0, "%s: %s", what, err != NULL ? err->message : "no error");
}

static plsm_pool_t *abi_pool(void)
{
    const plsm_open_options_t options = {.struct_size = sizeof(options),
        .create = PLSM_OPEN_OR_CREATE,
        .size_bytes = bench_pool_bytes()};
    char *path = bench_path("abi.plasmite");
    plsm_client_t *client = NULL;
    plsm_pool_t *pool = NULL;
    plsm_error_t *err = NULL;

    remove(path);
    ok(plsm_client_new("", &client, &err), err, "client");
    ok(plsm_pool_open_ex(client, path, &options, &pool, &err), err, "open");
    plsm_client_free(client);
    free(path);
    return pool;
}

static void abi_remove(plsm_pool_t *pool)
{
    bench_check(remove(plsm_pool_path(pool)) == 0, "cannot remove the pool");
    plsm_pool_free(pool);
}

/* A message as the library gives it ends with the text that was appended. */
static void check_message(const plsm_buf_t *message, struct view text)
{
    bench_check(message->len > text.len + 1 &&
                    memcmp(message->data + message->len - 1 - text.len, text.data, text.len) == 0,
        "wrong message");
}

static void append_with_message(plsm_pool_t *pool, const struct payloads *payloads, uint64_t n)
{
    const struct view text = payload_at(payloads, n);
    plsm_buf_t message;
    plsm_error_t *err = NULL;

    ok(plsm_pool_append_json(pool, text.data, text.len, NULL, 0, PLSM_FAST, &message, &err), err,
        "append");
    if (n % 1024 == 0)
        check_message(&message, text);
    plsm_buf_free(&message);
}

static void append_for_seq(plsm_pool_t *pool, const struct payloads *payloads, uint64_t n)
{
    const struct view text = payload_at(payloads, n);
    uint64_t seq = 0;
    plsm_error_t *err = NULL;

    ok(plsm_pool_append_json_seq(pool, text.data, text.len, NULL, 0, PLSM_FAST, &seq, NULL, &err),
        err, "append");
    bench_check(seq == n + 1, "wrong seq");
}

static void bench_abi_append(void)
{
    const bool with_message = arg_number("message", 1) != 0;
    plsm_pool_t *pool = abi_pool();
    const struct payloads *payloads = payloads_new(256, 0);
    const uint64_t n_warm = 2 * bench_pool_bytes() / 256;
    uint64_t n = 0;

    for (; n < n_warm; n++)
        append_for_seq(pool, payloads, n);
    const uint64_t start_ns = now_ns();
    const uint64_t deadline_ns = start_ns + bench_duration_ns();
    do {
        for (uint32_t i = 0; i < BATCH; i++, n++) {
            if (with_message)
                append_with_message(pool, payloads, n);
            else
                append_for_seq(pool, payloads, n);
        }
    } while (now_ns() < deadline_ns);
    report_rate("rate", n - n_warm, now_ns() - start_ns);
    abi_remove(pool);
}

static uint64_t read_single(plsm_stream_t *stream, const struct payloads *payloads, uint64_t n_all)
{
    plsm_error_t *err = NULL;

    for (uint64_t n = 0; n < n_all; n++) {
        plsm_buf_t message;
        ok(plsm_stream_next(stream, &message, &err) == 1 ? 0 : -1, err, "next");
        if (n % 1024 == 0)
            check_message(&message, payload_at(payloads, n));
        plsm_buf_free(&message);
    }
    return n_all;
}

static uint64_t read_batches(plsm_stream_t *stream, const struct payloads *payloads, uint64_t n_all)
{
    plsm_error_t *err = NULL;
    uint64_t n = 0;

    while (n < n_all) {
        plsm_buf_t lines;
        size_t n_lines = 0;
        ok(plsm_stream_next_batch(stream, BATCH, &lines, &n_lines, &err) == 1 ? 0 : -1, err,
            "next_batch");
        n += n_lines;
        const plsm_buf_t until_last = {lines.data, lines.len - 1}; /* without the line feed */
        check_message(&until_last, payload_at(payloads, n - 1));
        plsm_buf_free(&lines);
    }
    return n;
}

static uint64_t read_views(plsm_stream_t *stream, const struct payloads *payloads, uint64_t n_all)
{
    plsm_error_t *err = NULL;

    for (uint64_t n = 0; n < n_all; n++) {
        const struct view text = payload_at(payloads, n);
        plsm_view_t view;
        ok(plsm_stream_next_view(stream, &view, &err) == 1 ? 0 : -1, err, "next_view");
        bench_check(view.data_len == text.len && memcmp(view.data, text.data, text.len) == 0 &&
                        plsm_stream_view_valid(stream, &view) == 1,
            "wrong view");
    }
    return n_all;
}

static void bench_abi_read(void)
{
    static const struct {
        const char *name;
        uint64_t (*read)(plsm_stream_t *stream, const struct payloads *payloads, uint64_t n_all);
    } ways[] = {{"single", read_single}, {"batch", read_batches}, {"view", read_views}};
    const char *way = arg_need("way");
    const uint64_t n_all = bench_messages() / 2;
    plsm_pool_t *pool = abi_pool();
    const struct payloads *payloads = payloads_new(256, 0);
    uint64_t n = 0;
    uint64_t elapsed_ns = 0;

    for (uint64_t i = 0; i < n_all; i++)
        append_for_seq(pool, payloads, i);
    while (elapsed_ns < bench_duration_ns()) {
        plsm_stream_t *stream = NULL;
        plsm_error_t *err = NULL;
        ok(plsm_stream_open(pool, 1, 1, 0, 0, 0, 0, &stream, &err), err, "stream");
        const uint64_t start_ns = now_ns();
        const uint64_t before = n;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
            if (strcmp(way, ways[i].name) == 0)
                n += ways[i].read(stream, payloads, n_all);
        elapsed_ns += now_ns() - start_ns;
        bench_check(n > before, "way=single, batch or view");
        plsm_stream_free(stream);
    }
    report_rate("rate", n, elapsed_ns);
    abi_remove(pool);
}

const struct bench_op bench_ops[] = {
    {"append", bench_abi_append},
    {"read", bench_abi_read},
    {NULL, NULL},
};

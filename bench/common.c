#include "bench/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void bench_ok(int result, plsm_error_t *err, const char *what)
{
    if (result == 0)
        return;
    const char *cause = err ? error_cause_of(err) : NULL;
    bench_fail("%s: outcome %d: %s: %s", what, result, err ? err->message : "", cause ? cause : "");
}

static char *pool_file(const char *name)
{
    char file[64];

    snprintf(file, sizeof(file), "%s.plasmite", name);
    return bench_path(file);
}

struct pool *bench_pool_create(const char *name)
{
    const struct pool_create_options options = {
        .size_bytes = bench_pool_bytes(),
        .index_capacity = POOL_INDEX_DEFAULT,
    };
    plsm_error_t *err = NULL;
    char *path = pool_file(name);

    unlink(path); /* what an earlier run left; it may be missing */
    bench_ok(pool_create(path, &options, &err), err, "pool_create");
    free(path);
    return bench_pool_open(name, POOL_WRITE);
}

struct pool *bench_pool_open(const char *name, enum pool_mode mode)
{
    struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    char *path = pool_file(name);

    bench_ok(pool_open(path, mode, NULL, &pool, &err), err, "pool_open");
    free(path);
    return pool;
}

void bench_pool_remove(const char *name)
{
    char *path = pool_file(name);

    bench_check(unlink(path) == 0, "%s: %s", path, strerror(errno));
    free(path);
}

uint64_t bench_pool_warm(struct pool *pool, const struct payloads *payloads)
{
    const uint64_t n_wanted = bench_pool_bytes() / payloads->size;
    struct message messages[PAYLOAD_VARIANTS];
    struct appended appended;
    plsm_error_t *err = NULL;
    uint64_t n = 0;

    memset(messages, 0, sizeof(messages));
    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++)
        messages[i].data = payload_at(payloads, i);
    while (n < n_wanted) {
        bench_ok(pool_append(pool, messages, PAYLOAD_VARIANTS, &appended, &err), err, "append");
        n += PAYLOAD_VARIANTS;
    }
    return n;
}

void bench_pool_verify(struct pool *pool, size_t size, uint32_t n_writers, uint64_t n_appended)
{
    struct payload_check check;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    plsm_error_t *err = NULL;
    uint64_t seq = 0;
    int r;

    payload_check_init(&check, size, n_writers);
    cursor_oldest(&cursor, pool);
    while ((r = cursor_next(&cursor, &frame, &gap, &err)) == CURSOR_FRAME) {
        bench_check(seq == 0 || frame.seq == seq + 1, "seq %llu follows %llu",
            (unsigned long long)frame.seq, (unsigned long long)seq);
        seq = frame.seq;
        payload_check_next(&check, frame.data);
    }
    bench_check(r == CURSOR_EMPTY, "reading ended with %d: %s", r, err ? err->message : "");
    bench_check(seq == n_appended, "the last seq is %llu after %llu appends",
        (unsigned long long)seq, (unsigned long long)n_appended);
}

struct pool *bench_pool_filled(const char *name, size_t size)
{
    char *path = pool_file(name);
    const bool present = access(path, F_OK) == 0;
    struct pool *pool = NULL;

    free(path);
    if (present)
        return bench_pool_open(name, POOL_READ);
    pool = bench_pool_create(name);
    const uint64_t n = bench_pool_warm(pool, payloads_new(size, 0));
    bench_pool_verify(pool, size, 1, n);
    pool_close(pool);
    return bench_pool_open(name, POOL_READ);
}

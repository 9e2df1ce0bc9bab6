/* bench_pool: the list of its operations. */
#include "bench/common.h"

const struct bench_op bench_ops[] = {
    {"append", bench_append},
    {"append_latency", bench_append_latency},
    {"cursor", bench_cursor},
    {"fetch", bench_fetch},
    {"wake", bench_wake},
    {"spin", bench_spin},
    {"flush", bench_flush},
    {"compact", bench_compact},
    {NULL, NULL},
};

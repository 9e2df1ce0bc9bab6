/* bench_cli: the list of its operations, which all run the program given as program=. */
#include "bench/common.h"

const struct bench_op bench_ops[] = {
    {"feed_jsonl", bench_feed_jsonl},
    {"follow_jsonl", bench_follow_jsonl},
    {"feed_follow", bench_feed_follow},
    {"oneshot", bench_oneshot},
    {"tap_lines", bench_tap_lines},
    {NULL, NULL},
};

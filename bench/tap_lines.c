/* tap_lines: `plasmite tap` captures what `cat` prints of a file of lines of 80 bytes, each with
 * its number, and passes it on to /dev/null. Timed from the start of the program to its end, by
 * which everything is stored. Beside it the floor: the same `cat` into a pipe that another `cat`
 * empties into /dev/null. */
#include "bench/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 80u

/* Line number i: its number, then words and signs as programs print them. */
static void line_make(uint64_t i, char out[static LINE_BYTES + 1])
{
    static const char text[] = "[info] request handled in 17 ms, status=200 path=/api/items";

    memset(out, '.', LINE_BYTES);
    snprintf(out, LINE_BYTES, "%09u %s", (unsigned)(i % 1000000000), text);
    out[strlen(out)] = ' ';
    out[LINE_BYTES - 1] = '\n';
    out[LINE_BYTES] = '\0';
}

static void lines_write(const char *path, uint64_t n)
{
    char line[LINE_BYTES + 1];
    FILE *file = fopen(path, "we");

    bench_check(file, "%s: %s", path, strerror(errno));
    for (uint64_t i = 0; i < n; i++) {
        line_make(i, line);
        bench_check(fwrite(line, 1, LINE_BYTES, file) == LINE_BYTES, "%s", strerror(errno));
    }
    bench_check(fclose(file) == 0, "%s: %s", path, strerror(errno));
}

/* The newest messages are the last lines of the last run, in order, and its exit. */
static void lines_verify(uint64_t n, uint64_t n_appended)
{
    struct pool *pool = bench_pool_open("tap", POOL_READ);
    plsm_error_t *err = NULL;
    struct frame frame;
    struct pool_info info;
    char line[LINE_BYTES + 1];
    char expected[256];

    bench_ok(pool_info(pool, &info, &err), err, "pool_info");
    bench_check(info.newest_seq == n_appended, "the last seq is %llu, not %llu",
        (unsigned long long)info.newest_seq, (unsigned long long)n_appended);
    for (uint64_t back = 1; back <= n && info.newest_seq - back >= info.oldest_seq; back++) {
        line_make(n - back, line);
        line[LINE_BYTES - 1] = '\0';
        const int len = snprintf(expected, sizeof(expected),
            "{\"kind\":\"line\",\"line\":\"%s\",\"stream\":\"stdout\"}", line);
        bench_ok(pool_get(pool, info.newest_seq - back, &frame, &err), err, "pool_get");
        bench_check(
            frame.data.len == (size_t)len && memcmp(frame.data.data, expected, frame.data.len) == 0,
            "line %llu has other data", (unsigned long long)(n - back));
    }
    pool_close(pool);
}

static uint64_t tap_turn(const char *file)
{
    const char *argv[] = {
        arg_need("program"), "--dir", arg_need("dir"), "tap", "tap", "--", "cat", file, NULL};
    const uint64_t start = now_ns();
    const int status = spawn_wait(spawn(argv, -1, -1));
    bench_check(status == 0, "tap ended with %d", status);
    return now_ns() - start;
}

static uint64_t cat_turn(const char *file)
{
    const char *writer[] = {"cat", file, NULL};
    const char *reader[] = {"cat", NULL};
    int fds[2];

    pipe_open(fds);
    const uint64_t start = now_ns();
    const pid_t first = spawn(writer, -1, fds[1]);
    const pid_t second = spawn(reader, fds[0], -1);
    close(fds[0]);
    close(fds[1]);
    const int status = spawn_wait(first);
    bench_check(spawn_wait(second) == 0 && status == 0, "cat ended with %d", status);
    return now_ns() - start;
}

void bench_tap_lines(void)
{
    char *file = bench_path("lines.txt");
    const uint64_t n = bench_messages();
    uint64_t elapsed[2] = {0, 0};
    uint64_t n_turns = 0;

    lines_write(file, n);
    struct pool *pool = bench_pool_create("tap");
    const uint64_t n_before = bench_pool_warm(pool, payloads_new(LINE_BYTES, 0));
    pool_close(pool);
    const uint64_t start = now_ns();
    do {
        elapsed[0] += tap_turn(file);
        elapsed[1] += cat_turn(file);
        n_turns++;
    } while (now_ns() - start < bench_duration_ns());
    lines_verify(n, n_before + n_turns * (n + 2));
    report_rate("tap", n_turns * n, elapsed[0]);
    report_rate("cat", n_turns * n, elapsed[1]);
    bench_pool_remove("tap");
    unlink(file);
    free(file);
}

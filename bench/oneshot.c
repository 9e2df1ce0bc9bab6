/* oneshot: a whole process for one message: `plasmite feed POOL DATA`, `plasmite fetch POOL SEQ`
 * and, as the floor, a C program that does nothing, each in its turn; from before the start of
 * the process to after its end. */
#include "bench/common.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES_MAX 100000u

static uint64_t process_time_ns(const char *const argv[])
{
    const uint64_t start = now_ns();
    const int status = spawn_wait(spawn(argv, -1, -1));
    const uint64_t elapsed_ns = now_ns() - start;

    bench_check(status == 0, "%s %s ended with %d", argv[0], argv[3] ? argv[3] : "", status);
    return elapsed_ns;
}

/* What fetch prints, looked at once: the message that was fed last. */
static void fetch_check(const char *const argv[], const char *data)
{
    char text[4096];
    size_t len = 0;
    ssize_t n;
    int fds[2];

    pipe_open(fds);
    const pid_t pid = spawn(argv, -1, fds[1]);
    close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof(text) - len)) > 0)
        len += (size_t)n;
    close(fds[0]);
    bench_check(spawn_wait(pid) == 0, "fetch failed");
    bench_check(memmem(text, len, data, strlen(data)), "fetch printed something else");
}

void bench_oneshot(void)
{
    char data[PAYLOAD_MAX];
    char seq[32];
    const char *program = arg_need("program");
    const char *const empty[] = {arg_need("empty"), NULL, NULL, NULL};
    const char *const feed[] = {program, "--dir", arg_need("dir"), "feed", "oneshot", data, NULL};
    const char *const fetch[] = {program, "--dir", arg_need("dir"), "fetch", "oneshot", seq, NULL};
    const struct payloads *payloads = payloads_new(256, 0);
    struct samples samples[3];
    uint64_t n = 0;

    for (int i = 0; i < 3; i++)
        samples_init(&samples[i], SAMPLES_MAX);
    pool_close(bench_pool_create("oneshot"));
    const uint64_t deadline = now_ns() + bench_duration_ns();
    do {
        snprintf(data, sizeof(data), "%.256s", (const char *)payload_at(payloads, n).data);
        samples_add(&samples[0], process_time_ns(empty));
        samples_add(&samples[1], process_time_ns(feed));
        n++;
        snprintf(seq, sizeof(seq), "%llu", (unsigned long long)n);
        samples_add(&samples[2], process_time_ns(fetch));
    } while (now_ns() < deadline);
    fetch_check(fetch, data);
    struct pool *pool = bench_pool_open("oneshot", POOL_READ);
    bench_pool_verify(pool, 256, 1, n);
    pool_close(pool);
    bench_pool_remove("oneshot");
    report_samples("empty", &samples[0]);
    report_samples("feed", &samples[1]);
    report_samples("fetch", &samples[2]);
}

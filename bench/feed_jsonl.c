/* feed_jsonl: `plasmite feed` reads lines of 240 bytes from a pipe that another process keeps
 * full; receipts=1 reads its receipts from a pipe and checks their seqs, receipts=0 sends them
 * to /dev/null. Timed from the first byte to the end of the program. Beside it the floor: a
 * process that only reads the pipe and counts lines. */
#include "bench/common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES  240u
#define BLOCK_LINES 1024u

static uint8_t block[BLOCK_LINES * LINE_BYTES];

static void block_fill(void)
{
    const struct payloads *payloads = payloads_new(LINE_BYTES - 1, 0);

    for (uint32_t i = 0; i < BLOCK_LINES; i++) {
        memcpy(block + (size_t)i * LINE_BYTES, payload_at(payloads, i).data, LINE_BYTES - 1);
        block[(size_t)(i + 1) * LINE_BYTES - 1] = '\n';
    }
}

/* Writes blocks until the deadline and closes the pipe. Returns how many lines. */
static uint64_t block_stream(int fd, uint64_t deadline_ns)
{
    uint64_t n = 0;

    do {
        write_all(fd, block, sizeof(block));
        n += BLOCK_LINES;
    } while (now_ns() < deadline_ns);
    bench_check(close(fd) == 0, "close: %s", strerror(errno));
    return n;
}

/* ---- receipts ------------------------------------------------------------------------------ */

struct receipts {
    int fd;
    uint64_t n;
};

static void receipt_check(const uint8_t *line, size_t len, uint64_t seq)
{
    static const char key[] = "\"seq\":";
    const uint8_t *at = memmem(line, len, key, sizeof(key) - 1);

    bench_check(at, "a receipt without a seq: %.*s", (int)len, (const char *)line);
    bench_check(strtoull((const char *)at + sizeof(key) - 1, NULL, 10) == seq, "receipt %llu: %.*s",
        (unsigned long long)seq, (int)len, (const char *)line);
}

static void *receipts_read(void *argument)
{
    static uint8_t buffer[1 << 17];
    struct receipts *receipts = argument;
    size_t len = 0;
    ssize_t n;

    while ((n = read(receipts->fd, buffer + len, sizeof(buffer) - len)) > 0) {
        const uint8_t *at = buffer;
        const uint8_t *end = NULL;
        len += (size_t)n;
        while ((end = memchr(at, '\n', len)) != NULL) {
            receipt_check(at, (size_t)(end - at), ++receipts->n);
            len -= (size_t)(end + 1 - at);
            at = end + 1;
        }
        memmove(buffer, at, len);
        bench_check(len < sizeof(buffer), "a receipt without an end");
    }
    bench_check(n == 0 && len == 0, "reading receipts: %s", strerror(errno));
    return NULL;
}

/* ---- turns --------------------------------------------------------------------------------- */

static uint64_t feed_turn(bool with_receipts, uint64_t duration_ns, uint64_t *out_elapsed_ns)
{
    const char *argv[] = {
        arg_need("program"), "--dir", arg_need("dir"), "feed", "feed", "--in", "jsonl", NULL};
    struct receipts receipts = {.fd = -1};
    pthread_t reader;
    int in[2];
    int out[2] = {-1, -1};

    pool_close(bench_pool_create("feed"));
    pipe_open(in);
    if (with_receipts)
        pipe_open(out);
    const pid_t pid = spawn(argv, in[0], out[1]);
    close(in[0]);
    if (with_receipts) {
        close(out[1]);
        receipts.fd = out[0];
        bench_check(pthread_create(&reader, NULL, receipts_read, &receipts) == 0, "thread");
    }
    const uint64_t start = now_ns();
    const uint64_t n = block_stream(in[1], start + duration_ns);
    const int status = spawn_wait(pid);
    *out_elapsed_ns = now_ns() - start;
    bench_check(status == 0, "feed ended with %d", status);
    if (with_receipts) {
        bench_check(pthread_join(reader, NULL) == 0, "join");
        close(out[0]);
        bench_check(receipts.n == n, "%llu receipts for %llu lines", (unsigned long long)receipts.n,
            (unsigned long long)n);
    }
    struct pool *pool = bench_pool_open("feed", POOL_READ);
    bench_pool_verify(pool, LINE_BYTES - 1, 1, n);
    pool_close(pool);
    bench_pool_remove("feed");
    return n;
}

static void count_child(int fd)
{
    static uint8_t buffer[65536];
    uint64_t n_lines = 0;
    uint64_t n_bytes = 0;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        const uint8_t *at = buffer;
        const uint8_t *end = buffer + n;
        n_bytes += (uint64_t)n;
        while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
            n_lines++;
            at++;
        }
    }
    _exit(n == 0 && n_bytes == n_lines * LINE_BYTES ? 0 : 1);
}

static uint64_t count_turn(uint64_t duration_ns, uint64_t *out_elapsed_ns)
{
    int in[2];

    pipe_open(in);
    const pid_t pid = fork();
    bench_check(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        close(in[1]);
        count_child(in[0]);
    }
    close(in[0]);
    const uint64_t start = now_ns();
    const uint64_t n = block_stream(in[1], start + duration_ns);
    bench_check(spawn_wait(pid) == 0, "the counting process lost bytes");
    *out_elapsed_ns = now_ns() - start;
    return n;
}

void bench_feed_jsonl(void)
{
    const bool with_receipts = arg_number("receipts", 1) != 0;
    uint64_t elapsed_ns;

    block_fill();
    const uint64_t n_fed = feed_turn(with_receipts, bench_duration_ns(), &elapsed_ns);
    report_rate("feed", n_fed, elapsed_ns);
    const uint64_t n_counted = count_turn(bench_duration_ns() / 2, &elapsed_ns);
    report_rate("count", n_counted, elapsed_ns);
}

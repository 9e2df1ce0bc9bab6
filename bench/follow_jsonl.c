/* follow_jsonl: `plasmite follow --tail N --jsonl` prints the newest messages (messages=) into a pipe;
 * with where=EXPRESSION only those that match (one of 64), and what counts is how many it looked
 * at. Timed from the start of the program to its last byte.
 *
 * A first run, not timed, is checked line by line and kept as a file: the timed runs must print
 * as many bytes, and the floor is `cat` (or `grep`) of that file into the same pipe. */
#include "bench/common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_BYTES 239u

struct follow_run {
    const char *argv[16];
    const char *cat[8];
    uint64_t n_lines;
    uint64_t step; /* between the seqs of two lines */
    uint64_t n_bytes;
    char *file;
};

static void line_check(
    const char *line, size_t len, const struct payloads *payloads, uint64_t *seq, uint64_t step)
{
    static const char seq_key[] = "{\"seq\":";
    static const char data_key[] = "\"data\":";
    const char *data = memmem(line, len, data_key, sizeof(data_key) - 1);

    bench_check(strncmp(line, seq_key, sizeof(seq_key) - 1) == 0 && data, "not a message: %.*s",
        (int)len, line);
    const uint64_t got = strtoull(line + sizeof(seq_key) - 1, NULL, 10);
    bench_check(*seq == 0 || got == *seq + step, "seq %llu follows %llu", (unsigned long long)got,
        (unsigned long long)*seq);
    *seq = got;
    data += sizeof(data_key) - 1;
    bench_check(line + len - data == DATA_BYTES + 1 &&
                    memcmp(data, payload_at(payloads, got - 1).data, DATA_BYTES) == 0,
        "message %llu has other data", (unsigned long long)got);
}

/* The run that is checked; it leaves its output in run->file. */
static void follow_checked(struct follow_run *run)
{
    const struct payloads *payloads = payloads_new(DATA_BYTES, 0);
    uint64_t seq = 0;
    char *line = NULL;
    size_t capacity = 0;
    int fds[2];

    pipe_open(fds);
    const pid_t pid = spawn(run->argv, -1, fds[1]);
    close(fds[1]);
    FILE *in = fdopen(fds[0], "r");
    FILE *copy = fopen(run->file, "we");
    bench_check(in && copy, "%s: %s", run->file, strerror(errno));
    for (uint64_t i = 0; i < run->n_lines; i++) {
        const ssize_t n = getline(&line, &capacity, in);
        bench_check(n > 0, "only %llu lines came", (unsigned long long)i);
        line_check(line, (size_t)n - 1, payloads, &seq, run->step);
        bench_check(fwrite(line, 1, (size_t)n, copy) == (size_t)n, "%s", strerror(errno));
        run->n_bytes += (uint64_t)n;
    }
    kill(pid, SIGTERM); /* it would go on following */
    spawn_wait(pid);
    bench_check(fclose(copy) == 0, "%s: %s", run->file, strerror(errno));
    fclose(in);
    free(line);
}

/* One timed run of a program that prints the same bytes. */
static uint64_t follow_timed(const struct follow_run *run, const char *const argv[], bool ends)
{
    static uint8_t buffer[65536];
    uint64_t n_bytes = 0;
    int fds[2];

    pipe_open(fds);
    const uint64_t start = now_ns();
    const pid_t pid = spawn(argv, -1, fds[1]);
    close(fds[1]);
    while (n_bytes < run->n_bytes) {
        const ssize_t n = read(fds[0], buffer, sizeof(buffer));
        bench_check(n > 0, "%s: only %llu bytes came", argv[0], (unsigned long long)n_bytes);
        n_bytes += (uint64_t)n;
    }
    const uint64_t elapsed_ns = now_ns() - start;
    bench_check(n_bytes == run->n_bytes, "%s: too many bytes came", argv[0]);
    if (!ends)
        kill(pid, SIGTERM);
    const int status = spawn_wait(pid);
    bench_check(!ends || status == 0, "%s ended with %d", argv[0], status);
    close(fds[0]);
    return elapsed_ns;
}

void bench_follow_jsonl(void)
{
    const char *where = arg_text("where", NULL);
    const uint64_t step = where ? PAYLOAD_VARIANTS : 1;
    char tail[32];
    struct follow_run run = {
        .argv = {arg_need("program"), "--dir", arg_need("dir"), "follow", "filled-cli", "--jsonl",
            "--tail", tail, where ? "--where" : NULL, where, NULL},
        .n_lines = bench_messages() / step,
        .step = step,
        .file = bench_path(where ? "matches.jsonl" : "all.jsonl"),
    };
    char *all = bench_path("all.jsonl");
    uint64_t elapsed[2] = {0, 0};
    uint64_t n = 0;

    snprintf(tail, sizeof(tail), "%llu", (unsigned long long)run.n_lines);
    pool_close(bench_pool_filled("filled-cli", DATA_BYTES));
    follow_checked(&run);
    if (where)
        memcpy(run.cat, (const char *[]){"grep", "-F", "\"level\":\"error\"", all},
            4 * sizeof(char *));
    else
        memcpy(run.cat, (const char *[]){"cat", all}, 2 * sizeof(char *));
    const uint64_t start = now_ns();
    do {
        elapsed[0] += follow_timed(&run, run.argv, false);
        elapsed[1] += follow_timed(&run, run.cat, true);
        n += bench_messages();
    } while (now_ns() - start < bench_duration_ns());
    report_rate("follow", n, elapsed[0]);
    report_rate("cat", n, elapsed[1]);
    free(run.file);
    free(all);
}

/* feed_follow: a line goes into the pipe of `plasmite feed` and comes out of the pipe of
 * `plasmite follow`, 1000 a second; beside it three hops through pipes (two processes that only
 * pass on what they read), which wake as many processes, in turns. */
#include "bench/common.h"
#include "bench/wake.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct line_pipe {
    int in;  /* lines go in here */
    int out; /* and come out here, possibly with more around them */
    char buffer[65536];
    size_t len;
};

/* Takes one line and returns the number in it. */
static uint64_t line_receive(void *state)
{
    struct line_pipe *lines = state;
    char *end = NULL;

    while ((end = memchr(lines->buffer, '\n', lines->len)) == NULL) {
        const ssize_t n =
            read(lines->out, lines->buffer + lines->len, sizeof(lines->buffer) - lines->len);
        bench_check(n > 0, "the pipe ended");
        lines->len += (size_t)n;
    }
    const char *text = memmem(lines->buffer, (size_t)(end - lines->buffer), "{\"n\":", 5);
    bench_check(text && end - text >= WAKE_BYTES, "not a message: %.80s", lines->buffer);
    const uint64_t number = wake_decode(text);
    lines->len -= (size_t)(end + 1 - lines->buffer);
    memmove(lines->buffer, end + 1, lines->len);
    return number;
}

static void line_send(void *state, uint64_t n)
{
    char text[WAKE_BYTES + 1];

    wake_encode(n, text);
    text[WAKE_BYTES] = '\n';
    write_all(((struct line_pipe *)state)->in, text, sizeof(text));
}

/* ---- through the pool ---------------------------------------------------------------------- */

static pid_t feed_pid;
static pid_t follow_pid;

/* A follower prints what comes after its start, and nothing tells when that was: so lines that do
 * not count are fed until the first of them comes out, and the last of them has come out too. */
static void cli_wait_ready(struct line_pipe *lines)
{
    static const char last[] = "{\"ready\":2}";
    struct pollfd readable = {.fd = lines->out, .events = POLLIN};

    while (poll(&readable, 1, 20) == 0)
        write_all(lines->in, "{\"ready\":1}\n", 12);
    write_all(lines->in, "{\"ready\":2}\n", 12);
    while (!memmem(lines->buffer, lines->len, last, sizeof(last) - 1) ||
           lines->buffer[lines->len - 1] != '\n') {
        const ssize_t n =
            read(lines->out, lines->buffer + lines->len, sizeof(lines->buffer) - lines->len);
        bench_check(n > 0, "follow ended");
        lines->len += (size_t)n;
    }
    lines->len = 0;
}

static void cli_start(struct line_pipe *lines)
{
    const char *follow[] = {
        arg_need("program"), "--dir", arg_need("dir"), "follow", "live", "--jsonl", NULL};
    const char *feed[] = {arg_need("program"), "--dir", arg_need("dir"), "feed", "live", NULL};
    int in[2];
    int out[2];

    pool_close(bench_pool_create("live"));
    pipe_open(in);
    pipe_open(out);
    follow_pid = spawn(follow, -1, out[1]);
    feed_pid = spawn(feed, in[0], -1);
    close(in[0]);
    close(out[1]);
    *lines = (struct line_pipe){.in = in[1], .out = out[0]};
    cli_wait_ready(lines);
}

static void cli_stop(struct line_pipe *lines)
{
    close(lines->in);
    bench_check(spawn_wait(feed_pid) == 0, "feed failed");
    kill(follow_pid, SIGTERM);
    spawn_wait(follow_pid);
    close(lines->out);
    bench_pool_remove("live");
}

/* ---- through pipes alone ------------------------------------------------------------------- */

static void relay_child(int in, int out)
{
    char buffer[4096];
    ssize_t n;

    while ((n = read(in, buffer, sizeof(buffer))) > 0)
        write_all(out, buffer, (size_t)n);
    _exit(0);
}

static void hops_start(struct line_pipe *lines, pid_t out_pids[2])
{
    int fds[3][2];

    for (int i = 0; i < 3; i++)
        pipe_open(fds[i]);
    for (int i = 0; i < 2; i++) {
        out_pids[i] = fork();
        bench_check(out_pids[i] >= 0, "fork: %s", strerror(errno));
        if (out_pids[i] == 0)
            relay_child(fds[i][0], fds[i + 1][1]);
    }
    *lines = (struct line_pipe){.in = fds[0][1], .out = fds[2][0]};
}

void bench_feed_follow(void)
{
    static struct line_pipe through_pool;
    static struct line_pipe through_pipes;
    pid_t relays[2];

    cli_start(&through_pool);
    hops_start(&through_pipes, relays);
    struct transport transports[] = {
        {.name = "cli", .state = &through_pool, .send = line_send, .receive = line_receive},
        {.name = "hops", .state = &through_pipes, .send = line_send, .receive = line_receive},
    };
    wake_measure(transports, 2, arg_number("n", 200), false);
    for (int i = 0; i < 2; i++) { /* first: they hold copies of feed's pipe */
        kill(relays[i], SIGTERM);
        spawn_wait(relays[i]);
    }
    cli_stop(&through_pool);
}

/* The event loop of tap: two pipes in, two streams out, signals.
 *
 * Nothing in it waits but poll(), as far as the streams that we write to allow it (os/sink.h), so
 * that a reader who is slow on one stream does not hold up the other. What was read is stored
 * first and passed on then: whoever has seen a line finds it in the pool. */
#include "base/clock.h"
#include "cli/report.h"
#include "cli/tap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* One read; several thousand short lines, which become one batch. */
#define BLOCK_BYTES 65536u

/* How long the program may take to end by itself when its output can no longer be stored. */
#define GRACE_MS 3000

/* Reads of a stream after which enough is enough, once nobody wants to wait for its end. */
#define DRAIN_READS 64

static const char *const stream_names[N_TAP_STREAMS] = {"stdout", "stderr"};
static const int stream_fds[N_TAP_STREAMS] = {STDOUT_FILENO, STDERR_FILENO};

/* All that can fail is done before the program is started. */
static int stream_init(struct tap_stream *stream, struct tap *tap, size_t i, plsm_error_t **err)
{
    stream->block = malloc(BLOCK_BYTES);
    if (stream->block == NULL)
        return error_oom(err);
    stream->terminal = i == TAP_STDOUT ? tap->context->stdout_tty : tap->context->stderr_tty;
    stream->passing = !tap->quiet;
    if (stream->passing)
        sink_open(&stream->sink, stream_fds[i]);
    return lines_init(&stream->lines, stream_names[i], buf_view(&tap->tags),
        pool_ring_size(tap->pool), tap_append, tap, err);
}

static void stream_fini(struct tap_stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    sink_close(&stream->sink);
    lines_fini(&stream->lines);
    free(stream->block);
    *stream = (struct tap_stream){.fd = -1};
}

static bool stream_is_passing(const struct tap_stream *stream)
{
    return stream->passed < stream->len;
}

/* Storing is over: the program is told to end, and its output is shown while it does. */
static void tap_fail(struct tap *tap, plsm_error_t *err)
{
    if (tap->err != NULL) {
        plsm_error_free(err); /* the first one is the one to report */
        return;
    }
    tap->err = err;
    tap->kill_ns = clock_deadline_ns(GRACE_MS);
    spawn_kill(&tap->child, SIGTERM);
}

/* Whoever read our stream has gone, or it cannot take more; the capture goes on. */
static void stream_stop_passing(struct tap *tap, struct tap_stream *stream, int errnum)
{
    scoped(text_fini) struct text text = {0};
    stream->passing = false;
    stream->passed = stream->len;
    if (errnum == EPIPE)
        return;
    text_printf(&text, "Stopped passing output on: %s.", strerror(errnum));
    text_put(&text, "", 1);
    if (!text.failed)
        report_notice(tap->context, "passthrough", "tap", tap->ref.text,
            (const char *)text.buf.data, view_str("{}"));
}

/* What has been passed on is done with; unused bytes wait at the front for those to come. */
static void stream_compact(struct tap_stream *stream)
{
    if (stream->held > 0)
        memmove(stream->block, stream->block + stream->len - stream->held, stream->held);
    stream->len = stream->held;
    stream->passed = stream->held;
}

/* Writes what our reader takes now. */
static void stream_pass(struct tap *tap, struct tap_stream *stream)
{
    while (stream_is_passing(stream)) {
        const ssize_t n =
            sink_write(&stream->sink, stream->block + stream->passed, stream->len - stream->passed);
        if (n >= 0)
            stream->passed += (size_t)n;
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR)
            stream_stop_passing(tap, stream, errno);
    }
    if (stream->terminal && stream->passing && stream->len > 0)
        tap->mid_line = stream->block[stream->len - 1] != '\n';
    stream_compact(stream);
}

/* Turns what is in the block into messages. final: the stream has ended. */
static void stream_store(struct tap *tap, struct tap_stream *stream, bool final)
{
    plsm_error_t *err = NULL;
    size_t used = stream->len;

    if (tap->err != NULL)
        return;
    if (lines_put(&stream->lines, view_of(stream->block, stream->len), final, &used, &err) < 0 ||
        (final && lines_end(&stream->lines, &err) < 0)) {
        tap_fail(tap, err);
        used = stream->len;
    }
    stream->held = stream->len - used;
}

static void stream_end(struct tap *tap, struct tap_stream *stream)
{
    close(stream->fd);
    stream->fd = -1;
    stream_store(tap, stream, true);
    stream->held = 0;
}

/* Reads once, and stores and passes on what came. There is something to read. */
static void stream_read(struct tap *tap, struct tap_stream *stream)
{
    const ssize_t n = read(stream->fd, stream->block + stream->len, BLOCK_BYTES - stream->len);
    if (n < 0 && errno == EINTR)
        return;
    if (n < 0) {
        plsm_error_t *err = NULL;
        error_io(&err, errno, "failed to read the output of the wrapped command");
        tap_fail(tap, err);
    }
    if (n <= 0) {
        stream_end(tap, stream);
        return;
    }
    stream->passed = stream->len;
    stream->len += (size_t)n;
    stream_store(tap, stream, false);
    if (!stream->passing)
        stream->passed = stream->len;
    stream_pass(tap, stream);
}

/* Signals were handed on already. One that comes when the program has ended was meant for us:
 * whoever it left behind, and who still holds its pipes, is not waited for. */
static void tap_events(struct tap *tap, bool told)
{
    for (int signo; (signo = spawn_event(&tap->child)) != 0; told = true)
        if (signo != SIGCHLD)
            tap->stop = tap->stop || tap->ended;
        else if (!tap->ended)
            tap->ended = spawn_ended(&tap->child);
    /* so many may have come that the pipe had no room for the one that matters, or it could not
     * be read */
    if (told && !tap->ended)
        tap->ended = spawn_ended(&tap->child);
}

/* Nothing can be waited for any more. */
static void tap_poll_failed(struct tap *tap, int errnum)
{
    plsm_error_t *err = NULL;
    error_io(&err, errnum, "failed to wait for the output of the wrapped command");
    tap_fail(tap, err);
}

static int tap_timeout_ms(const struct tap *tap)
{
    if (tap->kill_ns == 0)
        return -1;
    const uint64_t now_ns = clock_monotonic_ns();
    return now_ns >= tap->kill_ns ? 0 : (int)((tap->kill_ns - now_ns) / NS_PER_MS) + 1;
}

/* Waits until there is something to do, and does it. */
static void tap_turn(struct tap *tap)
{
    struct pollfd polls[1 + N_TAP_STREAMS] = {{.fd = tap->child.event_fd, .events = POLLIN}};

    for (size_t i = 0; i < N_TAP_STREAMS; i++) {
        const struct tap_stream *stream = &tap->streams[i];
        polls[1 + i] = stream_is_passing(stream)
                           ? (struct pollfd){.fd = stream->sink.fd, .events = POLLOUT}
                           : (struct pollfd){.fd = stream->fd, .events = POLLIN};
    }
    bool told = false;
    if (poll(polls, 1 + N_TAP_STREAMS, tap_timeout_ms(tap)) < 0) {
        if (errno != EINTR)
            tap_poll_failed(tap, errno);
        memset(polls, 0, sizeof(polls)); /* a signal handler ran: see what it says */
        told = true;
    }
    tap_events(tap, told || polls[0].revents != 0);
    for (size_t i = 0; i < N_TAP_STREAMS; i++) {
        struct tap_stream *stream = &tap->streams[i];
        if (polls[1 + i].revents == 0)
            continue;
        if (stream_is_passing(stream))
            stream_pass(tap, stream);
        else
            stream_read(tap, stream);
    }
    if (tap->kill_ns != 0 && clock_monotonic_ns() >= tap->kill_ns) {
        spawn_kill(&tap->child, SIGKILL);
        tap->kill_ns = 0;
    }
}

static bool tap_is_open(const struct tap *tap)
{
    return tap->streams[TAP_STDOUT].fd >= 0 || tap->streams[TAP_STDERR].fd >= 0;
}

/* Whatever lies in the pipe is taken along, without waiting for more. */
static void stream_drain(struct tap *tap, struct tap_stream *stream)
{
    for (int i = 0; i < DRAIN_READS && stream->fd >= 0; i++) {
        struct pollfd readable = {.fd = stream->fd, .events = POLLIN};
        if (stream_is_passing(stream))
            stream_stop_passing(tap, stream, EPIPE); /* its reader would have to be waited for */
        stream_compact(stream);
        if (poll(&readable, 1, 0) <= 0)
            break;
        stream_read(tap, stream);
    }
    if (stream->fd >= 0)
        stream_end(tap, stream);
}

/* Until both streams end, or the program does whose output cannot be stored. A stream is read to
 * its end only when all of it was passed on, so nothing is left to be done afterwards. */
static void tap_capture(struct tap *tap)
{
    while (!tap->stop && (tap->err == NULL ? tap_is_open(tap) : !tap->ended))
        tap_turn(tap);
    for (size_t i = 0; i < N_TAP_STREAMS; i++)
        stream_drain(tap, &tap->streams[i]);
}

static int tap_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The program runs: 0 and its status, or -1 if its output could not all be stored. */
static int tap_attend(struct tap *tap, struct view start, int *out_status, plsm_error_t **err)
{
    plsm_error_t *failed = NULL;

    if (tap_append_lifecycle(tap, start, &failed) < 0)
        tap_fail(tap, failed);
    else
        tap_say_start(tap);
    tap_capture(tap);
    if (spawn_reap(&tap->child, out_status) < 0)
        return error_io(err, errno, "failed to wait for the wrapped command");
    if (tap->err != NULL) {
        if (err != NULL) {
            *err = tap->err;
            tap->err = NULL;
        }
        return -1;
    }
    return tap_append_exit(tap, *out_status, err);
}

static int tap_spawn_failed(const struct tap *tap, int errnum, plsm_error_t **err)
{
    const char *name = tap->argv[0];
    if (errnum != ENOENT) {
        error_io(err, errnum, "failed to spawn wrapped command: %s", name);
        return error_hint(err, "Check that it is a program, and that you may run it.");
    }
    error_set(err, PLSM_ERROR_USAGE, "wrapped command not found: %s", name);
    if (strchr(name, '/') != NULL && access(name, F_OK) == 0)
        error_cause(err, "the file is there, but the interpreter that it names is not");
    return error_hint(err, "Check PATH or use an absolute executable path.");
}

/* Everything with the program in it, from its start on. */
static int tap_run_program(struct tap *tap, struct view start, plsm_error_t **err)
{
    int status = 0;

    tap->started_ns = clock_monotonic_ns();
    if (spawn_start(tap->argv, &tap->child) < 0)
        return tap_spawn_failed(tap, errno, err);
    tap->streams[TAP_STDOUT].fd = tap->child.stdout_fd;
    tap->streams[TAP_STDERR].fd = tap->child.stderr_fd;
    if (tap_attend(tap, start, &status, err) < 0)
        return -1;
    tap_say_end(tap, status);
    return tap_code(status);
}

int tap_program(struct tap *tap, plsm_error_t **err)
{
    scoped(buf_fini) struct buf start = {0};
    int r = tap_prepare_start(tap, &start, err);

    for (size_t i = 0; i < N_TAP_STREAMS; i++)
        tap->streams[i] = (struct tap_stream){.fd = -1, .sink = {.fd = -1}};
    for (size_t i = 0; i < N_TAP_STREAMS && r == 0; i++)
        r = stream_init(&tap->streams[i], tap, i, err);
    if (r == 0)
        r = tap_run_program(tap, buf_view(&start), err);
    for (size_t i = 0; i < N_TAP_STREAMS; i++)
        stream_fini(&tap->streams[i]);
    return r;
}

/* What tap stores beside lines, and what it tells a terminal. */
#include "cli/tap.h"

#include "base/clock.h"
#include "base/limits.h"
#include "cli/exact.h"
#include "cli/open.h"
#include "json/write.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many times the pool's own patience is waited for a pool that is busy, a minute in all. The
 * program waits as long, when its pipes are full; only then is it ended. */
#define BUSY_TURNS 12

static const char lifecycle_tags[] = "[\"lifecycle\"]";

static int tap_check_pool(struct tap *tap, plsm_error_t **err)
{
    const int r = pool_check_file(tap->pool, err);
    if (r != POOL_DELETED)
        return r;
    error_set(err, PLSM_ERROR_NOT_FOUND, "the pool was deleted while it was tapped");
    error_at_path(err, tap->ref.path);
    return error_hint(err, "The wrapped command was ended. Run it again with --create.");
}

int tap_append(void *context, const struct message *messages, size_t n_messages, plsm_error_t **err)
{
    struct tap *tap = context;
    struct appended appended;
    int r = POOL_BUSY;

    if (tap_check_pool(tap, err) < 0)
        return -1;
    for (int i = 0; i < BUSY_TURNS && r == POOL_BUSY; i++)
        r = pool_append(tap->pool, messages, n_messages, &appended, err);
    if (r == POOL_BUSY)
        return open_busy(tap->ref.path, err);
    if (r < 0 || !tap->flush)
        return r;
    r = pool_flush_to(tap->pool, appended.end_pos, err);
    return r == POOL_OK ? 0 : open_not_flushed(r, tap->ref.path, appended.first_seq, err);
}

int tap_append_lifecycle(struct tap *tap, struct view data, plsm_error_t **err)
{
    const struct message message = {.tags = view_str(lifecycle_tags), .data = data};
    return tap_append(tap, &message, 1, err);
}

static int tap_too_large(const struct tap *tap, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE,
        "payload exceeds ring capacity: the pool takes messages of less than %llu bytes",
        (unsigned long long)pool_ring_size(tap->pool));
    error_at_path(err, tap->ref.path);
    return error_hint(err, "Neither the command with its arguments nor the tags of a line may be "
                           "larger: use a larger pool (--create-size).");
}

int tap_prepare_start(const struct tap *tap, struct buf *out_data, plsm_error_t **err)
{
    struct json_writer writer = json_writer(out_data);

    json_object_begin(&writer);
    json_key(&writer, "cmd");
    json_array_begin(&writer);
    for (size_t i = 0; i < tap->n_argv; i++)
        json_string_lossy(&writer, view_str(tap->argv[i]));
    json_array_end(&writer);
    json_key(&writer, "kind");
    json_str(&writer, "start");
    json_object_end(&writer);
    if (json_writer_failed(&writer))
        return error_oom(err);

    const struct message message = {.tags = view_str(lifecycle_tags), .data = buf_view(out_data)};
    const uint64_t ring_size = pool_ring_size(tap->pool);
    if (message_footprint(&message) > ring_size || out_data->len > LIMIT_MESSAGE_BYTES ||
        !lines_fit(buf_view(&tap->tags), ring_size))
        return tap_too_large(tap, err);
    return 0;
}

/* "SIGTERM"; beside the usual four only "SIG" and the number. */
static void tap_signal_name(int signo, char *out, size_t size)
{
    static const struct {
        int signo;
        const char *name;
    } names[] = {
        {SIGINT, "SIGINT"}, {SIGKILL, "SIGKILL"}, {SIGSEGV, "SIGSEGV"}, {SIGTERM, "SIGTERM"}};

    snprintf(out, size, "SIG%d", signo);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].signo == signo)
            snprintf(out, size, "%s", names[i].name);
}

int tap_append_exit(struct tap *tap, int status, plsm_error_t **err)
{
    scoped(buf_fini) struct buf data = {0};
    struct json_writer writer = json_writer(&data);
    char name[16];

    json_object_begin(&writer);
    if (WIFEXITED(status)) {
        json_key(&writer, "code");
        json_int(&writer, WEXITSTATUS(status));
    }
    json_key(&writer, "elapsed_ms");
    json_uint(&writer, (clock_monotonic_ns() - tap->started_ns) / NS_PER_MS);
    json_key(&writer, "kind");
    json_str(&writer, "exit");
    if (WIFSIGNALED(status)) {
        tap_signal_name(WTERMSIG(status), name, sizeof(name));
        json_key(&writer, "signal");
        json_str(&writer, name);
    }
    json_object_end(&writer);
    if (json_writer_failed(&writer))
        return error_oom(err);
    return tap_append_lifecycle(tap, buf_view(&data), err);
}

static void tap_say(const struct tap *tap, struct text *text)
{
    if (tap->context->stderr_tty)
        text_write(text, STDERR_FILENO, NULL); /* nobody is left to be told */
}

void tap_say_start(const struct tap *tap)
{
    scoped(text_fini) struct text text = {0};
    scoped(text_fini) struct text command = {0};

    for (size_t i = 0; i < tap->n_argv; i++)
        exact_token(&command, tap->argv[i]);
    text_str(&text, "tapping ");
    text_printable(&text, view_str(tap->ref.text));
    text_str(&text, " <-");
    text_printable(&text, buf_view(&command.buf));
    text_str(&text, "\n");
    tap_say(tap, &text);
}

void tap_say_end(const struct tap *tap, int status)
{
    scoped(text_fini) struct text text = {0};
    const uint64_t elapsed_ms = (clock_monotonic_ns() - tap->started_ns) / NS_PER_MS;
    uint64_t n_lines = 0;
    char name[16];

    for (size_t i = 0; i < N_TAP_STREAMS; i++)
        n_lines += tap->streams[i].lines.n_lines;
    text_printf(&text, "%stapped %llu lines (%llu.%llus) -> ", tap->mid_line ? "\n" : "",
        (unsigned long long)n_lines, (unsigned long long)elapsed_ms / 1000,
        (unsigned long long)elapsed_ms % 1000 / 100);
    text_printable(&text, view_str(tap->ref.text));
    if (WIFSIGNALED(status)) {
        tap_signal_name(WTERMSIG(status), name, sizeof(name));
        text_printf(&text, " signal %s\n", name);
    } else {
        text_printf(&text, " exit %d\n", WEXITSTATUS(status));
    }
    tap_say(tap, &text);
}

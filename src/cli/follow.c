/* follow: prints messages as they come; its options. */
#include "cli/follow.h"

#include "cli/commands.h"
#include "cli/exact.h"
#include "cli/open.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "client/value.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { ARG_POOL };

enum {
    OPT_CREATE,
    OPT_TAIL,
    OPT_ONE,
    OPT_JSONL,
    OPT_TIMEOUT,
    OPT_DATA_ONLY,
    OPT_FORMAT,
    OPT_SINCE,
    OPT_WHERE,
    OPT_TAG,
    OPT_QUIET_DROPS,
    OPT_NO_NOTIFY,
    OPT_REPLAY,
    OPT_TOKEN,
    OPT_TOKEN_FILE,
    OPT_TLS_CA,
    OPT_TLS_SKIP_VERIFY,
    N_OPTIONS,
};

static void follow_fini(struct follow *follow)
{
    watch_close(&follow->watch);
    pool_close(follow->pool);
    ref_fini(&follow->ref);
    select_fini(&follow->select);
    out_fini(&follow->out);
    buf_fini(&follow->document);
    buf_fini(&follow->shown);
}

static inline void follow_fini_scoped(struct follow *follow)
{
    follow_fini(follow);
}

static int follow_refuse(plsm_error_t **err, const char *message, const char *hint)
{
    error_set(err, PLSM_ERROR_USAGE, "%s", message);
    return error_hint(err, "%s", hint);
}

/* `peek` is the older spelling: one line a message unless --format says otherwise. */
static bool follow_is_peek(const struct args *args)
{
    return strcmp(args->spelling, "peek") == 0;
}

static int follow_set_format(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    const char *fallback = follow_is_peek(args) ? "jsonl" : "pretty";
    if (args_has(args, OPT_JSONL) && args_has(args, OPT_FORMAT))
        return follow_refuse(
            err, "conflicting output options", "Use either --format jsonl or --jsonl, not both.");
    follow->jsonl =
        args_has(args, OPT_JSONL) || strcmp(args_text(args, OPT_FORMAT, fallback), "jsonl") == 0;
    follow->envelope.data_only = args_has(args, OPT_DATA_ONLY);
    follow->envelope.descrips = follow_is_peek(args);
    return 0;
}

static int follow_remote(const struct args *args, plsm_error_t **err)
{
    static const struct remote_options remote_options = {OPT_TOKEN, OPT_TOKEN_FILE, OPT_TLS_CA};
    scoped(remote_fini) struct remote remote = {0};
    static const struct {
        size_t option;
        const char *message;
    } refused[] = {
        {OPT_CREATE, "remote follow does not support --create"},
        {OPT_SINCE, "remote follow does not support --since"},
        {OPT_REPLAY, "remote follow does not support --replay"},
        {OPT_NO_NOTIFY, "remote follow does not support --no-notify"},
        {OPT_QUIET_DROPS, "remote follow does not support --quiet-drops"},
    };
    if (args_has(args, OPT_TOKEN) && args_has(args, OPT_TOKEN_FILE))
        return follow_refuse(
            err, "--token cannot be combined with --token-file", "Use one of them.");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (args_has(args, refused[i].option))
            return follow_refuse(err, refused[i].message,
                "Drop the option, or create the pool server-side and follow it there.");
    if (remote_read(args, &remote_options, &remote, err) < 0)
        return -1;
    return follow_refuse(
        err, "remote pools are not supported by this build", "Use a local pool name/path.");
}

static int follow_set_replay(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    if (!args_has(args, OPT_REPLAY))
        return 0;
    follow->has_replay = true;
    follow->speed = args->options[OPT_REPLAY].real;
    if (!follow->has_since && follow->tail == 0)
        return follow_refuse(err, "--replay requires --tail or --since",
            "Say what to replay: --since 10m --replay 1, or --tail 100 --replay 0.");
    if (!isfinite(follow->speed) || follow->speed < 0)
        return follow_refuse(err, "--replay must be a finite number that is not negative",
            "Use 1 for the original pace, 10 for ten times as fast, 0 for no waiting.");
    return 0;
}

static int follow_check_local(const struct args *args, plsm_error_t **err)
{
    if (args_has(args, OPT_TOKEN) || args_has(args, OPT_TOKEN_FILE) || args_has(args, OPT_TLS_CA) ||
        args_has(args, OPT_TLS_SKIP_VERIFY))
        return follow_refuse(err, "follow remote auth/TLS flags require a remote http(s) pool ref",
            "Drop --token, --token-file, --tls-ca and --tls-skip-verify for local pools.");
    return 0;
}

/* Reads the options, in the order in which their errors are reported. */
static int follow_options(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    follow->one = args_has(args, OPT_ONE);
    follow->create = args_has(args, OPT_CREATE);
    follow->tail = args_number(args, OPT_TAIL, 0);
    follow->drops.quiet = args_has(args, OPT_QUIET_DROPS);
    if (follow_set_format(follow, args, err) < 0)
        return -1;
    follow->has_since = args_has(args, OPT_SINCE);
    if (follow->has_since &&
        value_since(args_text(args, OPT_SINCE, NULL), clock_wall_ns(), &follow->since_ns, err) < 0)
        return -1;
    follow->has_timeout = args_has(args, OPT_TIMEOUT);
    follow->timeout_text = args_text(args, OPT_TIMEOUT, NULL);
    if (follow->has_timeout && value_duration(follow->timeout_text, &follow->timeout_ms, err) < 0)
        return -1;
    if (select_init(&follow->select, args, OPT_TAG, OPT_WHERE, err) < 0 ||
        ref_resolve(args->positionals[ARG_POOL].text, follow->context->dir, &follow->ref, err) < 0)
        return -1;
    if (follow->ref.kind == REF_REMOTE)
        return follow_remote(args, err);
    if (follow_check_local(args, err) < 0 || follow_set_replay(follow, args, err) < 0)
        return -1;
    const bool plain =
        !args_has(args, OPT_TAIL) && !follow->has_since && !follow->has_replay && !follow->create;
    follow->await_pool = follow->one && (plain || follow_is_peek(args));
    return 0;
}

static int follow_hint_missing(
    const struct follow *follow, const struct args *args, plsm_error_t **err)
{
    static const uint8_t order[] = {OPT_TAIL, OPT_ONE, OPT_JSONL, OPT_TIMEOUT, OPT_DATA_ONLY,
        OPT_FORMAT, OPT_SINCE, OPT_WHERE, OPT_TAG, OPT_QUIET_DROPS, OPT_NO_NOTIFY, OPT_REPLAY};
    scoped(text_fini) struct text exact = {0};

    text_str(&exact, "plasmite follow");
    exact_token(&exact, follow->ref.text);
    text_str(&exact, " --create");
    for (size_t i = 0; i < sizeof(order); i++)
        exact_option(&exact, args, order[i]);
    return open_hint_create_flag(
        follow->context, &follow->ref, "follow", exact_finish(&exact), err);
}

static void follow_say_waiting(const struct follow *follow)
{
    scoped(text_fini) struct text details = {0};
    text_str(&details, "{\"pool_path\":");
    text_json_str(&details, follow->ref.path);
    text_str(&details, "}");
    if (!details.failed)
        report_notice(follow->context, "waiting", "follow", follow->ref.text,
            "waiting for the pool to be created", buf_view(&details.buf));
}

/* The pool's creator appends at once: what is in it when it appears is not old.
 * 0: open; EXIT_TIMEOUT; -1. */
static int follow_await(struct follow *follow, plsm_error_t **err)
{
    bool waiting = false; /* most often there is nothing to wait for */

    for (;;) {
        plsm_error_t *missing = NULL;
        if (waiting)
            watch_arm(&follow->watch, follow->ref.path);
        if (open_pool(follow->ref.path, POOL_READ, NULL, &follow->pool, &missing) == 0)
            return 0;
        if (missing->kind != PLSM_ERROR_NOT_FOUND) {
            if (err != NULL)
                *err = missing;
            return -1;
        }
        plsm_error_free(missing); /* it is what we wait for */
        if (waiting && watch_wait(&follow->watch, follow->deadline_ns) == WATCH_TIMEOUT)
            return EXIT_TIMEOUT;
        if (!waiting) {
            follow_say_waiting(follow);
            watch_open(&follow->watch);
        }
        waiting = true;
        follow->from_start = true;
    }
}

static int follow_open(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    if (follow->await_pool)
        return follow_await(follow, err);
    if (follow->create)
        return open_or_create(follow->ref.path, 0, NULL, POOL_READ, &follow->pool, err);
    if (open_pool(follow->ref.path, POOL_READ, NULL, &follow->pool, err) < 0)
        return follow_hint_missing(follow, args, err);
    return 0;
}

static int follow_pool(struct follow *follow, plsm_error_t **err)
{
    if (follow->has_since && follow->since_ns > clock_wall_ns())
        return 0;
    if (follow->has_replay)
        return follow_replay(follow, err);
    const int r = follow_history(follow, err);
    if (r == FOLLOW_GO_ON)
        return follow_live(follow, err);
    return r == FOLLOW_DONE ? 0 : -1;
}

static int follow_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(follow_fini) struct follow follow = {
        .context = context, .drops = {.context = context}, .watch = {.fd = -1}};
    scoped(plsm_error_free) plsm_error_t *second = NULL;

    follow.drops.ref = &follow.ref;
    out_init(&follow.out, STDOUT_FILENO);
    if (follow_options(&follow, args, err) < 0)
        return -1;
    follow_arm(&follow);
    int code = follow_open(&follow, args, err);
    if (code == 0)
        code = follow_pool(&follow, err);
    /* What was printed before an error stays printed; the first error is the one to report. */
    if (out_flush(&follow.out, code < 0 ? &second : err) < 0)
        return -1;
    drops_tell(&follow.drops, true);
    if (code == EXIT_TIMEOUT && context->stderr_tty) {
        scoped(text_fini) struct text text = {0};
        text_printf(&text, "No messages received (timed out after %s).\n", follow.timeout_text);
        text_write(&text, STDERR_FILENO, NULL);
    }
    return code;
}

static const char *const format_choices[] = {"pretty", "jsonl", NULL};
static const char remote_heading[] = "Remote options (remote refs only)";

static const struct option follow_option_table[N_OPTIONS] = {
    [OPT_CREATE] = {.name = "create", .summary = "Create the local pool if it does not exist"},
    [OPT_TAIL] = {.name = "tail",
        .letter = 'n',
        .kind = ARG_U64,
        .value = "TAIL",
        .fallback = "0",
        .summary = "Print the last TAIL matching messages first"},
    [OPT_ONE] = {.name = "one",
        .summary = "Stop after one message",
        .details = "Stop after one message. Where the pool does not exist yet, and no history was "
                   "asked for, wait for it."},
    [OPT_JSONL] = {.name = "jsonl", .summary = "One message a line, same as --format jsonl"},
    [OPT_TIMEOUT] = {.name = "timeout",
        .kind = ARG_TEXT,
        .value = "TIMEOUT",
        .summary = "Exit 124 when nothing is printed for so long: 5s",
        .details = "Exit 124 when nothing is printed for so long, e.g. 500ms, 5s, 10m."},
    [OPT_DATA_ONLY] = {.name = "data-only", .summary = "Print only the data of each message"},
    [OPT_FORMAT] = {.name = "format",
        .kind = ARG_CHOICE,
        .value = "FORMAT",
        .fallback = "pretty",
        .choices = format_choices,
        .summary = "Layout of messages"},
    [OPT_SINCE] = {.name = "since",
        .kind = ARG_TEXT,
        .value = "SINCE",
        .summary = "Print messages since then first: 10m, 7d, RFC 3339",
        .details = "Print messages from SINCE on first: 10m, 2h, 7d (ago), or RFC 3339."},
    [OPT_WHERE] = {.name = "where",
        .repeatable = true,
        .kind = ARG_TEXT,
        .value = "EXPR",
        .summary = "Only messages for which this jq is true; repeatable",
        .details = "Only messages for which a jq expression is true. Repeatable: for all."},
    [OPT_TAG] = {.name = "tag",
        .alias = "descrip",
        .repeatable = true,
        .kind = ARG_TEXT,
        .value = "TAG",
        .summary = "Only messages with this tag; repeatable",
        .details = "Only messages with this tag. Repeatable: with all of them."},
    [OPT_QUIET_DROPS] = {.name = "quiet-drops",
        .summary = "Do not tell of messages that were lost",
        .details = "Do not tell of messages that were overwritten before they were read."},
    [OPT_NO_NOTIFY] = {.name = "no-notify",
        .summary = "Accepted for older scripts; changes nothing"},
    [OPT_REPLAY] = {.name = "replay",
        .kind = ARG_REAL,
        .value = "SPEED",
        .summary = "Replay with pauses, then exit; finite SPEED >= 0",
        .details = "Print what --tail or --since select with the pauses between them divided by "
                   "SPEED (0: none), then exit. Needs a finite SPEED >= 0; requires --tail or "
                   "--since."},
    [OPT_TOKEN] = {.name = "token",
        .kind = ARG_TEXT,
        .value = "TOKEN",
        .heading = remote_heading,
        .summary = "Bearer token"},
    [OPT_TOKEN_FILE] = {.name = "token-file",
        .kind = ARG_TEXT,
        .value = "PATH",
        .heading = remote_heading,
        .summary = "File with the bearer token"},
    [OPT_TLS_CA] = {.name = "tls-ca",
        .kind = ARG_TEXT,
        .value = "PATH",
        .heading = remote_heading,
        .summary = "PEM file with the certificates to trust"},
    [OPT_TLS_SKIP_VERIFY] = {.name = "tls-skip-verify",
        .heading = remote_heading,
        .summary = "Trust any server certificate (unsafe)"},
};

static const struct positional follow_positionals[] = {
    [ARG_POOL] = {.value = "<POOL>",
        .required = true,
        .kind = ARG_TEXT,
        .summary = "Pool name, path, or http(s)://host:port/pool"},
};

static const struct conflict follow_conflicts[] = {{OPT_SINCE, OPT_TAIL}};

const struct command command_follow = {
    .name = "follow",
    .path = "follow",
    .alias = "peek",
    .summary = "Print messages as they come",
    .about = "Print the messages of a pool as they come, until Ctrl-C.",
    .notes = "--replay requires --tail or --since. Exit 124 means that --timeout expired.\n"
             "Remote refs are http(s)://host:port/pool. They reject --create.\n",
    .examples = "Examples:\n"
                "  plasmite follow chat\n"
                "  plasmite follow chat --tail 10 --jsonl | jq -r .data.msg\n"
                "  plasmite follow ci --where '.data.status == \"green\"' --one > /dev/null\n"
                "  plasmite follow telemetry --tag sensor --where '.data.value > 80000'\n"
                "  plasmite follow incidents --since 1h --replay 10\n",
    .missing_hint = "Add a pool ref, for example `plasmite follow chat -n 1`. Run `plasmite follow "
                    "--help` for usage.",
    .options = follow_option_table,
    .n_options = N_OPTIONS,
    .positionals = follow_positionals,
    .n_positionals = sizeof(follow_positionals) / sizeof(follow_positionals[0]),
    .conflicts = follow_conflicts,
    .n_conflicts = sizeof(follow_conflicts) / sizeof(follow_conflicts[0]),
    .help_when_empty = true,
    .run = follow_run,
};

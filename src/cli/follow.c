/* follow: prints messages as they come; its options. */
#include "cli/follow.h"

#include "cli/commands.h"
#include "cli/follow_options.h"
#include "cli/open.h"
#include "cli/remote.h"
#include "cli/report.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { ARG_POOL };

enum {
    OPT_ONE = N_FOLLOW_OPTIONS,
    OPT_DATA_ONLY,
    OPT_WHERE,
    OPT_TAG,
    OPT_QUIET_DROPS,
    OPT_NO_NOTIFY,
    OPT_REPLAY,
    OPT_REMOTE,
    N_OPTIONS = OPT_REMOTE + N_REMOTE_OPTIONS,
};

/* `peek` is the older spelling: one line a message unless --format says otherwise. */
static bool follow_is_peek(const struct args *args)
{
    return strcmp(args->spelling, "peek") == 0;
}

static int follow_check_remote(
    const struct follow *follow, const struct args *args, plsm_error_t **err)
{
    static const char hint[] = "Drop the option: only local pools are read that way.";
    static const struct remote_refused refused[] = {
        {OPT_CREATE, REMOTE_HINT_CREATE},
        {OPT_SINCE, hint},
        {OPT_REPLAY, hint},
        {OPT_NO_NOTIFY, hint},
        {OPT_QUIET_DROPS, hint},
        {0},
    };
    if (remote_check(args, OPT_REMOTE, &follow->ref, refused, err) < 0)
        return -1;
    return follow->ref.kind == REF_REMOTE ? remote_unsupported(args, OPT_REMOTE, err) : 0;
}

static int follow_set_replay(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    if (!args_has(args, OPT_REPLAY))
        return 0;
    follow->has_replay = true;
    follow->speed = args->options[OPT_REPLAY].real;
    if (!follow->has_since && follow->tail == 0)
        return args_refuse(err, "--replay requires --tail or --since",
            "Say what to replay: --since 10m --replay 1, or --tail 100 --replay 0.");
    if (!isfinite(follow->speed) || follow->speed < 0)
        return args_refuse(err, "--replay must be a finite number that is not negative",
            "Use 1 for the original pace, 10 for ten times as fast, 0 for no waiting.");
    return 0;
}

/* Reads the options, in the order in which their errors are reported. */
static int follow_options(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    const bool peek = follow_is_peek(args);

    follow->one = args_has(args, OPT_ONE);
    follow->drops.quiet = args_has(args, OPT_QUIET_DROPS);
    follow->envelope.data_only = args_has(args, OPT_DATA_ONLY);
    follow->envelope.descrips = peek;
    if (follow_set_format(follow, args, peek ? "jsonl" : "pretty", err) < 0 ||
        follow_set_range(follow, args, err) < 0 ||
        select_init(&follow->select, args, OPT_TAG, OPT_WHERE, err) < 0 ||
        ref_resolve(args->positionals[ARG_POOL].text, follow->context->dir, &follow->ref, err) <
            0 ||
        follow_check_remote(follow, args, err) < 0 || follow_set_replay(follow, args, err) < 0)
        return -1;
    const bool plain =
        !args_has(args, OPT_TAIL) && !follow->has_since && !follow->has_replay && !follow->create;
    follow->await_pool = follow->one && (plain || peek);
    return 0;
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
    static const uint8_t order[] = {OPT_TAIL, OPT_ONE, OPT_JSONL, OPT_TIMEOUT, OPT_DATA_ONLY,
        OPT_FORMAT, OPT_SINCE, OPT_WHERE, OPT_TAG, OPT_QUIET_DROPS, OPT_NO_NOTIFY, OPT_REPLAY};

    if (follow->await_pool)
        return follow_await(follow, err);
    if (follow->create)
        return open_or_create(follow->ref.path, NULL, NULL, POOL_READ, &follow->pool, err);
    if (open_pool(follow->ref.path, POOL_READ, NULL, &follow->pool, err) < 0)
        return follow_hint_missing(follow, args, order, sizeof(order), err);
    return 0;
}

static int follow_pool(struct follow *follow, plsm_error_t **err)
{
    if (follow_begins_later(follow))
        return 0;
    if (follow->has_replay)
        return follow_replay(follow, err);
    const int r = follow_history(follow, err);
    if (r == FOLLOW_GO_ON)
        return follow_live(follow, err);
    return r == FOLLOW_DONE ? 0 : -1;
}

static void follow_say_timeout(const struct follow *follow)
{
    scoped(text_fini) struct text text = {0};
    text_printf(&text, "No messages received (timed out after %s).\n", follow->timeout_text);
    text_write(&text, STDERR_FILENO, NULL);
}

static int follow_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(follow_fini) struct follow follow;

    follow_init(&follow, context);
    if (follow_options(&follow, args, err) < 0)
        return -1;
    follow_arm(&follow);
    int code = follow_open(&follow, args, err);
    if (code == 0)
        code = follow_pool(&follow, err);
    code = follow_finish(&follow, code, err);
    if (code == EXIT_TIMEOUT && context->stderr_tty)
        follow_say_timeout(&follow);
    return code;
}

static const struct option follow_option_table[N_OPTIONS] = {
    FOLLOW_OPTIONS,
    [OPT_ONE] = {.name = "one",
        .summary = "Stop after one message",
        .details = "Stop after one message. Where the pool does not exist yet, and no history was "
                   "asked for, wait for it."},
    [OPT_DATA_ONLY] = {.name = "data-only", .summary = "Print only the data of each message"},
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
    REMOTE_OPTIONS(OPT_REMOTE),
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

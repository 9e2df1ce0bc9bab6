/* feed: appends messages, from the command line, a file or a stream. */
#include "cli/feed.h"

#include "cli/commands.h"
#include "cli/exact.h"
#include "cli/ingest.h"
#include "cli/open.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "client/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARG_POOL, ARG_DATA };

enum {
    OPT_TAG,
    OPT_FILE,
    OPT_DURABILITY,
    OPT_CREATE,
    OPT_CREATE_SIZE,
    OPT_RETRY,
    OPT_RETRY_DELAY,
    OPT_IN,
    OPT_ERRORS,
    OPT_PROGRESS,
    OPT_REMOTE,
    N_OPTIONS = OPT_REMOTE + N_REMOTE_OPTIONS,
};

#define RETRY_DELAY_DEFAULT_MS 50

/* With --retry the user's attempts are the patience; each of them is short. */
#define RETRY_BUSY_TIMEOUT_MS 250

static int feed_check_remote(const struct feed *feed, const struct args *args, plsm_error_t **err)
{
    static const struct remote_refused refused[] = {{OPT_CREATE, REMOTE_HINT_CREATE}, {0}};
    if (remote_check(args, OPT_REMOTE, &feed->ref, refused, err) < 0)
        return -1;
    return feed->ref.kind == REF_REMOTE ? remote_unsupported(args, OPT_REMOTE, err) : 0;
}

/* Reads the options, in the order in which their errors are reported. */
static int feed_options(struct feed *feed, const struct args *args, plsm_error_t **err)
{
    if (ref_resolve(args->positionals[ARG_POOL].text, feed->context->dir, &feed->ref, err) < 0)
        return -1;
    if (options_create_size(args, OPT_CREATE_SIZE, OPT_CREATE, &feed->create_size, err) < 0)
        return -1;
    feed->retries = (uint32_t)args_number(args, OPT_RETRY, 0);
    feed->retry_delay_ms = RETRY_DELAY_DEFAULT_MS;
    if (args_has(args, OPT_RETRY_DELAY) && feed->retries == 0)
        return args_refuse(err, "--retry-delay requires --retry",
            "Add --retry N (at least 1), or drop --retry-delay.");
    if (options_durability(args_text(args, OPT_DURABILITY, "fast"), &feed->flush, err) < 0)
        return -1;
    if (args_has(args, OPT_RETRY_DELAY) &&
        value_duration(args_text(args, OPT_RETRY_DELAY, NULL), &feed->retry_delay_ms, err) < 0)
        return -1;
    feed->skip = strcmp(args_text(args, OPT_ERRORS, "stop"), "skip") == 0;
    if (feed->skip && strcmp(args_text(args, OPT_IN, "auto"), "jq") == 0)
        return args_refuse(err, "--in jq does not support --errors skip",
            "Behind a broken value nobody knows where the next one begins: use --errors stop, or "
            "--in jsonl.");
    return feed_check_remote(feed, args, err);
}

static int feed_hint_missing(const struct feed *feed, const struct args *args, plsm_error_t **err)
{
    scoped(text_fini) struct text exact = {0};
    const char *data = args->positionals[ARG_DATA].text;

    if (data == NULL && !args_has(args, OPT_FILE))
        return open_hint_create_flag(feed->context, &feed->ref, "feed", NULL, err);
    exact_create(&exact, args, feed->ref.text);
    exact_option(&exact, args, OPT_TAG);
    if (data != NULL)
        exact_token(&exact, data);
    exact_option(&exact, args, OPT_FILE);
    if (feed->flush)
        exact_option(&exact, args, OPT_DURABILITY);
    exact_option(&exact, args, OPT_RETRY);
    exact_option(&exact, args, OPT_RETRY_DELAY);
    exact_option(&exact, args, OPT_IN);
    if (feed->skip)
        exact_option(&exact, args, OPT_ERRORS);
    return open_hint_create_flag(feed->context, &feed->ref, "feed", exact_finish(&exact), err);
}

static int feed_open_once(struct feed *feed, const struct args *args, plsm_error_t **err)
{
    const struct pool_open_options options = {
        .busy_timeout_ms =
            feed->retries > 0 ? RETRY_BUSY_TIMEOUT_MS : POOL_BUSY_TIMEOUT_DEFAULT_MS};
    const struct pool_create_options create = {
        .size_bytes = feed->create_size, .index_capacity = POOL_INDEX_DEFAULT};
    if (args_has(args, OPT_CREATE))
        return open_or_create(feed->ref.path, &create, &options, POOL_WRITE, &feed->pool, err);
    return open_pool(feed->ref.path, POOL_WRITE, &options, &feed->pool, err);
}

static int feed_open(struct feed *feed, const struct args *args, plsm_error_t **err)
{
    struct feed_retry retry = {0};
    while (feed_open_once(feed, args, err) < 0)
        if (!feed_try_again(feed, &retry, err))
            return feed_hint_missing(feed, args, err);
    feed->ring_size = pool_ring_size(feed->pool);
    return 0;
}

static enum ingest_mode feed_mode(const char *name)
{
    if (strcmp(name, "jsonl") == 0)
        return INGEST_JSONL;
    if (strcmp(name, "json") == 0)
        return INGEST_JSON;
    if (strcmp(name, "seq") == 0)
        return INGEST_SEQ;
    return strcmp(name, "jq") == 0 ? INGEST_JQ : INGEST_AUTO;
}

/* A stream, with its progress. Receipts on a terminal show enough of it, and who types knows. */
static int feed_from(
    struct feed *feed, const struct args *args, int fd, const char *path, plsm_error_t **err)
{
    static const struct progress_words words = {
        .doing = "feeding", .done = "fed", .noun = "message"};
    const bool show = feed->context->stderr_tty && !feed->context->stdout_tty && !isatty(fd) &&
                      strcmp(args_text(args, OPT_PROGRESS, "auto"), "never") != 0;

    progress_start(&feed->progress, show, &words, show ? progress_file_bytes(fd) : 0);
    const int code = feed_stream(feed, fd, feed_mode(args_text(args, OPT_IN, "auto")), path, err);
    progress_finish(&feed->progress, feed->n_ok);
    return code;
}

static int feed_file(struct feed *feed, const struct args *args, plsm_error_t **err)
{
    const char *path = args_text(args, OPT_FILE, NULL);

    if (path == NULL || strcmp(path, "-") == 0)
        return feed_from(feed, args, STDIN_FILENO, NULL, err);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_io(err, errno, "failed to read data file");
        return error_at_path(err, path);
    }
    const int r = feed_from(feed, args, fd, path, err);
    close(fd);
    return r;
}

static int feed_input(struct feed *feed, const struct args *args, plsm_error_t **err)
{
    if (args->positionals[ARG_DATA].count > 0)
        return feed_argument(feed, args->positionals[ARG_DATA].text, err);
    if (!args_has(args, OPT_FILE) && isatty(STDIN_FILENO))
        return feed_no_input(feed, err);
    return feed_file(feed, args, err);
}

static int feed_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(feed_fini) struct feed feed = {.context = context};

    feed.whole = strcmp(args->spelling, "poke") == 0;
    out_init(&feed.out, STDOUT_FILENO);
    if (feed_options(&feed, args, err) < 0 || options_tags(args, OPT_TAG, &feed.tags, err) < 0 ||
        feed_open(&feed, args, err) < 0)
        return -1;
    context->progress = &feed.progress;
    const int code = feed_input(&feed, args, err);
    context->progress = NULL;
    return code;
}

static const char *const in_choices[] = {"auto", "jsonl", "json", "seq", "jq", NULL};
static const char *const durability_choices[] = {"fast", "flush", NULL};
static const char *const errors_choices[] = {"stop", "skip", NULL};

static const struct option feed_option_table[N_OPTIONS] = {
    [OPT_TAG] = {.name = "tag",
        .alias = "descrip",
        .repeatable = true,
        .kind = ARG_TEXT,
        .value = "TAG",
        .summary = "Tag each message; repeatable, order is kept"},
    [OPT_FILE] = {.name = "file",
        .letter = 'f',
        .kind = ARG_TEXT,
        .value = "FILE",
        .summary = "Read JSON from FILE; - is stdin",
        .details = "Read a JSON value, or a stream of them, from FILE; - is stdin."},
    [OPT_DURABILITY] = {.name = "durability",
        .kind = ARG_TEXT,
        .value = "DURABILITY",
        .fallback = "fast",
        .choices = durability_choices,
        .summary = "flush: on stable storage before the receipt",
        .details = "fast: survives the death of any process. flush: on stable storage before the "
                   "receipt, so that it survives a power loss."},
    [OPT_CREATE] = {.name = "create",
        .summary = "Create the pool if it does not exist",
        .details = "Create the local pool, and its directory, if it does not exist."},
    [OPT_CREATE_SIZE] = {.name = "create-size",
        .kind = ARG_TEXT,
        .value = "CREATE_SIZE",
        .fallback = "1M",
        .summary = "Size of a created pool; requires --create",
        .details = "Size of a created pool, e.g. 64K, 8M; requires --create"},
    [OPT_RETRY] = {.name = "retry",
        .kind = ARG_U32,
        .value = "RETRY",
        .fallback = "0",
        .summary = "Further attempts when the pool is busy"},
    [OPT_RETRY_DELAY] = {.name = "retry-delay",
        .kind = ARG_TEXT,
        .value = "RETRY_DELAY",
        .fallback = "50ms",
        .summary = "Time between attempts; requires --retry > 0"},
    [OPT_IN] = {.name = "in",
        .letter = 'i',
        .kind = ARG_CHOICE,
        .value = "INPUT",
        .fallback = "auto",
        .choices = in_choices,
        .summary = "Format of a stream or file",
        .details = "auto: JSON Lines (values may also run over several lines), RFC 7464 sequences "
                   "and server-sent events are told apart by how they begin. jsonl: one value a "
                   "line. json: one document. seq: RFC 7464. jq: values one behind the other."},
    [OPT_ERRORS] = {.name = "errors",
        .letter = 'e',
        .kind = ARG_CHOICE,
        .value = "ERRORS",
        .fallback = "stop",
        .choices = errors_choices,
        .summary = "At a bad record; after a skip feed exits 1",
        .details = "At a bad record: stop, or skip it with a notice; feed exits 1 then."},
    [OPT_PROGRESS] = {.name = "progress",
        .kind = ARG_CHOICE,
        .value = "PROGRESS",
        .fallback = "auto",
        .choices = progress_choices,
        .summary = "Show how far it is"},
    REMOTE_OPTIONS(OPT_REMOTE),
};

static const struct positional feed_positionals[] = {
    [ARG_POOL] = {.value = "<POOL>",
        .required = true,
        .kind = ARG_TEXT,
        .summary = "Pool name, path, or http(s)://host:port/pool"},
    [ARG_DATA] = {.value = "[DATA]", .kind = ARG_TEXT, .summary = "One JSON object"},
};

static const struct conflict feed_conflicts[] = {{ARG_POSITIONAL(ARG_DATA), OPT_FILE}};

const struct command command_feed = {
    .name = "feed",
    .path = "feed",
    .alias = "poke",
    .summary = "Append JSON messages to a pool",
    .about =
        "Append JSON messages to a pool and print a receipt for each: its seq, time and tags. Data "
        "is given back as it was written.",
    .notes = "Choose one input source: DATA, --file, or piped stdin.\n",
    .examples = "Examples:\n"
                "  plasmite feed chat --create '{\"from\":\"alice\",\"msg\":\"hello\"}'\n"
                "  plasmite feed chat --tag urgent --durability flush '{\"msg\":\"now\"}'\n"
                "  jq -c '.items[]' data.json | plasmite feed items --create\n"
                "  journalctl -o json-seq -f | plasmite feed syslog --create --create-size 64M\n"
                "  plasmite feed logs --file records.jsonl --in jsonl --errors skip\n",
    .options = feed_option_table,
    .n_options = N_OPTIONS,
    .positionals = feed_positionals,
    .n_positionals = sizeof(feed_positionals) / sizeof(feed_positionals[0]),
    .conflicts = feed_conflicts,
    .n_conflicts = sizeof(feed_conflicts) / sizeof(feed_conflicts[0]),
    .help_when_empty = true,
    .run = feed_run,
};

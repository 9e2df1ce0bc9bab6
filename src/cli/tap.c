/* tap: runs a program, keeps its output as messages and shows it unchanged. */
#include "cli/tap.h"

#include "cli/commands.h"
#include "cli/open.h"
#include "cli/options.h"

enum {
    OPT_CREATE,
    OPT_CREATE_SIZE,
    OPT_TAG,
    OPT_QUIET,
    OPT_DURABILITY,
    N_OPTIONS,
};

static int tap_set_argv(struct tap *tap, const struct args *args, plsm_error_t **err)
{
    tap->argv = args->rest;
    tap->n_argv = args->n_rest;
    if (tap->n_argv > 0)
        return 0;
    error_set(err, PLSM_ERROR_USAGE, "tap requires a wrapped command after `--`");
    return error_hint(err, "Write it behind two dashes: plasmite tap <pool> -- <command...>");
}

static int tap_open(
    struct tap *tap, const struct args *args, uint64_t create_size, plsm_error_t **err)
{
    const struct pool_create_options create = {
        .size_bytes = create_size, .index_capacity = POOL_INDEX_DEFAULT};
    const struct pool_open_options options = {.busy_timeout_ms = POOL_BUSY_TIMEOUT_DEFAULT_MS};
    const char *path = tap->ref.path;
    const int r = args_has(args, OPT_CREATE)
                      ? open_or_create(path, &create, &options, POOL_WRITE, &tap->pool, err)
                      : open_pool(path, POOL_WRITE, &options, &tap->pool, err);
    return r < 0 ? open_hint_create_flag(tap->context, &tap->ref, "tap", NULL, err) : 0;
}

static void tap_fini(struct tap *tap)
{
    pool_close(tap->pool);
    ref_fini(&tap->ref);
    buf_fini(&tap->tags);
    plsm_error_free(tap->err);
}

static inline void tap_fini_scoped(struct tap *tap)
{
    tap_fini(tap);
}

static int tap_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(tap_fini) struct tap tap = {.context = context};
    uint64_t create_size = 0;

    tap.quiet = args_has(args, OPT_QUIET);
    if (options_create_size(args, OPT_CREATE_SIZE, OPT_CREATE, &create_size, err) < 0 ||
        ref_resolve_local(args->positionals[0].text, context->dir, "tap", &tap.ref, err) < 0 ||
        tap_set_argv(&tap, args, err) < 0 ||
        options_durability(args_text(args, OPT_DURABILITY, "fast"), &tap.flush, err) < 0 ||
        options_tags(args, OPT_TAG, &tap.tags, err) < 0 ||
        tap_open(&tap, args, create_size, err) < 0)
        return -1;
    return tap_program(&tap, err);
}

static const char *const durability_choices[] = {"fast", "flush", NULL};

static const struct option tap_options[N_OPTIONS] = {
    [OPT_CREATE] = {.name = "create",
        .summary = "Create the pool if it does not exist",
        .details = "Create the pool, and its directory, if it does not exist."},
    [OPT_CREATE_SIZE] = {.name = "create-size",
        .kind = ARG_TEXT,
        .value = "CREATE_SIZE",
        .fallback = "1M",
        .summary = "Size of a created pool; requires --create",
        .details = "Size of a created pool, e.g. 64K or 8M; requires --create."},
    [OPT_TAG] = {.name = "tag",
        .alias = "descrip",
        .repeatable = true,
        .kind = ARG_TEXT,
        .value = "TAG",
        .summary = "Tag each line; repeatable, order is kept"},
    [OPT_QUIET] = {.name = "quiet",
        .letter = 'q',
        .summary = "Only capture: do not pass the output on"},
    [OPT_DURABILITY] = {.name = "durability",
        .kind = ARG_TEXT,
        .value = "DURABILITY",
        .fallback = "fast",
        .choices = durability_choices,
        .summary = "flush: on stable storage before it is shown",
        .details = "fast: survives the death of any process. flush: on stable storage before it "
                   "is passed on, so that what was seen survives a power loss."},
};

static const struct positional tap_positionals[] = {
    {.value = "<POOL>", .required = true, .kind = ARG_TEXT, .summary = "Pool name or path"},
};

const struct command command_tap = {
    .name = "tap",
    .path = "tap",
    .summary = "Capture command output into a local pool",
    .about = "Capture command output into a local pool: run a command, pass its output on "
             "unchanged, and store each line as a message as soon as it ends, between a message "
             "of the start and one of the end.",
    .usage = "[OPTIONS] <POOL> -- <COMMAND>...",
    .notes = "The `--` is required before wrapped command args. The exit code is the\n"
             "wrapped command's exit status, or 128 + N if signal N ended it. SIGINT,\n"
             "SIGTERM, SIGHUP and SIGQUIT are handed on to it.\n",
    .examples =
        "Messages, in this order:\n"
        "  {\"cmd\":[\"make\",\"-k\"],\"kind\":\"start\"}           tagged lifecycle\n"
        "  {\"kind\":\"line\",\"line\":\"text\",\"stream\":\"stdout\"}   or stderr; with your "
        "tags\n"
        "  {\"code\":0,\"elapsed_ms\":1234,\"kind\":\"exit\"}      or \"signal\":\"SIGTERM\"\n"
        "  A line that is too long for one message comes in parts: \"part\":1, 2, ... of\n"
        "  which all but the last have \"more\":true. What is not UTF-8 becomes U+FFFD.\n"
        "\n"
        "Examples:\n"
        "  plasmite tap build --create -- cargo build\n"
        "  plasmite tap api --create --create-size 64M -- ./server\n"
        "  plasmite tap deploy --tag prod --durability flush -- ./deploy.sh\n"
        "  plasmite follow build --tail 20 --where '.data.stream == \"stderr\"'\n",
    .options = tap_options,
    .n_options = N_OPTIONS,
    .positionals = tap_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .takes_rest = true,
    .run = tap_run,
};

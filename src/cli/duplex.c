/* duplex: follows a pool and appends to it, both at once, until either side ends.
 *
 * The one place in the program with a second thread: it reads standard input and appends, while
 * the first one follows. docs/design/0005-duplex.md says why, and why none of the ends can be
 * missed. */
#include "cli/duplex.h"

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/follow_options.h"
#include "cli/open.h"
#include "cli/remote.h"

#include <unistd.h>

enum { ARG_POOL };

enum {
    OPT_ME = N_FOLLOW_OPTIONS,
    OPT_ECHO_SELF,
    OPT_REMOTE,
    N_OPTIONS = OPT_REMOTE + N_REMOTE_OPTIONS,
};

struct duplex {
    struct follow follow;
    struct feed feed; /* its reference and its pool are those of follow */
    struct buf me;
    bool has_me;
    bool typed; /* standard input is a terminal */

    pthread_t reader;
    pthread_mutex_t gate; /* closed, by whoever holds it, to the other thread: see feed.h */
    atomic_bool ended;    /* the reader; then the next two are set */
    int code;
    plsm_error_t *err;
};

static void duplex_fini(struct duplex *duplex)
{
    duplex->feed.pool = NULL;
    duplex->feed.ref = (struct ref){0};
    feed_fini(&duplex->feed);
    follow_fini(&duplex->follow);
    buf_fini(&duplex->me);
    plsm_error_free(duplex->err);
}

static int duplex_check_remote(
    const struct duplex *duplex, const struct args *args, plsm_error_t **err)
{
    static const struct remote_refused refused[] = {
        {OPT_CREATE, REMOTE_HINT_CREATE},
        {OPT_SINCE, "Drop the option: --tail goes back in a remote pool."},
        {0},
    };
    if (remote_check(args, OPT_REMOTE, &duplex->follow.ref, refused, err) < 0)
        return -1;
    return duplex->follow.ref.kind == REF_REMOTE ? remote_unsupported(args, OPT_REMOTE, err) : 0;
}

/* Who we are. What is no UTF-8 in it becomes what a message can carry, so that we know our own. */
static int duplex_set_me(struct duplex *duplex, const struct args *args, plsm_error_t **err)
{
    duplex->typed = isatty(STDIN_FILENO);
    duplex->has_me = args_has(args, OPT_ME);
    if (duplex->typed && !duplex->has_me)
        return args_refuse(err, "TTY input requires --me for duplex",
            "Add --me NAME: each line is sent as {\"from\": NAME, \"msg\": LINE}. Or pipe JSON.");
    if (!duplex->has_me)
        return 0;
    if (ingest_lossy(view_str(args_text(args, OPT_ME, "")), &duplex->me) < 0)
        return error_oom(err);
    duplex->follow.select.others_only = !args_has(args, OPT_ECHO_SELF);
    duplex->follow.select.from = buf_view(&duplex->me);
    return 0;
}

/* Reads the options, in the order in which their errors are reported. */
static int duplex_options(struct duplex *duplex, const struct args *args, plsm_error_t **err)
{
    struct follow *follow = &duplex->follow;
    if (follow_set_format(follow, args, "pretty", err) < 0 ||
        duplex_set_me(duplex, args, err) < 0 || follow_set_range(follow, args, err) < 0 ||
        ref_resolve(args->positionals[ARG_POOL].text, follow->context->dir, &follow->ref, err) < 0)
        return -1;
    return duplex_check_remote(duplex, args, err);
}

/* One handle for both threads. */
static int duplex_open(struct duplex *duplex, const struct args *args, plsm_error_t **err)
{
    static const uint8_t order[] = {
        OPT_ME, OPT_TAIL, OPT_JSONL, OPT_TIMEOUT, OPT_FORMAT, OPT_SINCE, OPT_ECHO_SELF};
    struct follow *follow = &duplex->follow;

    if (follow->create) {
        if (open_or_create(follow->ref.path, NULL, NULL, POOL_WRITE, &follow->pool, err) < 0)
            return -1;
    } else if (open_pool(follow->ref.path, POOL_WRITE, NULL, &follow->pool, err) < 0) {
        return follow_hint_missing(follow, args, order, sizeof(order), err);
    }
    duplex->feed.ref = follow->ref;
    duplex->feed.pool = follow->pool;
    duplex->feed.ring_size = pool_ring_size(follow->pool);
    return 0;
}

static void *duplex_read(void *arg)
{
    struct duplex *duplex = arg;
    plsm_error_t *err = NULL;

    feed_gate_close(&duplex->gate);
    const int code = duplex->typed
                         ? duplex_type(&duplex->feed, buf_view(&duplex->me), &err)
                         : feed_stream(&duplex->feed, STDIN_FILENO, INGEST_AUTO, NULL, &err);
    duplex->code = code;
    duplex->err = err;
    /* after all that was appended, and before the wake-up: see follow_wait_unless() */
    atomic_store_explicit(&duplex->ended, true, memory_order_seq_cst);
    follow_interrupt(duplex->follow.pool);
    feed_gate_open(&duplex->feed);
    return NULL;
}

static int duplex_start(struct duplex *duplex, plsm_error_t **err)
{
    const int errnum = pthread_create(&duplex->reader, NULL, duplex_read, duplex);
    return errnum == 0 ? 0 : error_io(err, errnum, "failed to start the reading thread");
}

/* After the follower's end: no append is under way, and none begins. Whether the reader has
 * ended too; if not, it waits for input, and behind that for the gate, as long as we live. */
static bool duplex_stop(struct duplex *duplex)
{
    feed_gate_close(&duplex->gate);
    if (!atomic_load_explicit(&duplex->ended, memory_order_acquire))
        return false;
    feed_gate_open(&duplex->feed);
    pthread_join(duplex->reader, NULL);
    return true;
}

/* Follows until either side ends; the outcome of the side that ended first counts. */
static int duplex_both(struct duplex *duplex, bool *out_ended, plsm_error_t **err)
{
    int code = duplex_start(duplex, err);
    if (code == 0) {
        *out_ended = false;
        code = follow_live(&duplex->follow, err);
        *out_ended = duplex_stop(duplex);
    }
    if (code == 0 && *out_ended) {
        code = duplex->code;
        if (err != NULL) {
            *err = duplex->err;
            duplex->err = NULL;
        }
    }
    return code;
}

static int duplex_pool(struct duplex *duplex, bool *out_ended, plsm_error_t **err)
{
    if (follow_begins_later(&duplex->follow))
        return 0;
    /* what is sent comes behind the history */
    int code = follow_history(&duplex->follow, err);
    if (code == FOLLOW_GO_ON)
        code = duplex_both(duplex, out_ended, err);
    return follow_finish(&duplex->follow, code, err);
}

/* Static, because the reader may outlive this function: nobody can end its wait for input but the
 * end of the program. Then nothing is released that it may be using. */
static int duplex_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    static struct duplex duplex = {.gate = PTHREAD_MUTEX_INITIALIZER};
    bool ended = true; /* or never begun */

    follow_init(&duplex.follow, context);
    duplex.follow.stop = &duplex.ended;
    duplex.feed = (struct feed){.context = context, .mute = true, .gate = &duplex.gate};
    out_init(&duplex.feed.out, STDOUT_FILENO);
    int code = duplex_options(&duplex, args, err);
    follow_arm(&duplex.follow);
    if (code == 0)
        code = duplex_open(&duplex, args, err);
    if (code == 0)
        code = duplex_pool(&duplex, &ended, err);
    if (ended)
        duplex_fini(&duplex);
    return code;
}

static const struct option duplex_option_table[N_OPTIONS] = {
    FOLLOW_OPTIONS,
    [OPT_ME] = {.name = "me",
        .kind = ARG_TEXT,
        .value = "ME",
        .summary = "Your name; messages from it are not printed",
        .details = "Your name: the \"from\" of what you type. Messages whose data has it as "
                   "\"from\" are not "
                   "printed, and do not count for --tail."},
    [OPT_ECHO_SELF] = {.name = "echo-self", .summary = "Print the messages of ME too"},
    REMOTE_OPTIONS(OPT_REMOTE),
};

static const struct positional duplex_positionals[] = {
    [ARG_POOL] = {.value = "<POOL>",
        .required = true,
        .kind = ARG_TEXT,
        .summary = "Pool name, path, or http(s)://host:port/pool"},
};

static const struct conflict duplex_conflicts[] = {{OPT_SINCE, OPT_TAIL}};

const struct command command_duplex = {
    .name = "duplex",
    .path = "duplex",
    .summary = "Send and follow from one command",
    .about = "Send and follow from one command: what is typed or piped in is appended to the pool, "
             "and the pool's messages are printed as they come. Ends when the input ends.",
    .notes = "Terminal input requires --me: each line is sent as {\"from\": ME, \"msg\": LINE}.\n"
             "Piped input is JSON, as `plasmite feed` reads it; a bad record ends duplex.\n"
             "Messages that go through remote refs expose no auth/TLS data to their readers.\n"
             "Remote refs reject --create and --since. Exits 124 when --timeout expires.\n",
    .examples = "Examples:\n"
                "  plasmite duplex chat --create --me alice\n"
                "  plasmite duplex chat --me bob --tail 20\n"
                "  printf '{\"from\":\"ci\",\"msg\":\"done\"}' | plasmite duplex chat --me ci\n"
                "  ./bot | plasmite duplex chat --me bot --jsonl --timeout 5s\n",
    .options = duplex_option_table,
    .n_options = N_OPTIONS,
    .positionals = duplex_positionals,
    .n_positionals = sizeof(duplex_positionals) / sizeof(duplex_positionals[0]),
    .conflicts = duplex_conflicts,
    .n_conflicts = sizeof(duplex_conflicts) / sizeof(duplex_conflicts[0]),
    .help_when_empty = true,
    .run = duplex_run,
};

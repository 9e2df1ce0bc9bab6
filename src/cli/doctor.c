/* doctor: checks everything a pool has, and repairs it. */
#include "cli/doctor.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/pool_list.h"
#include "cli/report.h"
#include "client/ref.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_ALL, OPT_REPAIR, OPT_JSON, OPT_PROGRESS, N_OPTIONS };

static void doctor_fini_scoped(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->n_pools; i++) {
        plsm_error_free(doctor->pools[i].error);
        plsm_error_free(doctor->pools[i].refused);
        pool_repaired_fini(&doctor->pools[i].repaired);
    }
    free(doctor->pools);
}

/* How far the check or the repair of one pool is. The bytes of a single one are known only by now. */
static void doctor_tell(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct doctor *doctor = context;
    doctor->bytes_now = total_bytes;
    if (doctor->bytes_before + total_bytes > doctor->progress.total_bytes)
        doctor->progress.total_bytes = doctor->bytes_before + total_bytes;
    progress_step(&doctor->progress, doctor->n_pools - 1, doctor->bytes_before + done_bytes);
}

/* What is told next comes on top of what was told before. */
static void doctor_told(struct doctor *doctor)
{
    doctor->bytes_before += doctor->bytes_now;
    doctor->bytes_now = 0;
}

/* Looks at a pool. Damage is a finding, other errors (missing, permissions) are errors. */
static int checkup_look(struct doctor *doctor, struct checkup *checkup, plsm_error_t **err)
{
    const struct pool_progress progress = {doctor_tell, doctor};
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *failed = NULL;

    if (open_pool(checkup->path, POOL_READ, NULL, &pool, &failed) == 0)
        pool_verify_telling(pool, &progress, &checkup->report, &failed);
    doctor_told(doctor);
    if (failed != NULL && failed->kind != PLSM_ERROR_CORRUPT && failed->kind != PLSM_ERROR_USAGE) {
        if (err != NULL)
            *err = failed;
        return -1;
    }
    checkup->error = failed;
    return 0;
}

/* Repairs a pool. That it cannot be repaired is a finding; what keeps a repair from its work is
 * one, too, where other pools are waiting for theirs, else an error. */
static int checkup_repair(struct doctor *doctor, struct checkup *checkup, plsm_error_t **err)
{
    const struct pool_progress progress = {doctor_tell, doctor};
    plsm_error_t *failed = NULL;

    const int r = pool_repair(checkup->path, &progress, &checkup->repaired, &failed);
    doctor_told(doctor);
    if (r == POOL_OK) {
        checkup->is_repaired = true;
        return 0;
    }
    if (r == POOL_HEALTHY) { /* somebody else was faster */
        plsm_error_free(checkup->error);
        checkup->error = NULL;
        checkup->report = (struct pool_report){0};
        return checkup_look(doctor, checkup, err);
    }
    if (r == POOL_BUSY) {
        open_busy(checkup->path, &failed);
        error_hint(&failed, "A repair needs the pool for itself: stop the programs that write to "
                            "it, then try again.");
    }
    checkup->refused = failed;
    if (doctor->all || failed == NULL || failed->kind == PLSM_ERROR_CORRUPT)
        return 0;
    checkup->refused = NULL;
    if (err != NULL)
        *err = failed;
    return -1;
}

static int doctor_check(struct doctor *doctor, const char *shown, const char *pool_ref,
    const char *path, plsm_error_t **err)
{
    struct checkup *checkup = &doctor->pools[doctor->n_pools++];

    *checkup = (struct checkup){.shown = shown, .pool_ref = pool_ref, .path = path};
    if (checkup_look(doctor, checkup, err) < 0)
        return -1;
    const bool foreign = checkup->error != NULL && checkup->error->kind == PLSM_ERROR_USAGE;
    if (doctor->repair && checkup_is_damaged(checkup) && !foreign &&
        checkup_repair(doctor, checkup, err) < 0)
        return -1;
    doctor->n_corrupt += checkup_is_corrupt(checkup);
    doctor->n_repaired += checkup->is_repaired;
    return 0;
}

/* On a terminal, what can be done about the one pool that was asked about. */
static void doctor_tell_advice(const struct doctor *doctor)
{
    scoped(text_fini) struct text advice = {0};

    if (doctor->all || doctor->n_corrupt == 0 || !doctor->context->stderr_tty)
        return;
    doctor_advice(&doctor->pools[0], &advice);
    text_put(&advice, "", 1);
    if (!advice.failed)
        report_line(doctor->context, "hint", (const char *)advice.buf.data);
}

static int doctor_show(const struct doctor *doctor, const struct args *args, plsm_error_t **err)
{
    scoped(text_fini) struct text text = {0};
    if (args_has(args, OPT_JSON)) {
        doctor_show_json(doctor, &text);
        return json_out_document(doctor->context, &text, err);
    }
    if (doctor->context->stdout_tty || doctor->n_pools == 0)
        doctor_show_people(doctor, &text);
    else
        doctor_show_lines(doctor, &text);
    if (text_write(&text, STDOUT_FILENO, err) < 0)
        return -1;
    doctor_tell_advice(doctor);
    return 0;
}

static int doctor_pools(struct doctor *doctor, const struct args *args, struct listing *listing,
    struct ref *ref, plsm_error_t **err)
{
    const char *name = args->positionals[0].text;
    const char *dir = doctor->context->dir;

    if (name != NULL && ref_resolve_local(name, dir, "doctor", ref, err) < 0)
        return -1;
    if (name == NULL && listing_read(listing, dir, true, err) < 0)
        return -1;
    const size_t n = name != NULL ? 1 : listing->n_pools;
    doctor->pools = calloc(n + 1, sizeof(*doctor->pools));
    if (doctor->pools == NULL)
        return error_oom(err);
    if (name != NULL) {
        if (doctor_check(doctor, name, name, ref->path, err) < 0)
            return open_hint_create(doctor->context, ref, err);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        doctor->progress.total_bytes += listing->pools[i].info.used_bytes;
    for (size_t i = 0; i < n; i++)
        if (doctor_check(doctor, listing->pools[i].name, listing->pools[i].path,
                listing->pools[i].path, err) < 0)
            return -1;
    return 0;
}

/* The report comes at the end: until then even the terminal that gets it shows how far we are. */
static int doctor_look(struct doctor *doctor, const struct args *args, struct listing *listing,
    struct ref *ref, plsm_error_t **err)
{
    doctor->words = (struct progress_words){
        .doing = doctor->repair ? "checking and repairing" : "checking",
        .done = "checked",
        .noun = doctor->all ? "pool" : NULL,
        .by_bytes = true,
    };
    const bool show =
        doctor->context->stderr_tty && strcmp(args_text(args, OPT_PROGRESS, "auto"), "never") != 0;

    progress_start(&doctor->progress, show, &doctor->words, 0);
    const int r = doctor_pools(doctor, args, listing, ref, err);
    progress_finish(&doctor->progress, doctor->n_pools);
    return r;
}

static int doctor_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(listing_fini) struct listing listing = {0};
    scoped(ref_fini) struct ref ref = {0};
    scoped(doctor_fini) struct doctor doctor = {
        .context = context, .all = args_has(args, OPT_ALL), .repair = args_has(args, OPT_REPAIR)};
    const bool named = args->positionals[0].count > 0;

    if (named && args_has(args, OPT_ALL)) {
        error_set(err, PLSM_ERROR_USAGE, "--all cannot be combined with a pool name");
        return error_hint(err, "Use --all by itself, or name one pool.");
    }
    if (!named && !args_has(args, OPT_ALL)) {
        error_set(err, PLSM_ERROR_USAGE, "doctor requires a pool name or --all");
        return error_hint(err, "Run `plasmite doctor <pool>` or `plasmite doctor --all`.");
    }
    if (doctor_look(&doctor, args, &listing, &ref, err) < 0 || doctor_show(&doctor, args, err) < 0)
        return -1;
    return doctor.n_corrupt > 0 ? PLSM_ERROR_CORRUPT : 0;
}

static const struct option doctor_options[N_OPTIONS] = {
    [OPT_ALL] = {.name = "all", .summary = "Check every pool of the pool directory"},
    [OPT_REPAIR] = {.name = "repair", .summary = "Repair what is damaged, after copying it aside"},
    [OPT_JSON] = {.name = "json", .summary = "Print JSON"},
    [OPT_PROGRESS] = {.name = "progress",
        .kind = ARG_CHOICE,
        .value = "PROGRESS",
        .fallback = "auto",
        .choices = progress_choices,
        .summary = "Show how far it is"},
};

static const struct positional doctor_positionals[] = {
    {.value = "[POOL]", .kind = ARG_TEXT, .summary = "Pool name or path"},
};

const struct command command_doctor = {
    .name = "doctor",
    .path = "doctor",
    .usage = "[OPTIONS] <POOL|--all>",
    .summary = "Diagnose pool health",
    .about = "Diagnose pool health: checks the header, every index slot and every message. "
             "Without --repair nothing is changed, and a pool in use stays usable.",
    .notes = "With --repair, a damaged pool is replaced by one with all messages that are\n"
             "intact; lost ones are a gap in the seqs. The damaged file stays beside it as\n"
             "FILE.before-repair-TIME. No program may be writing to the pool, and the disk\n"
             "needs room for two more files of its size.\n\n"
             "Exits nonzero when corruption is found (7) and not repaired.\n",
    .examples = "Examples:\n"
                "  plasmite doctor chat\n"
                "  plasmite doctor --all --json\n"
                "  plasmite doctor chat --repair\n",
    .options = doctor_options,
    .n_options = N_OPTIONS,
    .positionals = doctor_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .run = doctor_run,
};

/* doctor: checks everything a pool has. */
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/open.h"
#include "cli/pool_list.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/table.h"
#include "client/ref.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_ALL, OPT_JSON, OPT_PROGRESS, N_OPTIONS };

/* One pool's state. What cannot even be opened as a pool has its error instead of a report. */
struct checkup {
    const char *shown;    /* the name, for people */
    const char *pool_ref; /* as typed; the path for --all */
    const char *path;
    struct pool_report report;
    plsm_error_t *error;
};

struct doctor {
    struct context *context;
    struct checkup *pools;
    size_t n_pools;
    size_t n_corrupt;
    struct progress progress;
    uint64_t bytes_before; /* of the pools that were checked */
    uint64_t bytes_now;    /* of the one that is being checked */
};

static void doctor_fini_scoped(struct doctor *doctor)
{
    for (size_t i = 0; i < doctor->n_pools; i++)
        plsm_error_free(doctor->pools[i].error);
    free(doctor->pools);
}

static bool checkup_is_corrupt(const struct checkup *checkup)
{
    return checkup->error != NULL || checkup->report.n_issues > 0;
}

static size_t checkup_issues(const struct checkup *checkup)
{
    return checkup->error != NULL ? 1 : checkup->report.n_issues;
}

static const char *checkup_detail(const struct checkup *checkup)
{
    return checkup->error != NULL ? checkup->error->message : checkup->report.issues[0].message;
}

/* How far the check of one pool is. The bytes of a single one are known only by now. */
static void doctor_tell(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    struct doctor *doctor = context;
    doctor->bytes_now = total_bytes;
    if (doctor->bytes_before + total_bytes > doctor->progress.total_bytes)
        doctor->progress.total_bytes = doctor->bytes_before + total_bytes;
    progress_step(&doctor->progress, doctor->n_pools, doctor->bytes_before + done_bytes);
}

/* Looks at one pool. Damage is a finding, other errors (missing, permissions) are errors. */
static int doctor_check(struct doctor *doctor, const char *shown, const char *pool_ref,
    const char *path, plsm_error_t **err)
{
    scoped(pool_close) struct pool *pool = NULL;
    struct checkup *checkup = &doctor->pools[doctor->n_pools];
    const struct pool_progress progress = {doctor_tell, doctor};
    plsm_error_t *failed = NULL;

    *checkup = (struct checkup){.shown = shown, .pool_ref = pool_ref, .path = path};
    if (open_pool(path, POOL_READ, NULL, &pool, &failed) == 0)
        pool_verify_telling(pool, &progress, &checkup->report, &failed);
    if (failed != NULL && failed->kind != PLSM_ERROR_CORRUPT && failed->kind != PLSM_ERROR_USAGE) {
        if (err != NULL)
            *err = failed;
        return -1;
    }
    checkup->error = failed;
    doctor->n_pools++;
    doctor->n_corrupt += checkup_is_corrupt(checkup);
    doctor->bytes_before += doctor->bytes_now;
    doctor->bytes_now = 0;
    return 0;
}

static void doctor_json_issue(struct text *text, const char *code, const char *message,
    uint64_t offset, bool has_offset, uint64_t seq)
{
    text_str(text, "{\"code\":");
    text_json_str(text, code);
    text_str(text, ",\"message\":");
    text_json_str(text, message);
    if (has_offset)
        text_printf(text, ",\"offset\":%llu", (unsigned long long)offset);
    else
        text_str(text, ",\"offset\":null");
    if (seq != 0)
        text_printf(text, ",\"seq\":%llu}", (unsigned long long)seq);
    else
        text_str(text, ",\"seq\":null}");
}

static void doctor_json_report(struct text *text, const struct checkup *checkup)
{
    const plsm_error_t *error = checkup->error;
    const struct pool_report *report = &checkup->report;
    const bool corrupt = checkup_is_corrupt(checkup);

    text_str(text, "{\"pool_ref\":");
    text_json_str(text, checkup->pool_ref);
    text_str(text, ",\"path\":");
    text_json_str(text, checkup->path);
    text_printf(text, ",\"status\":\"%s\",\"last_good_seq\":", corrupt ? "corrupt" : "ok");
    if (report->last_good_seq != 0)
        text_u64(text, report->last_good_seq);
    else
        text_str(text, "null");
    text_printf(text, ",\"issue_count\":%zu,\"issues\":[", checkup_issues(checkup));
    if (error != NULL)
        doctor_json_issue(text, error->kind == PLSM_ERROR_USAGE ? "format" : "corrupt",
            error->message, error->offset, error->has_offset, 0);
    for (size_t i = 0; error == NULL && i < report->n_issues && i < POOL_ISSUES_MAX; i++) {
        const struct pool_issue *issue = &report->issues[i];
        text_str(text, i == 0 ? "" : ",");
        doctor_json_issue(text, "corrupt", issue->message, issue->offset, true, issue->seq);
    }
    text_str(text, "],\"remediation_hints\":[");
    if (corrupt)
        text_json_str(text, error != NULL && error_hint_of(error) != NULL
                                ? error_hint_of(error)
                                : "Copy what can still be read, then recreate the pool.");
    text_str(text, "],\"snapshot_path\":null}");
}

static void doctor_show_json(const struct doctor *doctor, struct text *text)
{
    text_str(text, "{\"reports\":[");
    for (size_t i = 0; i < doctor->n_pools; i++) {
        text_str(text, i == 0 ? "" : ",");
        doctor_json_report(text, &doctor->pools[i]);
    }
    text_str(text, "]}");
}

static void doctor_show_lines(const struct doctor *doctor, struct text *text)
{
    for (size_t i = 0; i < doctor->n_pools; i++) {
        const struct checkup *checkup = &doctor->pools[i];
        if (!checkup_is_corrupt(checkup)) {
            text_printf(text, "OK: %s\n", checkup->pool_ref);
            continue;
        }
        text_printf(text, "CORRUPT: %s", checkup->pool_ref);
        if (checkup->report.last_good_seq != 0)
            text_printf(
                text, " last_good_seq=%llu", (unsigned long long)checkup->report.last_good_seq);
        text_printf(text, " issue=%s\n", checkup_detail(checkup));
    }
}

static void doctor_show_one(const struct checkup *checkup, struct text *text)
{
    const struct pool_report *report = &checkup->report;
    const size_t n_issues = checkup_issues(checkup);
    const bool corrupt = checkup_is_corrupt(checkup);

    text_printable(text, view_str(checkup->shown));
    text_printf(text, ": %s\n  messages:  ", corrupt ? "corrupt" : "healthy");
    if (report->n_messages > 0)
        text_printf(text, "%llu (seq %llu..%llu)\n", (unsigned long long)report->n_messages,
            (unsigned long long)report->oldest_seq, (unsigned long long)report->newest_seq);
    else
        text_str(text, "empty\n");
    text_printf(text, "  checked:   header, index, ring — %zu issue%s\n", n_issues,
        n_issues == 1 ? "" : "s");
    if (corrupt) {
        text_str(text, "  detail:    ");
        text_printable(text, view_str(checkup_detail(checkup)));
        text_str(text, "\n");
    }
}

/* Aligned columns without a header; unhealthy ones with what to do next. */
static void doctor_show_all(const struct doctor *doctor, struct text *text)
{
    const bool healthy = doctor->n_corrupt == 0;
    size_t width = 0;

    if (doctor->n_pools == 0) {
        text_str(text, "No pools found.\n");
        return;
    }
    if (healthy)
        text_printf(text, "All %zu pools healthy.\n", doctor->n_pools);
    else
        text_printf(text, "%zu of %zu pools unhealthy.\n", doctor->n_corrupt, doctor->n_pools);
    for (size_t i = 0; i < doctor->n_pools; i++) {
        const size_t len = strlen(doctor->pools[i].shown);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < doctor->n_pools; i++) {
        const struct checkup *checkup = &doctor->pools[i];
        const size_t n_issues = checkup_issues(checkup);
        const bool corrupt = checkup_is_corrupt(checkup);
        text_str(text, healthy ? "  " : corrupt ? "  ✗ " : "  ✓ ");
        text_printable(text, view_str(checkup->shown));
        text_pad(text, width - strlen(checkup->shown) + 2);
        text_printf(text, "%6llu messages  %zu issue%s",
            (unsigned long long)checkup->report.n_messages, n_issues, n_issues == 1 ? "" : "s");
        if (corrupt) {
            text_str(text, "  pls doctor ");
            text_printable(text, view_str(checkup->shown));
        }
        text_str(text, "\n");
    }
}

static int doctor_show(const struct doctor *doctor, const struct args *args, plsm_error_t **err)
{
    scoped(text_fini) struct text text = {0};
    if (args_has(args, OPT_JSON)) {
        doctor_show_json(doctor, &text);
        return json_out_document(doctor->context, &text, err);
    }
    if (doctor->context->stdout_tty && !args_has(args, OPT_ALL))
        doctor_show_one(&doctor->pools[0], &text);
    else if (doctor->context->stdout_tty || doctor->n_pools == 0)
        doctor_show_all(doctor, &text);
    else
        doctor_show_lines(doctor, &text);
    return text_write(&text, STDOUT_FILENO, err);
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
    static const struct progress_words one = {
        .doing = "checking", .done = "checked", .by_bytes = true};
    static const struct progress_words all = {
        .doing = "checking", .done = "checked", .noun = "pool", .by_bytes = true};
    const bool show =
        doctor->context->stderr_tty && strcmp(args_text(args, OPT_PROGRESS, "auto"), "never") != 0;

    progress_start(&doctor->progress, show, args_has(args, OPT_ALL) ? &all : &one, 0);
    const int r = doctor_pools(doctor, args, listing, ref, err);
    progress_finish(&doctor->progress, doctor->n_pools);
    return r;
}

static int doctor_run(struct context *context, const struct args *args, plsm_error_t **err)
{
    scoped(listing_fini) struct listing listing = {0};
    scoped(ref_fini) struct ref ref = {0};
    scoped(doctor_fini) struct doctor doctor = {.context = context};
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
             "Nothing is changed, and a pool in use stays usable.",
    .notes = "Exits nonzero when corruption is found (7).\n",
    .examples = "Examples:\n"
                "  plasmite doctor chat\n"
                "  plasmite doctor --all --json\n",
    .options = doctor_options,
    .n_options = N_OPTIONS,
    .positionals = doctor_positionals,
    .n_positionals = 1,
    .help_when_empty = true,
    .run = doctor_run,
};

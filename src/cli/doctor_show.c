/* What doctor prints. */
#include "cli/doctor.h"

#include <string.h>

static size_t checkup_issues(const struct checkup *checkup)
{
    return checkup->error != NULL ? 1 : checkup->report.n_issues;
}

static const char *checkup_detail(const struct checkup *checkup)
{
    return checkup->error != NULL ? checkup->error->message : checkup->report.issues[0].message;
}

static uint64_t checkup_last_good(const struct checkup *checkup)
{
    return checkup->is_repaired ? checkup->repaired.newest_seq : checkup->report.last_good_seq;
}

static uint64_t checkup_messages(const struct checkup *checkup)
{
    return checkup->is_repaired ? checkup->repaired.n_kept : checkup->report.n_messages;
}

/* What a repair would do, by the kind of what was found. */
static const char *advice_for_issues(const struct pool_report *report)
{
    bool frames = false;
    bool control = false;

    for (size_t i = 0; i < report->n_issues && i < POOL_ISSUES_MAX; i++) {
        frames = frames || strcmp(report->issues[i].code, "frame") == 0;
        control = control || strcmp(report->issues[i].code, "control") == 0;
    }
    if (frames)
        return "keeps every intact message and leaves a gap where the damaged ones were";
    if (control)
        return "finds the messages again by their checksums and makes the control words anew";
    return "makes the index anew; no message is lost";
}

/* Whether it is no damage, but the format of another version. */
static bool checkup_is_foreign(const struct checkup *checkup)
{
    return checkup->error != NULL && checkup->error->kind == PLSM_ERROR_USAGE;
}

void doctor_advice(const struct checkup *checkup, struct text *text)
{
    const plsm_error_t *why = checkup->refused != NULL ? checkup->refused : checkup->error;

    if (why != NULL && error_hint_of(why) != NULL) {
        text_str(text, error_hint_of(why));
    } else if (checkup->refused != NULL && checkup->refused->kind == PLSM_ERROR_BUSY) {
        text_str(text, "Stop the programs that write to the pool, then try the repair again.");
    } else if (checkup->refused != NULL && checkup->refused->kind != PLSM_ERROR_CORRUPT) {
        text_str(text, "Remove what kept the repair from its work, then try again.");
    } else if (checkup->refused != NULL) {
        text_str(text, "Recreate the pool, or restore it from a copy.");
    } else if (why != NULL && why->kind == PLSM_ERROR_USAGE) {
        text_str(text, "Use the version of plasmite that made the pool.");
    } else {
        text_printf(text, "`plasmite doctor %s --repair` %s. The file is copied aside first.",
            checkup->pool_ref,
            checkup->error == NULL
                ? advice_for_issues(&checkup->report)
                : "rebuilds the pool from the messages that are intact, if there are any");
        if (checkup->error != NULL)
            text_str(text, " Else recreate the pool, or restore it from a copy.");
    }
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

/* What was found, before a repair. */
static void doctor_json_issues(struct text *text, const struct checkup *checkup)
{
    const plsm_error_t *error = checkup->error;
    const struct pool_report *report = &checkup->report;

    text_printf(text, ",\"issue_count\":%zu,\"issues\":[", checkup_issues(checkup));
    if (error != NULL)
        doctor_json_issue(text, checkup_is_foreign(checkup) ? "format" : "corrupt", error->message,
            error->offset, error->has_offset, 0);
    for (size_t i = 0; error == NULL && i < report->n_issues && i < POOL_ISSUES_MAX; i++) {
        const struct pool_issue *issue = &report->issues[i];
        text_str(text, i == 0 ? "" : ",");
        doctor_json_issue(text, "corrupt", issue->message, issue->offset, true, issue->seq);
    }
    text_str(text, "]");
}

static void doctor_json_repair(struct text *text, const struct checkup *checkup)
{
    text_printf(text, ",\"repaired\":%s,\"messages_kept\":%llu,\"messages_lost\":%llu",
        checkup->is_repaired ? "true" : "false", (unsigned long long)checkup_messages(checkup),
        (unsigned long long)checkup->repaired.n_lost);
    text_str(text, ",\"repair_error\":");
    if (checkup->refused != NULL)
        text_json_str(text, checkup->refused->message);
    else
        text_str(text, "null");
}

static void doctor_json_report(
    const struct doctor *doctor, struct text *text, const struct checkup *checkup)
{
    const bool corrupt = checkup_is_corrupt(checkup);
    const uint64_t last_good = checkup_last_good(checkup);

    text_str(text, "{\"pool_ref\":");
    text_json_str(text, checkup->pool_ref);
    text_str(text, ",\"path\":");
    text_json_str(text, checkup->path);
    text_printf(text, ",\"status\":\"%s\",\"last_good_seq\":", corrupt ? "corrupt" : "ok");
    if (last_good != 0)
        text_u64(text, last_good);
    else
        text_str(text, "null");
    doctor_json_issues(text, checkup);
    text_str(text, ",\"remediation_hints\":[");
    if (corrupt) {
        scoped(text_fini) struct text advice = {0};
        doctor_advice(checkup, &advice);
        text->failed = text->failed || advice.failed;
        text_json(text, buf_view(&advice.buf));
    }
    text_str(text, "],\"snapshot_path\":");
    if (checkup->is_repaired)
        text_json_str(text, checkup->repaired.copy_path);
    else
        text_str(text, "null");
    if (doctor->repair)
        doctor_json_repair(text, checkup);
    text_str(text, "}");
}

void doctor_show_json(const struct doctor *doctor, struct text *text)
{
    text_str(text, "{\"reports\":[");
    for (size_t i = 0; i < doctor->n_pools; i++) {
        text_str(text, i == 0 ? "" : ",");
        doctor_json_report(doctor, text, &doctor->pools[i]);
    }
    text_str(text, "]}");
}

void doctor_show_lines(const struct doctor *doctor, struct text *text)
{
    for (size_t i = 0; i < doctor->n_pools; i++) {
        const struct checkup *checkup = &doctor->pools[i];
        const struct pool_repaired *repaired = &checkup->repaired;
        if (!checkup_is_damaged(checkup)) {
            text_printf(text, "OK: %s\n", checkup->pool_ref);
            continue;
        }
        if (checkup->is_repaired) {
            text_printf(text, "REPAIRED: %s kept=%llu lost=%llu snapshot=%s\n", checkup->pool_ref,
                (unsigned long long)repaired->n_kept, (unsigned long long)repaired->n_lost,
                repaired->copy_path);
            continue;
        }
        text_printf(text, "CORRUPT: %s", checkup->pool_ref);
        if (checkup->report.last_good_seq != 0)
            text_printf(
                text, " last_good_seq=%llu", (unsigned long long)checkup->report.last_good_seq);
        text_printf(text, " issue=%s", checkup_detail(checkup));
        if (checkup_is_foreign(checkup)) {
            text_str(text, "; ");
            doctor_advice(checkup, text);
        }
        if (checkup->refused != NULL)
            text_printf(text, "; not repaired: %s", checkup->refused->message);
        text_str(text, "\n");
    }
}

static void show_field(struct text *text, const char *label, const char *value)
{
    text_printf(text, "  %s", label);
    text_pad(text, 11 - strlen(label));
    text_printable(text, view_str(value));
    text_str(text, "\n");
}

static void show_range(struct text *text, uint64_t n, uint64_t oldest_seq, uint64_t newest_seq)
{
    text_str(text, "  messages:  ");
    if (n > 0)
        text_printf(text, "%llu (seq %llu..%llu)", (unsigned long long)n,
            (unsigned long long)oldest_seq, (unsigned long long)newest_seq);
    else
        text_str(text, "empty");
}

static void doctor_show_one(const struct checkup *checkup, struct text *text)
{
    const struct pool_report *report = &checkup->report;
    const struct pool_repaired *repaired = &checkup->repaired;
    const size_t n_issues = checkup_issues(checkup);

    text_printable(text, view_str(checkup->shown));
    text_str(text, checkup->is_repaired          ? ": repaired\n"
                   : checkup_is_damaged(checkup) ? ": corrupt\n"
                                                 : ": healthy\n");
    if (checkup->is_repaired) {
        show_range(text, repaired->n_kept, repaired->oldest_seq, repaired->newest_seq);
        text_printf(text, " kept, %llu lost\n", (unsigned long long)repaired->n_lost);
    } else {
        show_range(text, report->n_messages, report->oldest_seq, report->newest_seq);
        text_str(text, "\n");
    }
    text_printf(text, "  checked:   header, index, ring — %zu issue%s\n", n_issues,
        n_issues == 1 ? "" : "s");
    if (checkup_is_damaged(checkup))
        show_field(text, "detail:", checkup_detail(checkup));
    if (checkup->is_repaired)
        show_field(text, "snapshot:", repaired->copy_path);
    if (checkup->refused != NULL)
        show_field(text, "repair:", checkup->refused->message);
}

static void doctor_show_headline(const struct doctor *doctor, struct text *text)
{
    if (doctor->n_corrupt > 0)
        text_printf(text, "%zu of %zu pools unhealthy", doctor->n_corrupt, doctor->n_pools);
    else
        text_printf(text, "All %zu pools healthy", doctor->n_pools);
    if (doctor->n_repaired > 0)
        text_printf(text, ", %zu repaired", doctor->n_repaired);
    text_str(text, ".\n");
}

static void doctor_show_row(
    const struct doctor *doctor, const struct checkup *checkup, size_t width, struct text *text)
{
    const size_t n_issues = checkup_issues(checkup);
    const bool corrupt = checkup_is_corrupt(checkup);

    text_str(text, doctor->n_corrupt == 0 ? "  " : corrupt ? "  ✗ " : "  ✓ ");
    text_printable(text, view_str(checkup->shown));
    text_pad(text, width - strlen(checkup->shown) + 2);
    text_printf(text, "%6llu messages  ", (unsigned long long)checkup_messages(checkup));
    if (checkup->is_repaired)
        text_printf(text, "repaired, %llu lost", (unsigned long long)checkup->repaired.n_lost);
    else
        text_printf(text, "%zu issue%s", n_issues, n_issues == 1 ? "" : "s");
    if (checkup->refused != NULL)
        text_printf(text, "  not repaired: %s", checkup->refused->message);
    if (checkup->refused == NULL && corrupt) {
        text_str(text, "  pls doctor ");
        text_printable(text, view_str(checkup->shown));
    }
    text_str(text, "\n");
}

/* Aligned columns without a header; unhealthy ones with what to do next. */
static void doctor_show_all(const struct doctor *doctor, struct text *text)
{
    size_t width = 0;

    if (doctor->n_pools == 0) {
        text_str(text, "No pools found.\n");
        return;
    }
    doctor_show_headline(doctor, text);
    for (size_t i = 0; i < doctor->n_pools; i++) {
        const size_t len = strlen(doctor->pools[i].shown);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < doctor->n_pools; i++)
        doctor_show_row(doctor, &doctor->pools[i], width, text);
}

void doctor_show_people(const struct doctor *doctor, struct text *text)
{
    if (doctor->all)
        doctor_show_all(doctor, text);
    else
        doctor_show_one(&doctor->pools[0], text);
}

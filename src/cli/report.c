#include "cli/report.h"

#include "base/clock.h"
#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLOR_ERROR "31"
#define COLOR_LABEL "33"

int report_hint(plsm_error_t **err, const char *format, ...)
{
    va_list args;
    if (err == NULL || *err == NULL || error_hint_of(*err) != NULL)
        return -1;
    char *hint = NULL;
    va_start(args, format);
    const int n = vasprintf(&hint, format, args);
    va_end(args);
    if (n < 0)
        return -1; /* without memory the error just lacks its hint */
    error_hint(err, "%s", hint);
    free(hint);
    return -1;
}

/* Advice for kinds that nobody had a better hint for. */
static const char *report_fallback_hint(const plsm_error_t *err)
{
    switch ((plsm_error_kind_t)err->kind) {
    case PLSM_ERROR_INTERNAL: return "This is a defect in plasmite; please report it.";
    case PLSM_ERROR_BUSY:
        return "Another process holds the pool. Try again, or use --retry and --retry-delay.";
    case PLSM_ERROR_PERMISSION:
        return "Check permissions and the owner of the pool file and its directory.";
    case PLSM_ERROR_CORRUPT:
        return "Check the pool with `plasmite doctor <pool>`; `plasmite doctor <pool> --repair` "
               "keeps what is intact. Recreate the pool, or restore it from a copy, if nothing is.";
    case PLSM_ERROR_IO: return "Check the disk, free space and the path, then try again.";
    case PLSM_ERROR_USAGE:
    case PLSM_ERROR_NOT_FOUND:
    case PLSM_ERROR_ALREADY_EXISTS:
    case PLSM_ERROR_RETENTION_GAP: return NULL;
    }
    return NULL;
}

static const char *report_hint_of(const plsm_error_t *err)
{
    const char *hint = error_hint_of(err);
    return hint != NULL ? hint : report_fallback_hint(err);
}

/* Messages are one line. */
static void report_message_json(struct text *text, const char *message)
{
    struct view line = view_of(message, strcspn(message, "\n"));
    text_json(text, line);
}

void report_error_json(struct text *text, const plsm_error_t *err)
{
    const char *hint = report_hint_of(err);
    const char *cause = error_cause_of(err);

    text_str(text, "{\"kind\":");
    text_json_str(text, error_kind_name((plsm_error_kind_t)err->kind));
    text_str(text, ",\"message\":");
    report_message_json(text, err->message);
    if (hint != NULL) {
        text_str(text, ",\"hint\":");
        text_json_str(text, hint);
    }
    if (err->path != NULL) {
        text_str(text, ",\"path\":");
        text_json_str(text, err->path);
    }
    if (err->has_seq) {
        text_str(text, ",\"seq\":");
        text_u64(text, err->seq);
    }
    if (err->has_offset) {
        text_str(text, ",\"offset\":");
        text_u64(text, err->offset);
    }
    if (cause != NULL) {
        text_str(text, ",\"causes\":[");
        text_json_str(text, cause);
        text_str(text, "]");
    }
    text_str(text, "}");
}

/* Everything that is said goes out here. Nobody is left to be told if it cannot be written. */
static void report_write(const struct context *context, const struct text *text)
{
    progress_hide(context->progress);
    text_write(text, STDERR_FILENO, NULL);
}

static void report_label(
    const struct context *context, struct text *text, const char *label, const char *color)
{
    if (context->stderr_color)
        text_printf(text, "\x1b[%sm%s:\x1b[0m ", color, label);
    else
        text_printf(text, "%s: ", label);
}

static void report_field(
    const struct context *context, struct text *text, const char *label, const char *value)
{
    if (value == NULL)
        return;
    report_label(context, text, label, strcmp(label, "error") == 0 ? COLOR_ERROR : COLOR_LABEL);
    text_printable(text, view_str(value));
    text_str(text, "\n");
}

/* Paths under the current directory are shown from there: "./pools/a.plasmite". */
static void report_path(const struct context *context, struct text *text, const char *path)
{
    scoped(text_fini) struct text shown = {0};
    char cwd[4096];

    if (path == NULL)
        return;
    const size_t len = getcwd(cwd, sizeof(cwd)) == NULL ? 0 : strlen(cwd);
    if (path[0] != '/' && strncmp(path, "./", 2) != 0 && strncmp(path, "../", 3) != 0)
        text_str(&shown, "./");
    if (len > 1 && strncmp(path, cwd, len) == 0 && path[len] == '/') {
        text_str(&shown, ".");
        path += len;
    }
    text_put(&shown, path, strlen(path) + 1);
    if (!shown.failed)
        report_field(context, text, "path", (const char *)shown.buf.data);
}

static void report_error_text(
    const struct context *context, struct text *text, const plsm_error_t *err)
{
    char number[24];
    report_field(context, text, "error", err->message);
    report_field(context, text, "hint", report_hint_of(err));
    report_path(context, text, err->path);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)err->seq);
    report_field(context, text, "seq", err->has_seq ? number : NULL);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)err->offset);
    report_field(context, text, "offset", err->has_offset ? number : NULL);
    report_field(context, text, "caused by", error_cause_of(err));
}

int report_error(const struct context *context, plsm_error_t *err)
{
    scoped(text_fini) struct text text = {0};
    const int code = err->kind;

    if (context->stderr_tty) {
        report_error_text(context, &text, err);
    } else {
        text_str(&text, "{\"error\":");
        report_error_json(&text, err);
        text_str(&text, "}\n");
    }
    report_write(context, &text);
    plsm_error_free(err);
    return code;
}

void report_line(const struct context *context, const char *label, const char *message)
{
    scoped(text_fini) struct text text = {0};
    report_field(context, &text, label, message);
    report_write(context, &text);
}

void report_notice(const struct context *context, const char *kind, const char *cmd,
    const char *pool, const char *message, struct view details)
{
    scoped(text_fini) struct text text = {0};

    if (context->stderr_tty) {
        report_label(context, &text, "notice", COLOR_LABEL);
        text_printable(&text, view_str(message));
        if (strcmp(cmd, "feed") != 0) {
            text_str(&text, " (pool: ");
            text_printable(&text, view_str(pool));
            text_str(&text, ")");
        }
        text_str(&text, "\n");
    } else {
        text_str(&text, "{\"notice\":{\"kind\":");
        text_json_str(&text, kind);
        text_str(&text, ",\"cmd\":");
        text_json_str(&text, cmd);
        text_str(&text, ",\"pool\":");
        text_json_str(&text, pool);
        text_str(&text, ",\"message\":");
        text_json_str(&text, message);
        text_str(&text, ",\"time\":\"");
        text_time(&text, clock_wall_ns());
        text_str(&text, "\",\"details\":");
        text_put(&text, details.data, details.len);
        text_str(&text, "}}\n");
    }
    report_write(context, &text);
}

#include "tests/conformance/expect.h"
#include "tests/conformance/fields.h"
#include "tests/conformance/run.h"
#include "json/json.h"

#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES 65536

int unmet(struct run *run, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    const int len = vasprintf(&text, format, args);
    va_end(args);
    if (len >= 0) {
        run->reason.len = 0;
        buf_append(&run->reason, text, (size_t)len);
        free(text);
    }
    return -1;
}

/* Puts words in front of the reason. */
static void reason_prefix(struct run *run, size_t index, const char *id)
{
    struct buf reason = run->reason;
    run->reason = (struct buf){0};
    unmet(run, "step %zu%s%s%s: %.*s", index, id ? " (" : "", id ? id : "", id ? ")" : "",
        (int)reason.len, (const char *)reason.data);
    buf_fini(&reason);
}

static int step_run(struct run *run, struct view whole)
{
    scoped(text_free) char *op = NULL;
    scoped(text_free) char *pool = NULL;
    struct step step;
    struct view error;

    if (field_text(run, whole, "op", &op) < 0 || field_text(run, whole, "pool", &pool) < 0 ||
        field_object(run, whole, "input", &step.input) < 0 ||
        field_object(run, whole, "expect", &step.expect) < 0)
        return -1;
    if (op == NULL)
        return unmet(run, "op is required");
    const int has_error = field_object(run, step.expect, "error", &error);
    if (has_error < 0)
        return -1;
    step.pool = pool;

    int r = op_run(run, op, &step);
    if (r < 0 && run->failure == NULL)
        return -1;
    if (has_error)
        r = expect_error(run, error);
    else if (run->failure != NULL)
        r = unmet(run, "%s: %s", plsm_error_kind_name(run->failure->kind), run->failure->message);
    plsm_error_free(run->failure);
    run->failure = NULL;
    return r;
}

static int steps_run(struct run *run, struct view steps)
{
    struct json_walk walk = json_walk(steps);
    struct json_value step;
    for (size_t i = 0; json_next_element(&walk, &step); i++) {
        scoped(text_free) char *id = NULL;
        const int r = field_text(run, step.text, "id", &id) < 0 ? -1 : step_run(run, step.text);
        if (r < 0) {
            reason_prefix(run, i, id);
            return -1;
        }
    }
    return 0;
}

static int manifest_run(struct run *run, struct view manifest)
{
    scoped(text_free) char *workdir = NULL;
    struct json_value version, steps;
    if (!field(manifest, "conformance_version", &version))
        return unmet(run, "conformance_version is required");
    if (!json_same(version.text, view_str("0")))
        return unmet(run, "unsupported conformance_version: %.*s", (int)version.text.len,
            (const char *)version.text.data);
    if (!field(manifest, "steps", &steps) || steps.kind != JSON_ARRAY)
        return unmet(run, "steps is not an array");
    if (field_text(run, manifest, "workdir", &workdir) < 0 ||
        workdir_make(run, workdir != NULL ? workdir : "work") < 0)
        return -1;
    if (plsm_client_new(run->workdir, &run->client, &run->failure) < 0)
        return unmet(run, "%s", run->failure->message);
    return steps_run(run, steps.text);
}

static int file_read(struct run *run, const char *path, struct buf *out_text)
{
    FILE *file = fopen(path, "re");
    size_t n = 0;
    if (file == NULL)
        return unmet(run, "cannot open %s: %s", path, strerror(errno));
    do {
        if (buf_reserve(out_text, READ_BYTES) < 0)
            break;
        n = fread(out_text->data + out_text->len, 1, READ_BYTES, file);
        out_text->len += n;
    } while (n > 0);
    const bool whole = feof(file) != 0;
    fclose(file);
    return whole ? 0 : unmet(run, "cannot read %s", path);
}

static int run_path(struct run *run, const char *path)
{
    scoped(buf_fini) struct buf text = {0};
    scoped(buf_fini) struct buf manifest = {0};
    scoped(text_free) char *copy = NULL;
    struct json_error error;

    if (file_read(run, path, &text) < 0)
        return -1;
    if (buf_reserve(&manifest, text.len + JSON_SLACK) < 0)
        return unmet(run, "out of memory");
    if (!json_compact(text.data, text.len, manifest.data, &manifest.len, &error))
        return unmet(run, "%s is not JSON: line %zu, column %zu: %s", path, error.line,
            error.column, error.problem);
    copy = strdup(path); /* dirname changes it */
    run->folder = copy != NULL ? realpath(dirname(copy), NULL) : NULL;
    if (run->folder == NULL)
        return unmet(run, "cannot find the folder of %s: %s", path, strerror(errno));
    return manifest_run(run, buf_view(&manifest));
}

static void run_fini(struct run *run)
{
    plsm_client_free(run->client);
    plsm_error_free(run->failure);
    buf_fini(&run->reason);
    free(run->workdir);
    free(run->folder);
}

int main(int argc, char *argv[])
{
    struct run run = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: plasmite-conformance <path/to/manifest.json>\n");
        return 1;
    }
    const int r = run_path(&run, argv[1]);
    if (r < 0) {
        for (size_t i = 0; i < run.reason.len; i++) {
            if (run.reason.data[i] < ' ')
                run.reason.data[i] = ' '; /* one line, whatever a name has in it */
        }
        fprintf(stderr, "%.*s\n", (int)run.reason.len, (const char *)run.reason.data);
    }
    run_fini(&run);
    return r < 0;
}

#include "cli/progress.h"

#include "base/clock.h"
#include "cli/human.h"
#include "cli/terminal.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between the parts of a line; where it is too long, it loses parts at its end. */
#define PROGRESS_SEPARATOR ", "

const char *const progress_choices[] = {"auto", "never", NULL};

void progress_start(
    struct progress *progress, bool show, const struct progress_words *words, uint64_t total_bytes)
{
    *progress = (struct progress){.total_bytes = total_bytes};
    if (!show)
        return;
    progress->words = words;
    progress->start_ns = clock_monotonic_ns();
    progress->due_ns = progress->start_ns + PROGRESS_DELAY_NS;
}

uint64_t progress_file_bytes(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    const off_t at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && at < status.st_size ? (uint64_t)(status.st_size - at) : 0;
}

static double progress_seconds(const struct progress *progress, uint64_t now_ns)
{
    const uint64_t elapsed_ns = now_ns - progress->start_ns;
    return (double)(elapsed_ns == 0 ? 1 : elapsed_ns) / (double)NS_PER_SECOND;
}

static void progress_put_rate(const struct progress *progress, uint64_t now_ns, struct text *text)
{
    const double seconds = progress_seconds(progress, now_ns);
    if (progress->words->by_bytes)
        human_si(text, (double)progress->bytes_done / seconds, "B/s");
    else
        human_si(text, (double)progress->n_done / seconds, "/s");
}

static void progress_put_count(const struct progress *progress, struct text *text)
{
    if (progress->words->noun == NULL)
        return;
    human_count(text, progress->n_done);
    text_printf(
        text, " %s%s" PROGRESS_SEPARATOR, progress->words->noun, progress->n_done == 1 ? "" : "s");
}

/* "12 s left", by the pace so far. */
static void progress_put_left(const struct progress *progress, uint64_t now_ns, struct text *text)
{
    const uint64_t done = progress->bytes_done, total = progress->total_bytes;
    if (done == 0 || done >= total)
        return;
    const double share = (double)(total - done) / (double)done;
    text_str(text, PROGRESS_SEPARATOR);
    human_seconds(text, progress_seconds(progress, now_ns) * share);
    text_str(text, " left");
}

/* Cuts the line behind a part, or where that is too much, anywhere. */
static void progress_cut(struct text *text, size_t columns)
{
    const size_t separator = strlen(PROGRESS_SEPARATOR);
    size_t len = text->buf.len;
    while (len > columns) {
        size_t at = len - 1;
        while (at > 0 && memcmp(text->buf.data + at - 1, PROGRESS_SEPARATOR, separator) != 0)
            at--;
        len = at == 0 ? columns : at - 1;
    }
    text->buf.len = len;
}

void progress_put_line(
    const struct progress *progress, uint64_t now_ns, size_t columns, struct text *text)
{
    text_printf(text, "%s: ", progress->words->doing);
    progress_put_count(progress, text);
    human_si(text, (double)progress->bytes_done, "B");
    if (progress->total_bytes > 0) {
        text_str(text, " of ");
        human_si(text, (double)progress->total_bytes, "B");
    }
    text_str(text, PROGRESS_SEPARATOR);
    progress_put_rate(progress, now_ns, text);
    progress_put_left(progress, now_ns, text);
    if (!text->failed)
        progress_cut(text, columns);
}

void progress_put_end(const struct progress *progress, uint64_t now_ns, struct text *text)
{
    text_printf(text, "%s ", progress->words->done);
    progress_put_count(progress, text);
    human_si(text, (double)progress->bytes_done, "B");
    text_str(text, PROGRESS_SEPARATOR);
    human_seconds(text, progress_seconds(progress, now_ns));
    text_str(text, PROGRESS_SEPARATOR);
    progress_put_rate(progress, now_ns, text);
    text_str(text, "\n");
}

/* Blanks and a carriage return do on any terminal. Nobody is left to be told if they cannot be
 * written. */
static void progress_draw(struct progress *progress, uint64_t now_ns)
{
    scoped(text_fini) struct text line = {0};
    scoped(text_fini) struct text text = {0};

    /* the last column stays free: behind it some terminals go on to the next line */
    progress_put_line(progress, now_ns, terminal_columns(STDERR_FILENO) - 1, &line);
    const size_t width = line.buf.len;
    text_str(&text, "\r");
    text_put(&text, line.buf.data, width);
    text_pad(&text, progress->width > width ? progress->width - width : 0);
    text_write(&text, STDERR_FILENO, NULL);
    progress->width = width;
    progress->shown = true;
}

void progress_step_at(
    struct progress *progress, uint64_t n_done, uint64_t bytes_done, uint64_t now_ns)
{
    progress->n_done = n_done;
    progress->bytes_done = bytes_done;
    if (now_ns < progress->due_ns)
        return;
    progress_draw(progress, now_ns);
    progress->due_ns = now_ns + PROGRESS_INTERVAL_NS;
}

void progress_step(struct progress *progress, uint64_t n_done, uint64_t bytes_done)
{
    if (progress->words != NULL)
        progress_step_at(progress, n_done, bytes_done, clock_monotonic_ns());
}

void progress_hide(struct progress *progress)
{
    scoped(text_fini) struct text text = {0};

    if (progress == NULL || progress->width == 0)
        return;
    text_str(&text, "\r");
    text_pad(&text, progress->width);
    text_str(&text, "\r");
    text_write(&text, STDERR_FILENO, NULL);
    progress->width = 0;
}

void progress_finish(struct progress *progress, uint64_t n_done)
{
    scoped(text_fini) struct text text = {0};

    progress_hide(progress);
    if (progress->shown) {
        progress->n_done = n_done;
        progress_put_end(progress, clock_monotonic_ns(), &text);
        text_write(&text, STDERR_FILENO, NULL);
    }
    *progress = (struct progress){0};
}

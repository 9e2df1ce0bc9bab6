#include "cli/progress.h"

#include "base/clock.h"
#include "base/test.h"
#include "cli/human.h"
#include "cli/terminal.h"

#include <fcntl.h>
#include <unistd.h>

static const struct progress_words words = {.doing = "feeding", .done = "fed", .noun = "message"};
static const struct progress_words by_bytes = {
    .doing = "checking", .done = "checked", .noun = "pool", .by_bytes = true};

static const struct progress_words uncounted = {
    .doing = "checking", .done = "checked", .by_bytes = true};

static void check_text(struct text *text, const char *expected)
{
    text_put(text, "", 1);
    assert_false(text->failed);
    assert_string_equal((const char *)text->buf.data, expected);
    text->buf.len = 0;
}

static void test_quantities(void **state)
{
    scoped(text_fini) struct text text = {0};
    (void)state;

    static const struct {
        double number;
        const char *unit, *shown;
    } si[] = {{0, "B", "0 B"}, {999, "B", "999 B"}, {1000, "B", "1.0 kB"}, {9949, "B", "9.9 kB"},
        {9951, "B", "10 kB"}, {312e6, "B", "312 MB"}, {999.6e6, "B", "1.0 GB"},
        {3.01e6, "/s", "3.0 M/s"}, {0.05, "/s", "0.05/s"}, {1, "/s", "1.0/s"}, {9.96, "/s", "10/s"},
        {812, "/s", "812/s"}, {2e21, "B", "2000 EB"}};
    for (size_t i = 0; i < sizeof(si) / sizeof(si[0]); i++) {
        human_si(&text, si[i].number, si[i].unit);
        check_text(&text, si[i].shown);
    }
    static const struct {
        double seconds;
        const char *shown;
    } times[] = {{0.4, "0.4 s"}, {12.3, "12 s"}, {59.4, "59 s"}, {59.6, "1 m 00 s"},
        {185, "3 m 05 s"}, {7800, "2 h 10 m"}};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        human_seconds(&text, times[i].seconds);
        check_text(&text, times[i].shown);
    }
    static const struct {
        uint64_t number;
        const char *shown;
    } counts[] = {{0, "0"}, {999, "999"}, {1000, "1 000"}, {1204331, "1 204 331"}};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        human_count(&text, counts[i].number);
        check_text(&text, counts[i].shown);
    }
}

static void test_lines(void **state)
{
    scoped(text_fini) struct text text = {0};
    struct progress progress = {
        .words = &words, .start_ns = 1, .n_done = 1204331, .bytes_done = 312000000};
    const uint64_t now_ns = 1 + 4 * NS_PER_SECOND;
    (void)state;

    progress_put_line(&progress, now_ns, 80, &text);
    check_text(&text, "feeding: 1 204 331 messages, 312 MB, 301 k/s");
    progress_put_end(&progress, now_ns, &text);
    check_text(&text, "fed 1 204 331 messages, 312 MB, 4.0 s, 301 k/s\n");
    progress.total_bytes = 936000000; /* a third in four seconds */
    progress_put_line(&progress, now_ns, 80, &text);
    check_text(&text, "feeding: 1 204 331 messages, 312 MB of 936 MB, 301 k/s, 8.0 s left");
    progress.total_bytes = 300000000; /* the file grew meanwhile: nobody knows */
    progress_put_line(&progress, now_ns, 80, &text);
    check_text(&text, "feeding: 1 204 331 messages, 312 MB of 300 MB, 301 k/s");
    progress.words = &by_bytes;
    progress.n_done = 1;
    progress_put_end(&progress, now_ns, &text);
    check_text(&text, "checked 1 pool, 312 MB, 4.0 s, 78 MB/s\n");
    progress.words = &uncounted;
    progress_put_end(&progress, now_ns, &text);
    check_text(&text, "checked 312 MB, 4.0 s, 78 MB/s\n");
    progress_put_line(&progress, now_ns, 80, &text);
    check_text(&text, "checking: 312 MB of 300 MB, 78 MB/s");
}

static void test_narrow_terminals(void **state)
{
    scoped(text_fini) struct text text = {0};
    const struct progress progress = {.words = &words, .n_done = 1204331, .bytes_done = 312000000};
    (void)state;

    progress_put_line(&progress, 4 * NS_PER_SECOND, 44, &text);
    check_text(&text, "feeding: 1 204 331 messages, 312 MB, 301 k/s");
    progress_put_line(&progress, 4 * NS_PER_SECOND, 43, &text);
    check_text(&text, "feeding: 1 204 331 messages, 312 MB");
    progress_put_line(&progress, 4 * NS_PER_SECOND, 34, &text);
    check_text(&text, "feeding: 1 204 331 messages");
    progress_put_line(&progress, 4 * NS_PER_SECOND, 10, &text);
    check_text(&text, "feeding: 1");
    progress_put_line(&progress, 4 * NS_PER_SECOND, 0, &text);
    check_text(&text, "");
}

/* What comes out on stderr from here to captured(). */
static int saved, reader;

static void capture(void)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
    close(fds[1]);
    reader = fds[0];
}

static const char *captured(void)
{
    static char out[512];
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    const ssize_t n = read(reader, out, sizeof(out) - 1);
    assert_true(n >= 0);
    out[n] = '\0';
    close(saved);
    close(reader);
    return out;
}

/* A pipe has no columns, so the line may have 79. */
static void test_drawn_late_and_seldom(void **state)
{
    struct progress progress;
    (void)state;

    progress_start(&progress, true, &words, 0);
    const uint64_t due_ns = progress.due_ns;
    capture();
    progress_step_at(&progress, 10, 1000, due_ns - 1);
    progress_finish(&progress, 10);
    assert_string_equal(captured(), ""); /* never shown, so nothing at the end either */

    progress_start(&progress, true, &words, 0);
    progress.due_ns = due_ns;
    progress.start_ns = due_ns - 2 * NS_PER_SECOND;
    capture();
    progress_step_at(&progress, 10, 10000, due_ns);
    progress_step_at(&progress, 11, 10000, due_ns + PROGRESS_INTERVAL_NS - 1);
    progress_step_at(&progress, 20, 200, due_ns + PROGRESS_INTERVAL_NS);
    assert_string_equal(captured(), "\rfeeding: 10 messages, 10 kB, 5.0/s"
                                    "\rfeeding: 20 messages, 200 B, 9.1/s");
}

static void test_erased(void **state)
{
    struct progress progress;
    (void)state;

    progress_start(&progress, true, &words, 0);
    const uint64_t now_ns = progress.start_ns + PROGRESS_DELAY_NS;
    capture();
    progress_step_at(&progress, 4, 1000, now_ns);
    progress_hide(&progress);
    progress_hide(&progress);
    assert_string_equal(
        captured(), "\rfeeding: 4 messages, 1.0 kB, 2.0/s\r                                  \r");
    capture();
    progress_step_at(&progress, 1, 1, now_ns + NS_PER_SECOND);
    progress_step_at(&progress, 0, 0, now_ns + 2 * NS_PER_SECOND);
    assert_string_equal(captured(), "\rfeeding: 1 message, 1 B, 0.33/s"
                                    "\rfeeding: 0 messages, 0 B, 0.00/s");
    capture();
    progress_step_at(&progress, 0, 0, now_ns + 8 * NS_PER_SECOND);
    progress_step_at(&progress, 1, 0, now_ns + 10 * NS_PER_SECOND);
    assert_string_equal(captured(), "\rfeeding: 0 messages, 0 B, 0.00/s"
                                    "\rfeeding: 1 message, 0 B, 0.08/s "); /* the old end goes */
}

static void test_nothing_to_show(void **state)
{
    struct progress progress = {0};
    (void)state;

    capture();
    progress_step(&progress, 1, 1);
    progress_hide(NULL);
    progress_finish(&progress, 1);
    progress_start(&progress, false, &words, 0);
    progress_step(&progress, 1, 1);
    progress_finish(&progress, 1);
    assert_string_equal(captured(), "");
}

static void test_bytes_that_are_left(void **state)
{
    char path[] = "/tmp/progress_XXXXXX";
    int fds[2];
    (void)state;

    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(progress_file_bytes(fd), 0);
    assert_int_equal(ftruncate(fd, 1000), 0);
    assert_int_equal(progress_file_bytes(fd), 1000);
    assert_int_equal(lseek(fd, 400, SEEK_SET), 400);
    assert_int_equal(progress_file_bytes(fd), 600);
    assert_int_equal(lseek(fd, 4000, SEEK_SET), 4000);
    assert_int_equal(progress_file_bytes(fd), 0);
    close(fd);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(progress_file_bytes(fds[0]), 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(progress_file_bytes(-1), 0);
}

static void test_locales(void **state)
{
    (void)state;
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    unsetenv("LANG");
    assert_false(terminal_is_utf8());
    setenv("LANG", "de_DE.UTF-8", 1);
    assert_true(terminal_is_utf8());
    setenv("LC_CTYPE", "C", 1);
    assert_false(terminal_is_utf8());
    setenv("LC_ALL", "C.utf8", 1);
    assert_true(terminal_is_utf8());
    setenv("LC_ALL", "UTF-8", 1);
    assert_true(terminal_is_utf8());
    setenv("LC_ALL", "", 1);
    assert_false(terminal_is_utf8());
}

TESTS(test_quantities, test_lines, test_narrow_terminals, test_drawn_late_and_seldom, test_erased,
    test_nothing_to_show, test_bytes_that_are_left, test_locales)

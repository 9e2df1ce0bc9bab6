/* plasmite-filter, asked by somebody who does not keep to json/filter_wire.h. */
#include "json/filter_wire.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/scoped.h"
#include "base/test.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct talk {
    int status; /* with which it ends */
    size_t answer_len;
    uint8_t answer[2 * WIRE_TEXT_MAX];
};

/* Starts the program, says all of this, hears all that it answers. */
static void talk(const struct buf *said, struct talk *talk)
{
    int ends[2];
    int status;
    char folder[4096], path[4200];
    const ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

    assert_true(len > 0);
    folder[len] = '\0';
    *strrchr(folder, '/') = '\0';
    snprintf(path, sizeof(path), "%s/%s", folder, WIRE_PROGRAM);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        dup2(ends[1], STDIN_FILENO);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    for (size_t done = 0; done < said->len;) {
        const ssize_t n = send(ends[0], said->data + done, said->len - done, MSG_NOSIGNAL);
        if (n < 0)
            break; /* it had heard enough */
        done += (size_t)n;
    }
    assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
    talk->answer_len = 0;
    ssize_t n;
    while ((n = recv(ends[0], talk->answer + talk->answer_len,
                sizeof(talk->answer) - talk->answer_len, 0)) > 0)
        talk->answer_len += (size_t)n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    talk->status = WEXITSTATUS(status);
}

static void say(struct buf *said, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(said, bytes, len), 0);
}

static void say_start(struct buf *said, uint32_t version, uint32_t len, const char *expression)
{
    const struct wire_start start = {.version = version,
        .time_ms = 10000,
        .memory_bytes = UINT64_C(1) << 40,
        .expression_len = len};

    say(said, &start, sizeof(start));
    say(said, expression, strlen(expression));
}

static void say_message(struct buf *said, uint64_t tags_len, uint64_t data_len, const char *bytes)
{
    const struct wire_message message = {.seq = 1, .tags_len = tags_len, .data_len = data_len};

    say(said, &message, sizeof(message));
    say(said, bytes, strlen(bytes));
}

static struct wire_answer answer_at(const struct talk *talk, size_t offset)
{
    struct wire_answer answer;

    assert_true(talk->answer_len >= offset + sizeof(answer));
    memcpy(&answer, talk->answer + offset, sizeof(answer));
    return answer;
}

static void expect_status(const struct buf *said, int status, size_t answer_len)
{
    struct talk heard;

    talk(said, &heard);
    assert_int_equal(heard.status, status);
    assert_int_equal(heard.answer_len, answer_len);
}

#define SOME_FILTER ".data.n == 1"
#define SOME_LEN    (sizeof(SOME_FILTER) - 1)

static void test_worker_answers_until_the_stream_ends(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf said = {0};
    struct talk heard;

    say_start(&said, WIRE_VERSION, SOME_LEN, SOME_FILTER);
    say_message(&said, 0, 7, "{\"n\":1}");
    say_message(&said, 5, 7, "[\"a\"]{\"n\":2}");
    talk(&said, &heard);
    assert_int_equal(heard.status, 0);
    assert_int_equal(heard.answer_len, 3 * sizeof(struct wire_answer));
    assert_int_equal(answer_at(&heard, 0).result, 0);
    assert_int_equal(answer_at(&heard, sizeof(struct wire_answer)).result, 1);
    assert_int_equal(answer_at(&heard, 2 * sizeof(struct wire_answer)).result, 0);
}

static void test_worker_tells_errors_and_ends(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf said = {0};
    struct talk heard;

    say_start(&said, WIRE_VERSION, 5, "input");
    talk(&said, &heard);
    assert_int_equal(heard.status, 0);
    const struct wire_answer answer = answer_at(&heard, 0);
    assert_int_equal(answer.result, -1);
    assert_int_equal(heard.answer_len, sizeof(answer) + answer.text_len);
    assert_string_equal((char *)heard.answer + sizeof(answer), "invalid filter expression");
    assert_int_equal(heard.answer[heard.answer_len - 1], 0);
}

/* What matches no boolean is an error of the message; the next one may be asked. */
static void test_worker_goes_on_after_a_message_with_an_error(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf said = {0};
    struct talk heard;

    say_start(&said, WIRE_VERSION, 7, ".data.n");
    say_message(&said, 0, 7, "{\"n\":1}");
    say_message(&said, 0, 10, "{\"n\":true}");
    talk(&said, &heard);
    assert_int_equal(heard.status, 0);
    const struct wire_answer refused = answer_at(&heard, sizeof(struct wire_answer));
    assert_int_equal(refused.result, -1);
    const size_t last = 2 * sizeof(struct wire_answer) + refused.text_len;
    assert_int_equal(answer_at(&heard, last).result, 1);
}

static void test_worker_ends_with_a_stream_that_breaks_off(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf said = {0};

    expect_status(&said, 0, 0);
    say(&said, "half", 4);
    expect_status(&said, 0, 0);
    said.len = 0;
    say_start(&said, WIRE_VERSION, SOME_LEN + 1, SOME_FILTER);
    expect_status(&said, 0, 0);
    said.len = 0;
    say_start(&said, WIRE_VERSION, SOME_LEN, SOME_FILTER);
    say_message(&said, 0, 8, "{\"n\":1}");
    expect_status(&said, 0, sizeof(struct wire_answer));
}

static void test_worker_refuses_what_is_not_its_protocol(void **state)
{
    (void)state;
    scoped(buf_fini) struct buf said = {0};

    say_start(&said, WIRE_VERSION + 1, SOME_LEN, SOME_FILTER);
    expect_status(&said, WIRE_EXIT_PROTOCOL, 0);
    said.len = 0;
    say_start(&said, WIRE_VERSION, LIMIT_RECORD_BYTES + 1, SOME_FILTER);
    expect_status(&said, WIRE_EXIT_PROTOCOL, 0);
    for (int tags = 0; tags < 2; tags++) {
        said.len = 0;
        say_start(&said, WIRE_VERSION, SOME_LEN, SOME_FILTER);
        say_message(&said, tags ? LIMIT_TAGS_BYTES + 1 : 0,
            tags ? 0 : (uint64_t)LIMIT_MESSAGE_BYTES + 1, "");
        expect_status(&said, WIRE_EXIT_PROTOCOL, sizeof(struct wire_answer));
    }
}

/* No text is longer than a third of what an answer may hold, and none shorter than it must be. */
static void test_worker_cuts_texts_where_it_must(void **state)
{
    (void)state;
    static const char message[] = "invalid filter expression";
    static const char cause[] = "input is not available in filters";
    static const size_t cut = WIRE_TEXT_MAX / 3 - 1;
    /* "in 'EXPRESSION', at column 1, 'EXPRESSION': CAUSE" */
    static const size_t around = sizeof("in '', at column 1, '': ") - 1 + sizeof(cause) - 1;
    static char expression[WIRE_TEXT_MAX];
    scoped(buf_fini) struct buf said = {0};
    struct talk *heard = malloc(sizeof(*heard));

    assert_non_null(heard);
    for (size_t hint_len = cut - 3; hint_len < cut + 5; hint_len += 2) {
        const size_t len = (hint_len - around) / 2;
        assert_int_equal(2 * len + around, hint_len);
        memset(expression, ' ', sizeof(expression));
        memcpy(expression, "input", 5);
        expression[len] = '\0';
        said.len = 0;
        say_start(&said, WIRE_VERSION, (uint32_t)len, expression);
        talk(&said, heard);
        assert_int_equal(heard->status, 0);
        const struct wire_answer answer = answer_at(heard, 0);
        const char *text = (const char *)heard->answer + sizeof(answer);
        const char *hint = text + sizeof(message) + sizeof(cause);
        assert_int_equal(answer.result, -1);
        assert_int_equal(answer.kind, PLSM_ERROR_USAGE);
        assert_string_equal(text, message);
        assert_string_equal(text + sizeof(message), cause);
        assert_int_equal(strlen(hint), hint_len < cut ? hint_len : cut);
        assert_int_equal(answer.text_len, sizeof(message) + sizeof(cause) + strlen(hint) + 1);
        assert_int_equal(heard->answer_len, sizeof(answer) + answer.text_len);
    }
    free(heard);
}

/* Of any length, also of none: there is room for what ends it. */
static void test_worker_takes_expressions_of_any_length(void **state)
{
    (void)state;
    static char expression[600] = "true";
    scoped(buf_fini) struct buf said = {0};
    struct talk heard;

    say_start(&said, WIRE_VERSION, 0, "");
    talk(&said, &heard);
    assert_int_equal(heard.status, 0);
    assert_int_equal(answer_at(&heard, 0).result, -1);
    assert_int_equal(answer_at(&heard, 0).kind, PLSM_ERROR_USAGE);
    memset(expression + 4, ' ', sizeof(expression) - 5);
    for (size_t len = 64; len <= 512; len *= 2) { /* as long as a buffer is */
        char part[600];
        snprintf(part, sizeof(part), "%.*s", (int)len, expression);
        said.len = 0;
        say_start(&said, WIRE_VERSION, (uint32_t)len, part);
        say_message(&said, 0, 7, "{\"n\":1}");
        talk(&said, &heard);
        assert_int_equal(heard.status, 0);
        assert_int_equal(heard.answer_len, 2 * sizeof(struct wire_answer));
        assert_int_equal(answer_at(&heard, sizeof(struct wire_answer)).result, 1);
    }
}

TESTS(test_worker_answers_until_the_stream_ends, test_worker_tells_errors_and_ends,
    test_worker_goes_on_after_a_message_with_an_error,
    test_worker_ends_with_a_stream_that_breaks_off, test_worker_refuses_what_is_not_its_protocol,
    test_worker_cuts_texts_where_it_must, test_worker_takes_expressions_of_any_length)

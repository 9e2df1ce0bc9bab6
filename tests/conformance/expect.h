/* What a step expects, against what came. */
#ifndef CONFORMANCE_EXPECT_H
#define CONFORMANCE_EXPECT_H

#include "tests/conformance/run.h"
#include "json/span.h"

/* run->failure (NULL: it succeeded) against the object expect.error. */
int expect_error(struct run *run, struct view wanted);

/* A number, or, if it is not known, null. What is not wanted is not looked at. */
int expect_number(
    struct run *run, struct view wanted, const char *name, bool known, uint64_t number);

/* A message as the library gives it; the views are parts of its text. */
struct message {
    uint64_t seq;
    struct view tags; /* an array */
    struct view data;
    struct view text;
};

int message_read(struct run *run, const plsm_buf_t *text, struct message *out_message);

/* Against an object with data and tags; each counts only if it is there. */
int expect_message(struct run *run, const struct message *message, struct view wanted);

/* Messages against expect.messages or expect.messages_unordered, one after the other. */
struct expected {
    struct view list;
    size_t n; /* of the list */
    size_t n_found;
    uint64_t seq; /* of the last one that came */
    bool ordered;
    bool *found; /* which ones of the list */
};

int expected_begin(struct run *run, struct view wanted, struct expected *out_expected);
int expected_next(struct run *run, struct expected *expected, const struct message *message);
int expected_end(struct run *run, const struct expected *expected);

static inline void expected_fini_scoped(struct expected *expected)
{
    free(expected->found);
}

#endif

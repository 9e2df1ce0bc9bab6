/* What the tests of bells share. */
#ifndef ENGINE_BELL_TEST_H
#define ENGINE_BELL_TEST_H

#include "engine/bell.h"
#include "engine/child_test.h"

#include <poll.h>

static inline bool is_ringing(const struct bell *bell, int timeout_ms)
{
    struct pollfd wait = {.fd = bell_fd(bell), .events = POLLIN};
    return poll(&wait, 1, timeout_ms) == 1;
}

static inline struct bell *hang(struct pool *pool, uint64_t pos)
{
    struct bell *bell = NULL;
    check_ok(bell_new(pool, pos, &bell, &test_error));
    assert_non_null(bell);
    return bell;
}

static inline uint64_t end_of(struct pool *pool)
{
    struct cursor cursor;
    cursor_newest(&cursor, pool);
    return cursor.pos;
}

#endif

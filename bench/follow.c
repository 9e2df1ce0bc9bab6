/* follow_wake: how long after an append another process has the message: a follower that sleeps
 * (beside a bare futex and a pipe), and one that polls (beside a polled word in memory). */
#include "bench/common.h"
#include "bench/wake.h"

#include "base/clock.h"

struct follower {
    struct pool *pool;
    struct cursor cursor;
};

static struct follower follower; /* each process fills in its own after the fork */

static void follow_open_sender(void *state)
{
    ((struct follower *)state)->pool = bench_pool_open("wake", POOL_WRITE);
}

static void follow_open_receiver(void *state)
{
    struct follower *own = state;

    own->pool = bench_pool_open("wake", POOL_READ);
    cursor_newest(&own->cursor, own->pool);
}

static void follow_send(void *state, uint64_t n)
{
    struct follower *own = state;
    struct appended appended;
    plsm_error_t *err = NULL;
    char text[WAKE_BYTES];

    wake_encode(n, text);
    const struct message message = {.data = view_of(text, sizeof(text))};
    bench_ok(pool_append(own->pool, &message, 1, &appended, &err), err, "append");
}

/* Takes the next message if there is one. */
static bool follow_take(struct follower *own, uint64_t *out_n)
{
    struct frame frame;
    struct gap gap;
    plsm_error_t *err = NULL;
    char text[WAKE_BYTES];

    const int r = cursor_next(&own->cursor, &frame, &gap, &err);
    if (r == CURSOR_EMPTY)
        return false;
    bench_ok(r, err, "cursor_next");
    bench_check(frame.data.len == sizeof(text), "a message of %zu bytes", frame.data.len);
    memcpy(text, frame.data.data, sizeof(text));
    bench_check(frame_still_valid(own->pool, &frame), "overtaken");
    *out_n = wake_decode(text);
    return true;
}

static uint64_t follow_receive_block(void *state)
{
    plsm_error_t *err = NULL;
    uint64_t n = 0;

    while (!follow_take(state, &n))
        bench_ok(
            follow_wait(&((struct follower *)state)->cursor, DEADLINE_NEVER, &err), err, "wait");
    return n;
}

static uint64_t follow_receive_spin(void *state)
{
    uint64_t n = 0;

    while (!follow_take(state, &n))
        continue;
    return n;
}

static struct transport follow_transport(bool spin)
{
    return (struct transport){
        .name = "pool",
        .state = &follower,
        .open_sender = follow_open_sender,
        .open_receiver = follow_open_receiver,
        .send = follow_send,
        .receive = spin ? follow_receive_spin : follow_receive_block,
    };
}

static void follow_measure(struct transport *transports, uint32_t n_transports, bool pinned)
{
    pool_close(bench_pool_create("wake"));
    wake_measure(transports, n_transports, arg_number("n", 200), pinned);
    pool_close(follower.pool);
    bench_pool_remove("wake");
}

void bench_wake(void)
{
    struct transport transports[] = {follow_transport(false), wake_futex(), wake_pipe()};

    follow_measure(transports, 3, false);
}

void bench_spin(void)
{
    struct transport transports[] = {follow_transport(true), wake_word()};

    follow_measure(transports, 2, true);
}

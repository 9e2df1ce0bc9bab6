#include "bench/wake.h"

#include "bench/bench.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURN          25u /* messages before the next transport's turn */
#define WARM_UP_TURNS 2u  /* of each, not counted: page faults, first wake-ups */
#define WAKE_N_BASE   UINT64_C(1000000000)

static const char wake_head[] = {'{', '"', 'n', '"', ':'};

void wake_encode(uint64_t n, char out[static WAKE_BYTES])
{
    uint64_t value = WAKE_N_BASE + n;

    memcpy(out, wake_head, sizeof(wake_head));
    for (size_t i = WAKE_BYTES - 2; i >= sizeof(wake_head); i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    out[WAKE_BYTES - 1] = '}';
}

uint64_t wake_decode(const char *text)
{
    uint64_t value = 0;

    bench_check(memcmp(text, wake_head, sizeof(wake_head)) == 0 && text[WAKE_BYTES - 1] == '}',
        "not a message: %.16s", text);
    for (size_t i = sizeof(wake_head); i < WAKE_BYTES - 1; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    bench_check(value >= WAKE_N_BASE, "not a message's number: %.16s", text);
    return value - WAKE_N_BASE;
}

/* ---- the two processes --------------------------------------------------------------------- */

struct wake_board {
    _Atomic uint64_t n_received;
    _Atomic uint32_t ready;
    struct {
        uint64_t sent_ns;
        uint64_t received_ns;
    } message[];
};

/* Message i of all is message number ... of the transport whose turn it is. */
static uint64_t wake_number(uint64_t i, uint32_t n_transports)
{
    return i / ((uint64_t)TURN * n_transports) * TURN + i % TURN;
}

static void wake_receiver(
    struct wake_board *board, struct transport *transports, uint32_t n_transports, uint64_t n)
{
    for (uint32_t i = 0; i < n_transports; i++)
        if (transports[i].open_receiver)
            transports[i].open_receiver(transports[i].state);
    atomic_store(&board->ready, 1);
    for (uint64_t i = 0; i < n; i++) {
        struct transport *transport = &transports[i / TURN % n_transports];
        const uint64_t got = transport->receive(transport->state);
        board->message[i].received_ns = now_ns();
        const uint64_t expected = wake_number(i, n_transports);
        bench_check(got == expected, "%s: received message %llu instead of %llu", transport->name,
            (unsigned long long)got, (unsigned long long)expected);
        atomic_store(&board->n_received, i + 1);
    }
    _exit(0);
}

static void wake_wait_ready(const struct wake_board *board, pid_t receiver)
{
    while (!atomic_load(&board->ready)) {
        bench_check(waitpid(receiver, NULL, WNOHANG) == 0, "the receiver ended early");
        usleep(500);
    }
}

/* Binds this process to the first or the last of the cores it may use. */
static void pin_to_core(bool last)
{
    cpu_set_t allowed;
    cpu_set_t one;
    size_t core = CPU_SETSIZE;

    bench_check(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "%s", strerror(errno));
    for (size_t i = 0; i < CPU_SETSIZE && (last || core == CPU_SETSIZE); i++)
        if (CPU_ISSET(i, &allowed))
            core = i;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    bench_check(sched_setaffinity(0, sizeof(one), &one) == 0, "%s", strerror(errno));
}

void wake_measure(struct transport *transports, uint32_t n_transports, uint64_t n_each, bool pinned)
{
    const uint64_t interval_ns = arg_number("interval_us", 1000) * 1000;
    const uint64_t n_turns = (n_each + TURN - 1) / TURN;
    const uint64_t skip = (uint64_t)WARM_UP_TURNS * TURN * n_transports;
    const uint64_t n = skip + n_turns * TURN * n_transports;
    struct wake_board *board = map_shared(sizeof(*board) + n * sizeof(board->message[0]));

    const pid_t receiver = fork();
    bench_check(receiver >= 0, "fork: %s", strerror(errno));
    if (pinned)
        pin_to_core(receiver == 0);
    if (receiver == 0)
        wake_receiver(board, transports, n_transports, n);
    for (uint32_t i = 0; i < n_transports; i++)
        if (transports[i].open_sender)
            transports[i].open_sender(transports[i].state);
    wake_wait_ready(board, receiver);

    uint64_t next = now_ns() + 5000000;
    for (uint64_t i = 0; i < n; i++) {
        struct transport *transport = &transports[i / TURN % n_transports];
        sleep_until_ns(next);
        next += interval_ns;
        board->message[i].sent_ns = now_ns();
        transport->send(transport->state, wake_number(i, n_transports));
    }
    bench_check(spawn_wait(receiver) == 0, "the receiver failed");
    bench_check(atomic_load(&board->n_received) == n, "messages are missing");

    for (uint32_t t = 0; t < n_transports; t++) {
        struct samples samples;
        samples_init(&samples, n);
        for (uint64_t i = skip; i < n; i++)
            if (i / TURN % n_transports == t)
                samples_add(&samples, board->message[i].received_ns - board->message[i].sent_ns);
        report_samples(transports[t].name, &samples);
    }
}

/* ---- a word, with a futex or polled -------------------------------------------------------- */

static void word_send_futex(void *state, uint64_t n)
{
    _Atomic uint32_t *word = state;

    atomic_store(word, (uint32_t)n + 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The receiver's own count lies behind the word, on another line. */
static uint64_t word_receive_futex(void *state)
{
    _Atomic uint32_t *word = state;
    _Atomic uint32_t *last = word + 32;
    const uint32_t seen = atomic_load(last);

    while (atomic_load(word) == seen)
        syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
    atomic_store(last, seen + 1); /* one by one, also when several have come meanwhile */
    return seen;
}

static void word_send(void *state, uint64_t n)
{
    atomic_store_explicit((_Atomic uint32_t *)state, (uint32_t)n + 1, memory_order_release);
}

static uint64_t word_receive(void *state)
{
    _Atomic uint32_t *word = state;
    _Atomic uint32_t *last = word + 32;
    const uint32_t seen = atomic_load_explicit(last, memory_order_relaxed);

    while (atomic_load_explicit(word, memory_order_acquire) == seen)
        continue;
    atomic_store_explicit(last, seen + 1, memory_order_relaxed);
    return seen;
}

struct transport wake_futex(void)
{
    return (struct transport){
        .name = "futex",
        .state = map_shared(4096),
        .send = word_send_futex,
        .receive = word_receive_futex,
    };
}

struct transport wake_word(void)
{
    return (struct transport){
        .name = "word",
        .state = map_shared(4096),
        .send = word_send,
        .receive = word_receive,
    };
}

/* ---- a pipe -------------------------------------------------------------------------------- */

static void pipe_send(void *state, uint64_t n)
{
    const int *fds = state;
    char text[WAKE_BYTES];

    wake_encode(n, text);
    write_all(fds[1], text, sizeof(text));
}

static uint64_t pipe_receive(void *state)
{
    const int *fds = state;
    char text[WAKE_BYTES];
    const ssize_t n = read(fds[0], text, sizeof(text));

    bench_check(n == sizeof(text), "the pipe gave %zd bytes", n);
    return wake_decode(text);
}

struct transport wake_pipe(void)
{
    int *fds = calloc(2, sizeof(int));

    bench_check(fds, "out of memory");
    pipe_open(fds);
    return (struct transport){
        .name = "pipe", .state = fds, .send = pipe_send, .receive = pipe_receive};
}

#include "bench/peer.h"

#include "bench/bench.h"
#include "bench/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Libraries with threads of their own do not survive fork: what comes before one runs in a child. */
static void in_child(void (*work)(const char *name), const char *name)
{
    const pid_t pid = fork();

    bench_check(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        work(name);
        _exit(0);
    }
    bench_check(spawn_wait(pid) == 0, "preparing the store %s failed", name);
}

static void store_create(const char *name)
{
    peer.remove(name);
    peer.close(peer.open(name, true));
}

/* ---- append -------------------------------------------------------------------------------- */

static uint32_t batch;

struct appender {
    void *store;
    struct payloads *payloads;
};

static void *append_prepare(uint32_t worker)
{
    struct appender *appender = calloc(1, sizeof(*appender));

    bench_check(appender, "out of memory");
    appender->store = peer.open("append", false);
    appender->payloads = payloads_new(256, worker);
    return appender;
}

static uint64_t append_work(void *state, uint32_t worker, uint64_t deadline_ns)
{
    struct appender *appender = state;
    struct view views[PAYLOAD_VARIANTS];
    uint64_t n = 0;

    (void)worker;
    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++)
        views[i] = payload_at(appender->payloads, i);
    do {
        peer.append(appender->store, &views[n % PAYLOAD_VARIANTS], batch);
        n += batch;
    } while (now_ns() < deadline_ns);
    return n;
}

static void append_finish(void *state)
{
    peer.close(((struct appender *)state)->store);
}

static void check_see(void *context, struct view message)
{
    payload_check_next(context, message);
}

static void check_all(const char *name, uint32_t n_writers, uint64_t n)
{
    struct payload_check check;

    payload_check_init(&check, 256, n_writers);
    void *store = peer.open(name, false);
    peer.scan(store, check_see, &check);
    peer.close(store);
    bench_check(check.n_seen == n, "%llu messages were stored, %llu are there",
        (unsigned long long)n, (unsigned long long)check.n_seen);
}

static void peer_append(void)
{
    const uint32_t n_writers = (uint32_t)arg_number("writers", 1);
    const struct workers workers = {
        .n = n_writers,
        .duration_ns = bench_duration_ns(),
        .prepare = append_prepare,
        .work = append_work,
        .finish = append_finish,
    };
    uint64_t elapsed_ns;

    batch = (uint32_t)arg_number("batch", 1);
    bench_check(batch == 1 || batch == PAYLOAD_VARIANTS, "batch=1 or %u", PAYLOAD_VARIANTS);
    in_child(store_create, "append");
    const uint64_t n = workers_run(&workers, &elapsed_ns);
    check_all("append", n_writers, n);
    peer.remove("append");
    report_rate("rate", n, elapsed_ns);
}

/* ---- scan and fetch ------------------------------------------------------------------------ */

/* The store that is only read is made once and stays until the runner removes the folder. */
static void *filled_open(void)
{
    static struct view views[PAYLOAD_VARIANTS];
    const struct payloads *payloads = payloads_new(256, 0);
    char *marker = bench_path("filled-marker");
    void *store;

    if (access(marker, F_OK) == 0) {
        free(marker);
        return peer.open("filled", false);
    }
    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++)
        views[i] = payload_at(payloads, i);
    peer.remove("filled");
    store = peer.open("filled", true);
    for (uint64_t i = 0; i < bench_messages(); i += PAYLOAD_VARIANTS)
        peer.append(store, views, PAYLOAD_VARIANTS);
    peer.close(store);
    check_all("filled", 1, bench_messages());
    const int fd = open(marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bench_check(fd >= 0 && close(fd) == 0, "%s: %s", marker, strerror(errno));
    free(marker);
    return peer.open("filled", false);
}

struct copy {
    uint8_t message[256];
    uint64_t n;
};

static void copy_see(void *context, struct view message)
{
    struct copy *copy = context;

    bench_check(message.len == sizeof(copy->message), "a message of %zu bytes", message.len);
    memcpy(copy->message, message.data, sizeof(copy->message));
    copy->n++;
}

static void peer_scan(void)
{
    void *store = filled_open();
    struct copy copy = {.n = 0};
    uint64_t passes = 0;

    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        peer.scan(store, copy_see, &copy);
        passes++;
    } while (now_ns() < deadline);
    report_rate("rate", copy.n, now_ns() - start);
    bench_check(copy.n == passes * bench_messages(), "a scan saw too few messages");
    peer.close(store);
}

static void peer_fetch(void)
{
    const struct payloads *payloads = payloads_new(256, 0);
    void *store = filled_open();
    const uint64_t n_messages = bench_messages();
    uint64_t random = 88172645463325252u;
    uint8_t out[256];
    uint64_t n = 0;
    uint64_t i = 0;

    peer.fetch(store, i, out, sizeof(out)); /* what the first one prepares is not timed */
    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        random = random * 6364136223846793005u + 1442695040888963407u;
        i = (random >> 33) % n_messages;
        peer.fetch(store, i, out, sizeof(out));
        bench_check(view_equal(payload_at(payloads, i), view_of(out, sizeof(out))),
            "message %llu is not what was stored", (unsigned long long)i);
        n++;
    } while (n % 16 != 0 || now_ns() < deadline);
    report_rate("rate", n, now_ns() - start);
    peer.close(store);
}

/* ---- wake ---------------------------------------------------------------------------------- */

static void *wake_store; /* of the sender or of the receiver, each in its process */

static void wake_open_sender(void *state)
{
    (void)state;
    wake_store = peer.open("wake", false);
}

static void wake_open_receiver(void *state)
{
    (void)state;
    wake_store = peer.open("wake", false);
    peer.subscribe(wake_store);
}

static void wake_send(void *state, uint64_t n)
{
    char text[WAKE_BYTES];
    const struct view view = view_of(text, sizeof(text));

    (void)state;
    wake_encode(n, text);
    peer.append(wake_store, &view, 1);
}

static uint64_t wake_receive(void *state)
{
    char text[WAKE_BYTES];

    (void)state;
    peer.receive(wake_store, text, sizeof(text));
    return wake_decode(text);
}

static void peer_wake(void)
{
    struct transport transport = {
        .name = "peer",
        .open_sender = wake_open_sender,
        .open_receiver = wake_open_receiver,
        .send = wake_send,
        .receive = wake_receive,
    };

    bench_check(peer.receive, "this peer cannot wait");
    in_child(store_create, "wake");
    wake_measure(&transport, 1, arg_number("n", 200), false);
    peer.close(wake_store);
    peer.remove("wake");
}

const struct bench_op bench_ops[] = {
    {"append", peer_append},
    {"scan", peer_scan},
    {"fetch", peer_fetch},
    {"wake", peer_wake},
    {NULL, NULL},
};

/* bench_floor: what the machine itself allows, with nothing of ours but the checksum. */
#include "bench/bench.h"
#include "bench/group.h"
#include "bench/ring.h"
#include "bench/wake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory -------------------------------------------------------------------------------- */

static struct ring *shared_ring;
static uint32_t batch;

static void *ring_prepare(uint32_t worker)
{
    return payloads_new(256, worker);
}

static uint64_t ring_work(void *state, uint32_t worker, uint64_t deadline_ns)
{
    struct payloads *payloads = state;
    struct view views[PAYLOAD_VARIANTS];
    uint64_t n = 0;

    (void)worker;
    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++)
        views[i] = payload_at(payloads, i);
    do {
        for (uint32_t i = 0; i < 512; i++, n += batch)
            ring_append(shared_ring, &views[n % PAYLOAD_VARIANTS], batch);
    } while (now_ns() < deadline_ns);
    return n;
}

/* Lock, copy, checksum, publish: beneath append_*. */
static void floor_ring_append(void)
{
    uint64_t elapsed_ns;

    shared_ring = ring_new();
    batch = (uint32_t)arg_number("batch", 1);
    bench_check(batch == 1 || batch == PAYLOAD_VARIANTS, "batch=1 or %u", PAYLOAD_VARIANTS);
    ring_fill(shared_ring);
    const struct workers workers = {
        .n = (uint32_t)arg_number("writers", 1),
        .duration_ns = bench_duration_ns(),
        .prepare = ring_prepare,
        .work = ring_work,
    };
    const uint64_t n = workers_run(&workers, &elapsed_ns);
    report_rate("rate", n, elapsed_ns);
}

/* Checksum and copy in order: beneath cursor_*. */
static void floor_ring_scan(void)
{
    struct ring *ring = ring_new();
    const uint64_t n_records = ring_fill(ring);
    uint8_t copied[256];
    uint8_t *out = arg_number("copy", 1) != 0 ? copied : NULL;
    uint64_t n = 0;

    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        for (uint64_t i = 0; i < n_records; i++)
            ring_read(ring, i, out);
        n += n_records;
    } while (now_ns() < deadline);
    report_rate("rate", n, now_ns() - start);
}

/* A slot of an index and a record, at random: beneath fetch_random. */
static void floor_ring_fetch(void)
{
    struct ring *ring = ring_new();
    const uint64_t n_records = ring_fill(ring);
    uint64_t random = 88172645463325252u;
    uint8_t out[256];
    uint64_t n = 0;

    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        for (uint32_t i = 0; i < 4096; i++, n++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            ring_fetch(ring, (random >> 33) % n_records, out);
        }
    } while (now_ns() < deadline);
    report_rate("rate", n, now_ns() - start);
}

/* ---- wake-ups ------------------------------------------------------------------------------ */

static void floor_wake(void)
{
    struct transport transports[] = {wake_futex(), wake_pipe()};

    wake_measure(transports, 2, arg_number("n", 200), false);
}

static void floor_spin(void)
{
    struct transport transport = wake_word();

    wake_measure(&transport, 1, arg_number("n", 200), true);
}

/* ---- disk ---------------------------------------------------------------------------------- */

static void floor_sync(void)
{
    char *path = bench_path("group.dat");
    struct group *group = group_new(path);
    const uint64_t start = now_ns();
    const uint64_t n = group_run(group, (uint32_t)arg_number("threads", 1), bench_duration_ns());

    report_rate("rate", n, now_ns() - start);
    bench_check(unlink(path) == 0, "%s: %s", path, strerror(errno));
    free(path);
}

/* ---- pipes --------------------------------------------------------------------------------- */

static void pipe_count_child(int in, uint64_t record_bytes)
{
    static uint8_t buffer[65536];
    uint64_t total = 0;
    ssize_t n;

    while ((n = read(in, buffer, sizeof(buffer))) > 0)
        total += (uint64_t)n;
    bench_check(n == 0, "read: %s", strerror(errno));
    bench_check(total % record_bytes == 0, "the pipe lost bytes");
    _exit(0);
}

/* One process writes a message at a time into a pipe, another reads what is there: messages that
 * nobody stores. */
static void floor_pipe_append(void)
{
    const struct payloads *payloads = payloads_new(256, 0);
    int fds[2];
    uint64_t n = 0;

    pipe_open(fds);
    const pid_t child = fork();
    bench_check(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        close(fds[1]);
        pipe_count_child(fds[0], payloads->size);
    }
    close(fds[0]);
    const uint64_t start = now_ns();
    const uint64_t deadline = start + bench_duration_ns();
    do {
        for (uint32_t i = 0; i < 64; i++, n++)
            write_all(fds[1], payload_at(payloads, n).data, payloads->size);
    } while (now_ns() < deadline);
    close(fds[1]);
    bench_check(spawn_wait(child) == 0, "the reading process failed");
    report_rate("rate", n, now_ns() - start);
}

const struct bench_op bench_ops[] = {
    {"ring_append", floor_ring_append},
    {"ring_scan", floor_ring_scan},
    {"ring_fetch", floor_ring_fetch},
    {"wake", floor_wake},
    {"spin", floor_spin},
    {"sync", floor_sync},
    {"pipe_append", floor_pipe_append},
    {NULL, NULL},
};

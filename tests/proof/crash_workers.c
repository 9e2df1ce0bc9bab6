/* Processes that check states, so that the tracer need not wait for them. Job numbers come to them
 * through one pipe and go back through another. */
#include "tests/proof/crash.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATE_TRIES 3

static int todo[2];
static int done[2];
static pid_t workers[WORKERS_MAX];
static unsigned n_workers;
static bool job_idle[JOBS];
static unsigned n_idle;
static void (*on_done)(const struct job *job);

/* A state that makes its heirs wait does so each time; a busy machine does not. */
static void worker_check(const char *path, unsigned way, struct job *job)
{
    job->late = true;
    for (int tries = 0; tries < LATE_TRIES && job->late && job->failure[0] == '\0'; tries++) {
        job->late = false;
        crash_file_write(path, job->bytes, job->size);
        check_pool(path, way, job);
    }
    if (job->late && job->failure[0] == '\0')
        snprintf(job->failure, sizeof(job->failure),
            "opening and appending took up to %llu ms, %d times",
            (unsigned long long)(job->took_ns / NS_PER_MS), LATE_TRIES);
}

static void worker_run(unsigned number)
{
    char path[96];
    uint8_t index = 0;

    snprintf(path, sizeof(path), "%s/copy-%u", crash_folder, number);
    while (read(todo[0], &index, 1) == 1) {
        struct job *job = &crash_shared->jobs[index];
        atomic_store(&crash_shared->working[number], index);
        for (unsigned way = 1; way <= WAY_WAIT && job->failure[0] == '\0'; way *= 2)
            if ((job->ways & way) != 0)
                worker_check(path, way, job);
        if (write(done[1], &index, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

void workers_start(unsigned n, void (*then)(const struct job *job))
{
    assert(n <= WORKERS_MAX);
    if (pipe2(todo, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
        crash_die("pipe");
    on_done = then;
    n_workers = n;
    for (unsigned i = 0; i < n; i++) {
        workers[i] = crash_fork();
        if (workers[i] == 0) {
            close(todo[1]);
            close(done[0]);
            worker_run(i);
        }
    }
    close(todo[0]);
    close(done[1]);
    for (n_idle = 0; n_idle < JOBS; n_idle++)
        job_idle[n_idle] = true;
}

/* One that died over a state says more than its silence would. */
static void workers_look(void)
{
    for (unsigned i = 0; i < n_workers; i++) {
        int status = 0;
        if (waitpid(workers[i], &status, WNOHANG) != workers[i])
            continue;
        struct job *job = &crash_shared->jobs[atomic_load(&crash_shared->working[i])];
        snprintf(job->failure, sizeof(job->failure),
            "the process that opened it ended with status %#x", (unsigned)status);
        on_done(job);
        crash_die("a state ended a process");
    }
}

static void workers_collect(void)
{
    struct pollfd wait = {.fd = done[0], .events = POLLIN};
    uint8_t index = 0;

    while (poll(&wait, 1, 1000) == 0)
        workers_look();
    if (read(done[0], &index, 1) != 1)
        crash_die("the workers have ended");
    on_done(&crash_shared->jobs[index]);
    job_idle[index] = true;
    n_idle++;
}

struct job *workers_job(void)
{
    unsigned index = 0;

    if (n_idle == 0)
        workers_collect();
    while (!job_idle[index])
        index++;
    job_idle[index] = false;
    n_idle--;
    struct job *job = &crash_shared->jobs[index];
    job->failure[0] = '\0';
    job->next_seq = job->took_ns = 0;
    return job;
}

void workers_post(struct job *job)
{
    const uint8_t index = (uint8_t)(job - crash_shared->jobs);
    if (write(todo[1], &index, 1) != 1)
        crash_die("the workers have ended");
}

void workers_drain(void)
{
    while (n_idle < JOBS)
        workers_collect();
}

void workers_stop(void)
{
    workers_drain();
    close(todo[1]);
    for (unsigned i = 0; i < n_workers; i++)
        waitpid(workers[i], NULL, 0);
    close(done[0]);
}

#include "engine/bell.h"

#include "base/clock.h"
#include "engine/follow.h"
#include "os/event.h"
#include "os/futex.h"
#include "os/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BELL_POLL_NS (5 * NS_PER_MS) /* for pools that cannot be told that somebody sleeps */
#define BELL_IDLE_NS (3600 * NS_PER_SECOND)

/* Bells of pools that are the same file: they share a word to sleep on. */
struct tower {
    dev_t device;
    ino_t inode;
    bool can_wake;
    uint64_t look;           /* the last one that found something to listen for */
    _Atomic(size_t) n_bells; /* also counted down in a child of fork(), by whoever frees them */
    struct bell *bells;
    struct tower *next;
    struct tower **link;
};

struct bell {
    struct tower *tower;
    struct pool *pool;
    uint64_t pos;
    bool armed;   /* not ringing, and to be listened for */
    bool deleted; /* it has rung because the pool was */
    int fd;
    pid_t pid; /* whose bell it is: in a child of fork() it only can be freed */
    struct bell *next;
    struct bell **link;
};

/* The listener and what it listens for. All but `change` is under the mutex; pid is also looked at
 * without, to see whether the mutex is that of a parent. */
static struct {
    pthread_mutex_t mutex;
    pthread_t thread;
    _Atomic(pid_t) pid;     /* of the process that the thread belongs to; 0: there is none */
    atomic_flag forgetting; /* taken while what a parent left is thrown away */
    uint64_t run;           /* the thread of an earlier one ends */
    uint64_t look;          /* counts how often the listener looked */
    struct tower *towers;
    _Atomic(uint32_t) change; /* the first word that the listener sleeps on */
} listener = {.mutex = PTHREAD_MUTEX_INITIALIZER, .forgetting = ATOMIC_FLAG_INIT};

static void bell_ring_locked(struct bell *bell)
{
    bell->armed = false;
    event_set(bell->fd);
}

/* Whether the bell need not ring for news, or for what became of its pool's file. */
static bool bell_is_quiet(struct bell *bell, int file)
{
    if (follow_has_news(bell->pool, bell->pos))
        return false;
    if (file == POOL_OK || (file == POOL_DELETED && bell->deleted))
        return true;
    bell->deleted = file == POOL_DELETED;
    return false;
}

/* Rings the bells that have a reason to. True: others have none, and *out_word is what to sleep on
 * until they do. It is read, and announced, before any of them looks for news. */
static bool tower_look(struct tower *tower, bool check_file, struct futex_word *out_word)
{
    bool listens = false;
    int file = POOL_OK; /* it is the same for all */

    for (struct bell *bell = tower->bells; bell != NULL; bell = bell->next) {
        if (!bell->armed)
            continue;
        if (check_file)
            file = pool_check_file(bell->pool, NULL);
        check_file = false;
        if (file < 0) { /* cut: who reads what is not there any more is killed */
            bell_ring_locked(bell);
            continue;
        }
        if (!listens) {
            out_word->word = &bell->pool->control->wake;
            out_word->expected = follow_announce(bell->pool);
        }
        if (bell_is_quiet(bell, file))
            listens = true;
        else
            bell_ring_locked(bell);
    }
    return listens;
}

/* Rings the bells that have a reason to, and gathers the words of the others. Returns how long
 * the listener may sleep on them. */
static uint64_t listener_look(
    bool check_files, struct futex_word words[static FUTEX_WORDS_MAX], size_t *n_words)
{
    uint64_t sleep_ns = BELL_IDLE_NS;

    listener.look++;
    for (struct tower *tower = listener.towers; tower != NULL; tower = tower->next) {
        struct futex_word word;
        if (!tower_look(tower, check_files, &word))
            continue;
        const bool has_room = *n_words < FUTEX_WORDS_MAX;
        if (has_room)
            words[(*n_words)++] = word;
        const bool is_told = has_room && tower->can_wake;
        if (is_told)
            tower->look = listener.look;
        const uint64_t own_ns = is_told ? FOLLOW_SLICE_NS : BELL_POLL_NS;
        if (own_ns < sleep_ns)
            sleep_ns = own_ns;
    }
    return sleep_ns;
}

/* Runs until listener.run, which it was given as a number in a pointer, has moved on. */
static void *listener_run(void *run)
{
    struct futex_word words[FUTEX_WORDS_MAX];
    uint64_t checked_ns = clock_monotonic_ns();
    int woken = FUTEX_WOKEN;

    pthread_mutex_lock(&listener.mutex);
    while (listener.run == (uintptr_t)run) {
        const uint64_t now_ns = clock_monotonic_ns();
        /* where a word is gone, reading what is left of it would end the process */
        const bool check_files = woken == FUTEX_GONE || now_ns - checked_ns >= FOLLOW_SLICE_NS;
        size_t n_words = 1;

        if (check_files)
            checked_ns = now_ns;
        words[0] = (struct futex_word){&listener.change, atomic_load(&listener.change)};
        const uint64_t sleep_ns = listener_look(check_files, words, &n_words);
        /* a pool that is closed meanwhile takes its word along; `change` has moved then */
        pthread_mutex_unlock(&listener.mutex);
        woken = futex_wait_any(words, n_words, sleep_ns);
        pthread_mutex_lock(&listener.mutex);
    }
    pthread_mutex_unlock(&listener.mutex);
    return NULL;
}

/* Makes the listener look again. */
static void listener_kick(void)
{
    atomic_fetch_add(&listener.change, 1);
    futex_wake_all(&listener.change);
}

/* Whether the bell is that of a parent, whose listener does not run here. */
static bool bell_is_foreign(const struct bell *bell)
{
    return bell->pid != getpid();
}

/* A thread of the library takes no signals: they are the program's. But those of its own faults
 * would end the process, blocked, where somebody handles them. */
static int listener_start(plsm_error_t **err)
{
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    void *run = (void *)(uintptr_t)listener.run; /* NOLINT: a number, never followed */
    const int r = pthread_create(&listener.thread, NULL, listener_run, run);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return error_io(err, r, "failed to start the thread that listens for news");
    atomic_store(&listener.pid, getpid());
    return 0;
}

/* After fork(): the mutex may have been locked by a thread that is not here. */
static void listener_forget_parent(pid_t self)
{
    while (atomic_flag_test_and_set(&listener.forgetting))
        process_pause(); /* another thread is at it */
    const pid_t owner = atomic_load(&listener.pid);
    if (owner != 0 && owner != self) {
        listener.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        listener.towers = NULL; /* their bells are freed by whoever has them */
        atomic_store(&listener.pid, 0);
    }
    atomic_flag_clear(&listener.forgetting);
}

/* The tower of the pool's file, made where there is none. NULL: Io, Internal. */
static struct tower *tower_of(const struct pool *pool, plsm_error_t **err)
{
    struct stat status;

    if (fstat(pool->fd, &status) < 0) {
        error_io(err, errno, "failed to look at the pool file");
        return NULL;
    }
    for (struct tower *tower = listener.towers; tower != NULL; tower = tower->next)
        if (tower->inode == status.st_ino && tower->device == status.st_dev &&
            tower->can_wake == pool->can_wake)
            return tower;
    struct tower *tower = calloc(1, sizeof(*tower));
    if (tower == NULL) {
        error_oom(err);
        return NULL;
    }
    tower->device = status.st_dev;
    tower->inode = status.st_ino;
    tower->can_wake = pool->can_wake;
    tower->next = listener.towers;
    tower->link = &listener.towers;
    if (tower->next != NULL)
        tower->next->link = &tower->next;
    listener.towers = tower;
    return tower;
}

static void tower_remove(struct tower *tower)
{
    *tower->link = tower->next;
    if (tower->next != NULL)
        tower->next->link = tower->link;
}

/* Under the mutex. */
static int bell_hang(struct bell *bell, plsm_error_t **err)
{
    struct tower *tower = tower_of(bell->pool, err);

    if (tower == NULL)
        return -1;
    if (atomic_load(&listener.pid) == 0 && listener_start(err) < 0) {
        if (tower->n_bells == 0) {
            tower_remove(tower);
            free(tower);
        }
        return -1;
    }
    tower->n_bells++;
    bell->tower = tower;
    bell->next = tower->bells;
    bell->link = &tower->bells;
    if (bell->next != NULL)
        bell->next->link = &bell->next;
    tower->bells = bell;
    listener_kick();
    return 0;
}

int bell_new(struct pool *pool, uint64_t pos, struct bell **out_bell, plsm_error_t **err)
{
    struct bell *bell = calloc(1, sizeof(*bell));
    if (bell == NULL)
        return error_oom(err);
    *bell =
        (struct bell){.pool = pool, .pos = pos, .armed = true, .fd = event_open(), .pid = getpid()};
    if (bell->fd < 0) {
        error_io(err, errno, "failed to make a descriptor for news");
        free(bell);
        return -1;
    }
    const pid_t owner = atomic_load(&listener.pid);
    if (owner != 0 && owner != bell->pid)
        listener_forget_parent(bell->pid);

    pthread_mutex_lock(&listener.mutex);
    const int r = bell_hang(bell, err);
    pthread_mutex_unlock(&listener.mutex);
    if (r < 0) {
        close(bell->fd);
        free(bell);
        return -1;
    }
    *out_bell = bell;
    return 0;
}

/* Takes the bell from its tower, and that from the list if it is the last one there. True: it was
 * the last one of all, and the listener is told to end. */
static bool listener_remove(struct bell *bell, pthread_t *out_thread)
{
    pthread_mutex_lock(&listener.mutex);
    *bell->link = bell->next;
    if (bell->next != NULL)
        bell->next->link = bell->link;
    if (bell->tower->bells == NULL)
        tower_remove(bell->tower);
    const bool is_last = listener.towers == NULL;
    if (is_last) {
        *out_thread = listener.thread;
        listener.run++;
        atomic_store(&listener.pid, 0); /* whoever comes next starts another */
    }
    listener_kick();
    pthread_mutex_unlock(&listener.mutex);
    return is_last;
}

void bell_free(struct bell *bell)
{
    pthread_t thread;

    if (bell == NULL)
        return;
    if (!bell_is_foreign(bell) && listener_remove(bell, &thread))
        pthread_join(thread, NULL);
    if (--bell->tower->n_bells == 0)
        free(bell->tower);
    close(bell->fd);
    free(bell);
}

int bell_fd(const struct bell *bell)
{
    return bell->fd;
}

void bell_ring(struct bell *bell)
{
    if (bell_is_foreign(bell))
        return;
    pthread_mutex_lock(&listener.mutex);
    bell_ring_locked(bell);
    pthread_mutex_unlock(&listener.mutex);
}

void bell_arm(struct bell *bell, uint64_t pos)
{
    if (bell_is_foreign(bell))
        return;
    pthread_mutex_lock(&listener.mutex);
    if (!bell->armed || bell->pos != pos) {
        event_clear(bell->fd);
        bell->pos = pos;
        bell->armed = true;
        /* Where the listener listens for others of this file, it hears of what is appended from
         * now on: it has announced itself, and looks at all of them when the wake word moves. */
        if (bell->tower->look != listener.look)
            listener_kick();
        else if (follow_has_news(bell->pool, pos))
            bell_ring_locked(bell);
    }
    pthread_mutex_unlock(&listener.mutex);
}

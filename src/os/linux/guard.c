#include "os/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_RANGES  4096
#define GUARD_BEFORES 8
#define GUARD_MARK    0x506c736d /* no errno */

/* A slot is in use while start is not 0. start is written last and cleared first, so that the
 * handler, which takes no lock, never meets a half-made slot. Nor does anybody else take one: a
 * child forked amid guard_add() would find it locked for ever. It may find a slot claimed for
 * ever, which is one of many. */
struct guard_range {
    atomic_bool claimed;
    _Atomic(uintptr_t) start;
    size_t len;
    atomic_bool *hit;
};

static struct guard_range guard_ranges[GUARD_RANGES];
static size_t guard_page_size;

/* Handlers that stood where ours was put; more than one if it was put there again, before others
 * that had come meanwhile. An entry does not change any more once guard_newest is its number. */
static struct guard_before {
    struct sigaction action;
    atomic_bool spent; /* it was to be called once, and was */
} guard_befores[GUARD_BEFORES];
static atomic_uint guard_claimed;
static atomic_uint guard_newest;

/* Puts a page of zeros where the file has none any more. mmap is a bare system call here, so it
 * may be called from a handler. False: the address is nobody's. */
static bool guard_replace(uintptr_t address)
{
    for (size_t i = 0; i < GUARD_RANGES; i++) {
        /* acquire: len and hit behind start; pairs with the release in guard_add() */
        const uintptr_t start = atomic_load_explicit(&guard_ranges[i].start, memory_order_acquire);
        if (start == 0 || address < start || address - start >= guard_ranges[i].len)
            continue;
        /* before there are zeros for another thread to read; see frame_still_valid() */
        atomic_store_explicit(guard_ranges[i].hit, true, memory_order_seq_cst);
        void *page = (void *)(address & ~(guard_page_size - 1)); /* NOLINT: an address is needed */
        return mmap(page, guard_page_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
    }
    return false;
}

/* Does what would have been done without a guard. The kernel takes no notice of SIG_IGN where an
 * instruction cannot go on. */
static void guard_do(
    struct guard_before *before, int signal, siginfo_t *info, void *context, bool is_fault)
{
    const struct sigaction *action = &before->action;
    const bool has_info = (action->sa_flags & SA_SIGINFO) != 0;
    const bool is_handler =
        has_info || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);

    if (is_handler && ((action->sa_flags & (int)SA_RESETHAND) == 0 ||
                          !atomic_exchange_explicit(&before->spent, true, memory_order_relaxed))) {
        if (has_info)
            action->sa_sigaction(signal, info, context);
        else
            action->sa_handler(signal);
        return;
    }
    if (!is_handler && action->sa_handler == SIG_IGN && !is_fault)
        return;
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(signal, &by_default, NULL); /* the access is repeated and ends the process */
    if (!is_fault)
        raise(signal); /* nothing is repeated: this one comes when we have returned */
}

/* One that came after us may hand on to us, and now we hand on to it: what comes back from it is
 * marked, in a field that Linux does not use, and goes to the one who was there first. */
static void guard_forward(int signal, siginfo_t *info, void *context, bool is_fault)
{
    /* acquire: the entry; pairs with the release in guard_install() */
    unsigned i = atomic_load_explicit(&guard_newest, memory_order_acquire);

    if (info->si_errno == GUARD_MARK) {
        info->si_errno = 0;
        i = 0;
    } else if (i > 0) {
        info->si_errno = GUARD_MARK;
    }
    guard_do(&guard_befores[i], signal, info, context, is_fault);
}

/* After a page was put there, the access is repeated by returning. */
static void guard_handle(int signal, siginfo_t *info, void *context)
{
    /* not from kill() and the like, nor news of broken memory that nobody has touched */
    const bool is_fault = info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
    const int errnum = errno;
    const bool replaced = is_fault && guard_replace((uintptr_t)info->si_addr);

    errno = errnum;
    if (!replaced)
        guard_forward(signal, info, context, is_fault);
}

/* The number of an entry for this one; -1: there is no room for another. Takes no lock, for the
 * sake of children forked meanwhile. */
static int guard_before(const struct sigaction *action)
{
    const unsigned n_claimed = atomic_load(&guard_claimed);

    for (unsigned i = 0; i < n_claimed && i < GUARD_BEFORES; i++) {
        const struct sigaction *known = &guard_befores[i].action;
        if (known->sa_sigaction == action->sa_sigaction && known->sa_flags == action->sa_flags &&
            !atomic_load_explicit(&guard_befores[i].spent, memory_order_relaxed))
            return (int)i;
    }
    const unsigned i = atomic_fetch_add(&guard_claimed, 1);
    if (i >= GUARD_BEFORES)
        return -1;
    guard_befores[i].action = *action;
    return (int)i;
}

int guard_install(void)
{
    struct sigaction current;

    if (sigaction(SIGBUS, NULL, &current) < 0)
        return -1;
    if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == guard_handle)
        return 0;
    const int i = guard_before(&current); /* it may be called as soon as ours stands */
    if (i < 0) {
        errno = ENOSPC;
        return -1;
    }
    guard_page_size = (size_t)sysconf(_SC_PAGESIZE);
    atomic_store_explicit(&guard_newest, (unsigned)i, memory_order_release);
    /* with the signals blocked that the one before wants so; on the thread's stack for signals,
     * where it has one: runtimes with small stacks of their own (Go) ask that of every handler */
    struct sigaction action = {
        .sa_sigaction = guard_handle,
        .sa_mask = current.sa_mask,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | (current.sa_flags & (int)(SA_NODEFER | SA_RESTART)),
    };
    if (current.sa_handler == SIG_IGN)
        action.sa_flags |= SA_RESTART; /* as if nothing had come */
    return sigaction(SIGBUS, &action, NULL);
}

void guard_add(void *start, size_t len, atomic_bool *hit)
{
    for (size_t i = 0; i < GUARD_RANGES; i++) {
        struct guard_range *range = &guard_ranges[i];
        if (atomic_load_explicit(&range->claimed, memory_order_relaxed) ||
            /* acquire: the slot's last user is done; pairs with the release in guard_remove() */
            atomic_exchange_explicit(&range->claimed, true, memory_order_acquire))
            continue;
        range->len = len;
        range->hit = hit;
        /* release: the slot is complete; pairs with the acquire in guard_handle() */
        atomic_store_explicit(&range->start, (uintptr_t)start, memory_order_release);
        return;
    }
}

void guard_remove(void *start)
{
    for (size_t i = 0; i < GUARD_RANGES; i++) {
        struct guard_range *range = &guard_ranges[i];
        if (atomic_load_explicit(&range->start, memory_order_relaxed) != (uintptr_t)start)
            continue;
        atomic_store_explicit(&range->start, 0, memory_order_release);
        atomic_store_explicit(&range->claimed, false, memory_order_release);
        return;
    }
}

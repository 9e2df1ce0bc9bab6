#include "os/guard.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_RANGES 256

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

/* Puts a page of zeros where the file has none any more. mmap is a bare system call here, so it
 * may be called from a handler; the access is then repeated by returning. */
static void guard_handle(int signal, siginfo_t *info, void *context)
{
    (void)context;
    const uintptr_t address = (uintptr_t)info->si_addr;

    for (size_t i = 0; i < GUARD_RANGES; i++) {
        /* acquire: len and hit behind start; pairs with the release in guard_add() */
        const uintptr_t start = atomic_load_explicit(&guard_ranges[i].start, memory_order_acquire);
        if (start == 0 || address < start || address - start >= guard_ranges[i].len)
            continue;
        void *page = (void *)(address & ~(guard_page_size - 1)); /* NOLINT: an address is needed */
        if (mmap(page, guard_page_size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            break;
        atomic_store_explicit(guard_ranges[i].hit, true, memory_order_relaxed);
        return;
    }

    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL); /* not ours: the access is repeated and ends the process */
}

int guard_install(void)
{
    struct sigaction action = {.sa_sigaction = guard_handle, .sa_flags = SA_SIGINFO};
    guard_page_size = (size_t)sysconf(_SC_PAGESIZE);
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

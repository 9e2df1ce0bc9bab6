/* The full barrier after a sequentially consistent read-modify-write.
 *
 * x86 needs nothing more: its locked instructions order everything. Elsewhere a load behind the
 * operation may still pass it, and a fence is needed. */
#ifndef OS_BARRIER_H
#define OS_BARRIER_H

#include <stdatomic.h>

static inline void barrier_after_rmw(void)
{
#if defined(__x86_64__) || defined(__SANITIZE_THREAD__)
    atomic_signal_fence(memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif

/* Who runs: the boot, this process, and whether a process that said so still lives. A port
 * supplies these functions. */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* 16 bytes that change with every start of the machine; zeros if the system does not tell. -1 with
 * errno: it does, but could not be asked now. */
int process_boot_id(uint8_t out_id[static 16]);

/* What a process leaves behind so that others can ask later whether it lives. */
struct process_witness {
    uint32_t pid;       /* 0: nobody */
    uint32_t namespace; /* in which pid is meant */
    uint64_t since_ns;  /* a moment of its life, on the clock that starts with the boot */
};

void process_witness(struct process_witness *out_witness);

/* True only if it is certain that the process has ended: its number is free, or belongs to a
 * process that began later. Unknown (another namespace, no /proc) is false. */
bool process_is_gone(const struct process_witness *witness);

/* Processors this process may run on, at least 1; read once. */
unsigned process_cpus(void);

/* Tells the processor that this is a loop that waits. */
static inline void process_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

#endif

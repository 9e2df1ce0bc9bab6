/* The parts of the proof that disks which fail or are full do no harm. Each prints its cases from
 * *number on as TAP, and says whether all of them held. */
#ifndef PROOF_DISK_H
#define PROOF_DISK_H

#include <stdbool.h>
#include <stdint.h>

/* How a case ends. reason: why it could not be tried; NULL: it was. */
bool disk_case(unsigned *number, const char *name, bool held, const char *reason);

/* Syncs that fail once, while threads and processes flush. */
bool disk_sync_errors(unsigned *number, uint64_t n_runs, uint64_t seed);

#define DISK_NEEDS_ROOT "mounting needs root"

/* From here on nobody else sees what we mount. false: we may not. */
bool disk_enter_namespace(void);

/* Runs a shell command, unheard; whether it succeeded. */
bool disk_command(const char *command);

/* Full disks, limits, and disks that cannot be written to. plasmite: path of the program. */
bool disk_space(unsigned *number, const char *plasmite, bool can_mount);

/* A real block device, whose content is looked at while a pool on it is written. */
bool disk_block(unsigned *number, uint64_t n_losses, uint64_t seed, bool can_mount);

#endif

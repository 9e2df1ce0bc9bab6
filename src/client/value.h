/* The value grammars of options: sizes, durations, moments.
 *
 *     size        64K, 8M, 1G, 4096       1024-based, any case
 *     duration    250ms, 5s, 10m, 2h      the unit is required
 *     since       30s, 10m, 2h, 7d        before now; or RFC 3339 with an offset */
#ifndef CLIENT_VALUE_H
#define CLIENT_VALUE_H

#include "base/error.h"

#include <stdint.h>

/* All return 0, or -1: Usage. */
int value_size(const char *text, uint64_t *out_bytes, plsm_error_t **err);
int value_duration(const char *text, uint64_t *out_ms, plsm_error_t **err);
int value_since(const char *text, uint64_t now_ns, uint64_t *out_time_ns, plsm_error_t **err);

#endif

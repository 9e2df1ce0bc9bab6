/* Time. Wall time is for messages (nanoseconds since 1970, UTC); monotonic time is for
 * deadlines, which no change of the wall clock may touch. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND  UINT64_C(1000000000)
#define NS_PER_MS      UINT64_C(1000000)
#define DEADLINE_NEVER UINT64_MAX

/* Length of the longest text clock_format() writes, without a NUL. */
#define CLOCK_TEXT_MAX 40

/* Wall time; 0 if the clock is set before 1970. About 25 ns. */
uint64_t clock_wall_ns(void);

uint64_t clock_monotonic_ns(void);

/* The monotonic moment timeout_ms from now; UINT64_MAX stands for "never" and stays it. */
uint64_t clock_deadline_ns(uint64_t timeout_ms);

/* Writes time_ns as RFC 3339 in UTC, "2026-01-02T03:04:05.6Z": up to nine digits of fraction,
 * trailing zeros removed. No NUL. Returns the length, at most CLOCK_TEXT_MAX. Needs no locale
 * and no time zone data; the date of the last call's day is kept per thread, so that printing
 * many messages costs only the digits. */
size_t clock_format(uint64_t time_ns, char out[static CLOCK_TEXT_MAX]);

/* Parses RFC 3339 with offset and optional fraction. Times before 1970 become 0; those beyond
 * what 64 bits of nanoseconds can say (the year 2554), UINT64_MAX. Returns false if the text is
 * not RFC 3339. */
bool clock_parse(const char *text, size_t len, uint64_t *out_time_ns);

#endif

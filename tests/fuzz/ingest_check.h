/* What must hold of every stream of bytes that becomes records. */
#ifndef FUZZ_INGEST_CHECK_H
#define FUZZ_INGEST_CHECK_H

#include "base/view.h"

#include <stdint.h>

/* However the stream is cut into reads, the same records come out, good and bad, and the good ones
 * are compact JSON: in one go, byte by byte (a long stream: in pieces, and byte by byte where a first
 * record would reach the limit), and in pieces of random sizes. Aborts where it does not.
 *
 * options chooses the mode (low three bits), skip (bit 3) and how large random pieces are (bits 4
 * to 7); seed chooses these. */
void ingest_check(struct view stream, uint8_t options, uint64_t seed);

/* A seed that is another one for every input. */
uint64_t ingest_seed(const uint8_t *data, size_t size);

#endif

#include "bench/ring.h"

#include "base/crc32c.h"
#include "bench/bench.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define RECORD_BYTES  288u
#define PAYLOAD_BYTES 256u
#define N_RECORDS     ((UINT64_C(64) << 20) / RECORD_BYTES)

struct record {
    uint32_t length;
    uint32_t crc;
    uint64_t number;
    uint64_t padding[2];
    uint8_t payload[PAYLOAD_BYTES];
};
static_assert(sizeof(struct record) == RECORD_BYTES, "as large as a frame of the pool");

struct ring {
    _Alignas(64) _Atomic uint32_t lock;
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) uint64_t index[N_RECORDS];
    struct record records[N_RECORDS];
};

struct ring *ring_new(void)
{
    return map_shared(sizeof(struct ring));
}

/* What the checksum covers: everything behind itself. */
static uint32_t record_crc(const struct record *record)
{
    return crc32c(1, &record->number, sizeof(*record) - offsetof(struct record, number));
}

static void ring_lock(struct ring *ring)
{
    for (uint32_t tries = 0;; tries++) {
        uint32_t free_value = 0;
        if (atomic_compare_exchange_weak_explicit(
                &ring->lock, &free_value, 1, memory_order_acquire, memory_order_relaxed))
            return;
        if (tries % 64 == 63)
            sched_yield();
    }
}

void ring_append(struct ring *ring, const struct view *payloads, uint32_t n_payloads)
{
    ring_lock(ring);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t slot = tail % N_RECORDS;
    for (uint32_t i = 0; i < n_payloads; i++) {
        struct record *record = &ring->records[slot];
        record->length = RECORD_BYTES;
        record->number = tail++;
        memcpy(record->payload, payloads[i].data, PAYLOAD_BYTES);
        record->crc = record_crc(record);
        slot = slot + 1 < N_RECORDS ? slot + 1 : 0;
    }
    /* release: the records before the tail that covers them. */
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    atomic_store_explicit(&ring->lock, 0, memory_order_release);
}

uint64_t ring_fill(struct ring *ring)
{
    const struct payloads *payloads = payloads_new(PAYLOAD_BYTES, 0);

    for (uint64_t i = 0; i < N_RECORDS; i++) {
        const struct view payload = payload_at(payloads, i);
        ring_append(ring, &payload, 1);
        ring->index[i] = i;
    }
    return N_RECORDS;
}

void ring_read(const struct ring *ring, uint64_t i, uint8_t *out)
{
    const struct record *record = &ring->records[i];

    bench_check(record->crc == record_crc(record), "record %llu is damaged", (unsigned long long)i);
    if (out)
        memcpy(out, record->payload, PAYLOAD_BYTES);
}

void ring_fetch(const struct ring *ring, uint64_t i, uint8_t *out)
{
    ring_read(ring, ring->index[i], out);
}

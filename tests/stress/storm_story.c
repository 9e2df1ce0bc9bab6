/* Records from the workers to the judge, through memory that outlives them both. */
#include "tests/stress/storm.h"

/* Whoever tells of a slot: its worker or, between two lives, the supervisor. */
void story_tell(unsigned slot, const struct record *record)
{
    struct story *story = &shared->stories[slot];
    const uint64_t head = atomic_load_explicit(&story->head, memory_order_relaxed);
    /* acquire: the judge has read what was there; pairs with the release in judge_listen() */
    while (head - atomic_load_explicit(&story->tail, memory_order_acquire) == RING_RECORDS)
        usleep(100);
    story->records[head % RING_RECORDS] = *record;
    /* release: the record before the head that covers it */
    atomic_store_explicit(&story->head, head + 1, memory_order_release);
}

/* The seq at which the successor of a reader goes on. */
uint64_t story_reached(unsigned slot)
{
    const struct story *story = &shared->stories[slot];
    const uint64_t head = atomic_load(&story->head);
    for (uint64_t i = head; i > 0 && head - i < RING_RECORDS; i--) {
        const struct record *record = &story->records[(i - 1) % RING_RECORDS];
        switch ((enum record_kind)record->kind) {
        case RECORD_SEEN:
        case RECORD_TORN: return record->seq + 1;
        case RECORD_GAP: return record->count;
        case RECORD_EMPTY:
        case RECORD_START: return record->seq;
        case RECORD_END:
        case RECORD_CALL:
        case RECORD_DONE:
        case RECORD_FLUSHED: break;
        }
    }
    return 1;
}

static void judge_tell(enum fault fault, const char *text)
{
    static int n_told;
    if (++n_told <= 20)
        fprintf(stderr, "storm: %s: %s\n", fault_name(fault), text);
}

static uint64_t judge_listen(struct history *history, unsigned slot)
{
    struct story *story = &shared->stories[slot];
    const uint64_t tail = atomic_load_explicit(&story->tail, memory_order_relaxed);
    /* acquire: pairs with the release in story_tell() */
    const uint64_t head = atomic_load_explicit(&story->head, memory_order_acquire);
    for (uint64_t i = tail; i < head; i++)
        history_take(history, slot, &story->records[i % RING_RECORDS]);
    atomic_store_explicit(&story->tail, head, memory_order_release);
    return head - tail;
}

/* A process of its own, which nobody kills. */
void judge_run(void)
{
    struct history *history = history_new(judge_tell);
    for (;;) {
        const bool told = atomic_load(&shared->told);
        uint64_t n_taken = 0;
        for (unsigned slot = 0; slot < HISTORY_SLOTS; slot++)
            n_taken += judge_listen(history, slot);
        if (n_taken == 0 && told)
            break;
        if (n_taken < RING_RECORDS / 4)
            usleep(200);
    }
    history_end(history, atomic_load(&shared->final_seq));
    shared->counts = *history_counts(history);
    history_free(history);
}

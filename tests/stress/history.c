/* The judge: see history.h. What it knows of each of the last seqs (who wrote it, as told by the
 * writer or by the first reader) lies in a ring, as does what it knows of the last lives. */
#include "tests/stress/history.h"

#include "tests/proof/proof.h"

#include <stdarg.h>

struct place {
    uint64_t seq; /* 0: none yet */
    uint64_t time_ns;
    uint32_t life;
    uint32_t count;
    bool acked;
    bool seen;
};

struct life {
    uint32_t number; /* 0: none yet */
    bool started;
    bool ended;
    uint64_t n_called; /* messages it tried to append */
    uint64_t n_acked;
    uint64_t n_seen; /* the highest count that anybody saw */
    uint64_t call_seq;
    uint64_t durable;
};

/* What one reader saw of one writer. */
struct trace {
    uint32_t life;
    uint32_t era;
    uint32_t count;
    uint32_t gaps; /* of the reader, at that time */
};

struct slot {
    bool reads; /* one of its lives reads */
    uint64_t expected;
    uint64_t time_ns;
    uint32_t era;  /* grows where a reader begins anew */
    uint32_t gaps; /* since then */
    bool fresh;    /* nothing read since the start, or since a gap */
    struct record last;
    struct trace traces[HISTORY_LIVES];
};

struct history {
    struct history_counts counts;
    void (*tell)(enum fault fault, const char *text);
    uint64_t acked_seq; /* the highest */
    uint64_t n_places;  /* seqs that somebody told of */
    uint64_t n_allowed; /* messages of the dead of which nobody needs to have heard */
    struct slot slots[HISTORY_SLOTS];
    struct life lives[HISTORY_LIVES];
    struct place places[HISTORY_SEQS];
};

typedef unsigned long long ull;

const char *fault_name(enum fault fault)
{
    static const char *const names[N_FAULTS] = {
        [FAULT_LOST] = "lost",
        [FAULT_DUPLICATE] = "duplicate",
        [FAULT_HOLE] = "hole",
        [FAULT_TORN] = "torn",
        [FAULT_REORDERED] = "reordered",
        [FAULT_TIME] = "time goes backwards",
        [FAULT_MISSING] = "acknowledged but missing",
        [FAULT_OTHER] = "another message",
        [FAULT_PHANTOM] = "nobody's message",
        [FAULT_UNDURABLE] = "not durable",
        [FAULT_GAP] = "wrong gap",
        [FAULT_HISTORY] = "impossible history",
    };
    return names[fault];
}

__attribute__((cold, format(printf, 3, 4))) static void blame(
    struct history *history, enum fault fault, const char *format, ...)
{
    char text[200];
    va_list args;
    history->counts.n_faults[fault]++;
    history->counts.n_all_faults++;
    if (history->tell == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    history->tell(fault, text);
}

struct history *history_new(void (*tell)(enum fault fault, const char *text))
{
    struct history *history = calloc(1, sizeof(*history));
    must(history != NULL);
    history->tell = tell;
    return history;
}

void history_free(struct history *history)
{
    free(history);
}

const struct history_counts *history_counts(const struct history *history)
{
    return &history->counts;
}

/* Where a seq is remembered; NULL: it is too long ago. A new one has life 0. */
static struct place *place_of(struct history *history, uint64_t seq)
{
    struct place *place = &history->places[seq % HISTORY_SEQS];
    if (place->seq == seq)
        return place;
    if (place->seq > seq) {
        blame(history, FAULT_HISTORY, "seq %llu is too long ago", (ull)seq);
        return NULL;
    }
    *place = (struct place){.seq = seq};
    history->n_places++;
    return place;
}

/* Nothing more will come of this life, nor be seen of it. */
static void life_finish(struct history *history, const struct life *life)
{
    if (life->number == 0)
        return;
    if (life->n_seen > life->n_called)
        blame(history, FAULT_PHANTOM, "message %llu of life %u, which tried %llu",
            (ull)life->n_seen, life->number, (ull)life->n_called);
    if (!life->started || !life->ended)
        blame(history, FAULT_HISTORY, "life %u has no %s", life->number,
            life->started ? "end" : "start");
    if (life->n_called > life->n_acked && life->n_seen <= life->n_acked)
        history->n_allowed += life->n_called - life->n_acked;
    else if (life->n_seen > life->n_acked)
        history->counts.n_orphans += life->n_called - life->n_acked;
}

static struct life *life_of(struct history *history, uint32_t number)
{
    struct life *life = &history->lives[number % HISTORY_LIVES];
    if (life->number == number)
        return life;
    if (life->number > number || number == 0) {
        blame(history, FAULT_HISTORY, "life %u is too long ago", number);
        return NULL;
    }
    life_finish(history, life);
    *life = (struct life){.number = number};
    return life;
}

/* Somebody says what the message with this seq is. */
static void place_claim(
    struct history *history, struct place *place, uint32_t life, uint64_t count, uint64_t time_ns)
{
    if (place->life == 0) {
        place->life = life;
        place->count = (uint32_t)count;
        place->time_ns = time_ns;
    } else if (place->life != life || place->count != (uint32_t)count ||
               place->time_ns != time_ns) {
        blame(history, FAULT_OTHER, "seq %llu is message %llu of life %u, or message %u of life %u",
            (ull)place->seq, (ull)count, life, place->count, place->life);
    }
}

static void take_start(struct history *history, struct slot *slot, const struct record *record)
{
    struct life *life = life_of(history, record->life);
    if (life == NULL)
        return;
    if (life->started)
        blame(history, FAULT_HISTORY, "life %u starts twice", record->life);
    life->started = true;
    if (record->writer)
        return;
    if (record->seq == HISTORY_ANY || !slot->reads) {
        slot->expected = record->seq;
        slot->era++;
        slot->gaps = record->seq != 1;
        slot->time_ns = 0;
        slot->fresh = true;
    } else if (record->seq != slot->expected) {
        blame(history, FAULT_HISTORY, "a reader goes on at %llu instead of %llu", (ull)record->seq,
            (ull)slot->expected);
    }
    slot->reads = true;
}

static void take_call(struct history *history, const struct record *record)
{
    struct life *life = life_of(history, record->life);
    if (life == NULL)
        return;
    if (life->ended || life->n_called != life->n_acked || record->count != life->n_acked + 1 ||
        record->n == 0)
        blame(history, FAULT_HISTORY, "life %u calls with message %llu after %llu", record->life,
            (ull)record->count, (ull)life->n_called);
    life->n_called = record->count + record->n - 1;
    life->call_seq = record->seq;
}

static void take_done(struct history *history, const struct record *record)
{
    struct life *life = life_of(history, record->life);
    if (life == NULL)
        return;
    if (record->count != life->n_acked + 1 || record->count + record->n - 1 != life->n_called)
        blame(history, FAULT_HISTORY, "life %u is told of message %llu", record->life,
            (ull)record->count);
    if (record->seq <= life->call_seq)
        blame(history, FAULT_REORDERED,
            "seq %llu for an append that began after %llu was acknowledged", (ull)record->seq,
            (ull)life->call_seq);
    life->n_acked = record->count + record->n - 1;
    for (unsigned i = 0; i < record->n; i++) {
        struct place *place = place_of(history, record->seq + i);
        if (place == NULL)
            continue;
        if (place->acked)
            blame(history, FAULT_DUPLICATE, "seq %llu was given twice", (ull)place->seq);
        place_claim(history, place, record->life, record->count + i, record->time_ns);
        place->acked = true;
    }
    if (record->seq + record->n - 1 > history->acked_seq)
        history->acked_seq = record->seq + record->n - 1;
    history->counts.n_acked += record->n;
    history->counts.n_appends++;
}

static void take_flushed(struct history *history, const struct record *record)
{
    struct life *life = life_of(history, record->life);
    if (life == NULL)
        return;
    if (record->count < record->seq || record->count < life->durable)
        blame(history, FAULT_UNDURABLE, "life %u: durable up to %llu, not %llu", record->life,
            (ull)record->count, (ull)(record->seq > life->durable ? record->seq : life->durable));
    life->durable = record->count;
    history->counts.n_flushes++;
}

/* The message against the one before it that this reader saw. */
static void check_neighbour(
    struct history *history, const struct slot *slot, const struct record *record)
{
    const struct record *last = &slot->last;
    if (record->time_ns < slot->time_ns)
        blame(history, FAULT_TIME, "seq %llu is older than the one before", (ull)record->seq);
    if (record->left >= record->n)
        blame(history, FAULT_TORN, "seq %llu: %u left of %u", (ull)record->seq, record->left,
            record->n);
    if (slot->fresh)
        return;
    const bool goes_on = last->life == record->life && record->left + 1 == last->left &&
                         record->n == last->n && record->count == last->count + 1;
    if (last->left > 0 ? !goes_on : record->left + 1 != record->n)
        blame(history, FAULT_TORN, "seq %llu: a batch of %u by half", (ull)record->seq,
            last->left > 0 ? last->n : record->n);
}

/* The message against the one of the same writer that this reader saw before. */
static void check_writer(struct history *history, struct slot *slot, const struct record *record)
{
    struct trace *trace = &slot->traces[record->life % HISTORY_LIVES];
    if (trace->life != record->life || trace->era != slot->era)
        *trace = (struct trace){.life = record->life, .era = slot->era};
    if (record->count == trace->count && trace->count != 0)
        blame(history, FAULT_DUPLICATE, "seq %llu: message %llu of life %u again", (ull)record->seq,
            (ull)record->count, record->life);
    else if (record->count <= trace->count)
        blame(history, FAULT_REORDERED, "seq %llu: message %llu of life %u after its %u",
            (ull)record->seq, (ull)record->count, record->life, trace->count);
    else if (record->count != trace->count + 1 && trace->gaps == slot->gaps)
        blame(history, FAULT_LOST, "seq %llu: message %llu of life %u after its %u",
            (ull)record->seq, (ull)record->count, record->life, trace->count);
    trace->count = (uint32_t)record->count;
    trace->gaps = slot->gaps;
}

/* Whether the reader may be told of this seq now. */
static void check_step(struct history *history, struct slot *slot, uint64_t seq)
{
    if (slot->expected == HISTORY_ANY)
        return;
    if (seq > slot->expected)
        blame(history, FAULT_HOLE, "seq %llu after %llu", (ull)seq, (ull)slot->expected - 1);
    if (seq < slot->expected)
        blame(history, FAULT_DUPLICATE, "seq %llu after %llu", (ull)seq, (ull)slot->expected - 1);
}

static void take_seen(struct history *history, struct slot *slot, const struct record *record)
{
    check_step(history, slot, record->seq);
    check_neighbour(history, slot, record);
    check_writer(history, slot, record);
    struct place *place = place_of(history, record->seq);
    if (place != NULL) {
        place_claim(history, place, record->life, record->count, record->time_ns);
        place->seen = true;
    }
    struct life *life = life_of(history, record->life);
    if (life != NULL && record->count > life->n_seen)
        life->n_seen = record->count;
    slot->expected = record->seq + 1;
    slot->time_ns = record->time_ns;
    slot->fresh = false;
    slot->last = *record;
    history->counts.n_seen++;
}

static void take_gap(struct history *history, struct slot *slot, const struct record *record)
{
    if ((slot->expected != HISTORY_ANY && record->seq != slot->expected) ||
        record->count <= record->seq)
        blame(history, FAULT_GAP, "%llu to %llu lost after %llu", (ull)record->seq,
            (ull)record->count - 1, (ull)slot->expected - 1);
    slot->expected = record->count;
    slot->gaps++;
    slot->fresh = true;
    history->counts.n_gaps++;
    history->counts.n_lost += record->count - record->seq;
}

static void take_empty(struct history *history, struct slot *slot, const struct record *record)
{
    history->counts.n_empty++;
    if (record->count >= record->seq)
        blame(history, FAULT_MISSING, "a reader found nothing at %llu after %llu was acknowledged",
            (ull)record->seq, (ull)record->count);
    if (!slot->fresh && slot->last.left > 0)
        blame(history, FAULT_TORN, "nothing at %llu, amid a batch", (ull)record->seq);
    if (slot->expected != HISTORY_ANY && record->seq != slot->expected)
        blame(history, FAULT_HISTORY, "a reader waits for %llu instead of %llu", (ull)record->seq,
            (ull)slot->expected);
}

static void take_end(struct history *history, const struct record *record)
{
    struct life *life = life_of(history, record->life);
    if (life == NULL)
        return;
    if (!life->started || life->ended)
        blame(history, FAULT_HISTORY, "life %u ends, but did not live", record->life);
    life->ended = true;
}

void history_take(struct history *history, unsigned slot_number, const struct record *record)
{
    struct slot *slot = &history->slots[slot_number];
    switch ((enum record_kind)record->kind) {
    case RECORD_START: take_start(history, slot, record); break;
    case RECORD_END: take_end(history, record); break;
    case RECORD_CALL: take_call(history, record); break;
    case RECORD_DONE: take_done(history, record); break;
    case RECORD_FLUSHED: take_flushed(history, record); break;
    case RECORD_SEEN: take_seen(history, slot, record); break;
    case RECORD_GAP: take_gap(history, slot, record); break;
    case RECORD_EMPTY: take_empty(history, slot, record); break;
    case RECORD_TORN:
        blame(history, FAULT_TORN, "seq %llu has bytes nobody wrote", (ull)record->seq);
        check_step(history, slot, record->seq);
        slot->expected = record->seq + 1;
        slot->gaps++;
        slot->fresh = true;
        break;
    default: blame(history, FAULT_HISTORY, "a record of kind %u", record->kind);
    }
}

void history_end(struct history *history, uint64_t next_seq)
{
    if (history->acked_seq >= next_seq)
        blame(history, FAULT_MISSING, "seq %llu was acknowledged, the last one is %llu",
            (ull)history->acked_seq, (ull)next_seq - 1);
    for (unsigned i = 0; i < HISTORY_SLOTS; i++) {
        const struct slot *slot = &history->slots[i];
        if (!slot->reads)
            continue;
        if (slot->expected != next_seq)
            blame(history, FAULT_MISSING, "reader %u ends at %llu of %llu", i, (ull)slot->expected,
                (ull)next_seq);
        if (!slot->fresh && slot->last.left > 0)
            blame(history, FAULT_TORN, "half a batch at the end");
    }
    for (unsigned i = 0; i < HISTORY_LIVES; i++)
        life_finish(history, &history->lives[i]);
    /* more places than seqs: told as missing, above */
    if (next_seq - 1 > history->n_places)
        history->counts.n_unseen = next_seq - 1 - history->n_places;
    if (history->counts.n_unseen > history->n_allowed)
        blame(history, FAULT_HOLE, "%llu seqs of which nobody knows, the dead tried %llu",
            (ull)history->counts.n_unseen, (ull)history->n_allowed);
}

/* Workers: writers append messages that tell who wrote them, readers read them all, and each tells
 * its story on the way. They may be killed or stopped at any instruction. */
#include "tests/stress/storm.h"

#include "base/crc32c.h"

struct text {
    uint32_t life;
    uint32_t count;
    uint32_t n;
    uint32_t left;
};

/* {"w":"LIFE","n":"COUNT","b":"N LEFT","h":"HASH","p":"..."}: all numbers have eight hexadecimal
 * digits; the hash is of them and of the rest. */
#define TEXT_START                                                                                 \
    "{\"w\":\"00000000\",\"n\":\"00000000\",\"b\":\"00000000\",\"h\":\"00000000\",\"p\":\""
#define TEXT_LIFE   6u
#define TEXT_COUNT  21u
#define TEXT_BATCH  36u
#define TEXT_HASH   51u
#define TEXT_REST   (sizeof(TEXT_START) - 1)
#define TEXT_DIGITS 8u

static void put_hex(char *text, uint32_t value)
{
    for (unsigned i = 0; i < TEXT_DIGITS; i++)
        text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
}

static uint32_t get_hex(const uint8_t *text)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < TEXT_DIGITS; i++)
        value = value << 4 | (uint32_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    return value;
}

static uint32_t text_hash(const void *text, size_t len)
{
    const uint8_t *bytes = text;
    return crc32c(crc32c(7, bytes, TEXT_HASH), bytes + TEXT_REST, len - TEXT_REST);
}

static size_t text_make(char *text, const struct text *says, uint64_t random)
{
    const uint64_t most = shared->options.text * (random % 16 == 0 ? 9 : 1);
    const size_t rest = most == 0 ? 0 : random / 16 % most;
    const size_t len = TEXT_REST + rest + 2;
    memcpy(text, TEXT_START, TEXT_REST);
    put_hex(text + TEXT_LIFE, says->life);
    put_hex(text + TEXT_COUNT, says->count);
    put_hex(text + TEXT_BATCH, says->n << 16 | says->left);
    memset(text + TEXT_REST, 'a' + (int)(says->count % 26), rest);
    memcpy(text + TEXT_REST + rest, "\"}", 2);
    put_hex(text + TEXT_HASH, text_hash(text, len));
    return len;
}

static bool text_read(const uint8_t *text, size_t len, struct text *says)
{
    if (len < TEXT_REST + 2 || text_hash(text, len) != get_hex(text + TEXT_HASH))
        return false;
    const uint32_t batch = get_hex(text + TEXT_BATCH);
    *says = (struct text){
        get_hex(text + TEXT_LIFE), get_hex(text + TEXT_COUNT), batch >> 16, batch & 0xffff};
    return true;
}

_Noreturn void die(const char *what, const plsm_error_t *err)
{
    fprintf(stderr, "storm: %s: %s\n", what, err != NULL ? err->message : strerror(errno));
    _exit(2);
}

static struct pool *open_pool(enum pool_mode mode)
{
    plsm_error_t *err = NULL;
    struct pool *pool = NULL;
    if (pool_open(shared->path, mode, NULL, &pool, &err) != POOL_OK)
        die("open", err);
    return pool;
}

/* Somebody has appended: so long did nobody after the kills before. */
static void note_append(uint64_t last_seq)
{
    uint64_t highest = atomic_load_explicit(&shared->acked_seq, memory_order_relaxed);
    while (
        highest < last_seq && !atomic_compare_exchange_weak_explicit(&shared->acked_seq, &highest,
                                  last_seq, memory_order_release, memory_order_relaxed))
        ;
    for (int i = 0; i < N_KILLS; i++) {
        struct takeovers *takeovers = &shared->takeovers[i];
        if (atomic_load_explicit(&takeovers->killed_ns, memory_order_relaxed) == 0)
            continue;
        const uint64_t now_ns = clock_monotonic_ns();
        const uint64_t killed_ns = atomic_exchange(&takeovers->killed_ns, 0);
        if (killed_ns == 0 || now_ns < killed_ns)
            continue;
        const uint64_t ms = (now_ns - killed_ns) / NS_PER_MS;
        atomic_fetch_add(&takeovers->n[ms < BUCKETS ? ms : BUCKETS - 1], 1);
        if (now_ns - killed_ns > atomic_load(&takeovers->max_ns))
            atomic_store(&takeovers->max_ns, now_ns - killed_ns);
    }
}

/* Waits until no reader is too far behind, or the end. */
static void keep_pace(void)
{
    const struct options *options = &shared->options;
    for (unsigned i = 0; i < options->readers; i++) {
        const _Atomic(uint64_t) *position = &shared->positions[reader_slot(i)];
        while (!atomic_load(&shared->stop) &&
               atomic_load(&shared->acked_seq) > atomic_load(position) + options->pace)
            usleep(100);
    }
}

static void flush(struct pool *pool, unsigned slot, uint32_t life, uint64_t end_pos)
{
    plsm_error_t *err = NULL;
    if (pool_flush_to(pool, end_pos, &err) != POOL_OK)
        die("flush", err);
    story_tell(slot, &(struct record){.kind = RECORD_FLUSHED,
                         .life = life,
                         .seq = end_pos,
                         .count = atomic_load(&pool->control->durable)});
}

/* One append of a batch whose first message is count. */
static void append(
    struct pool *pool, unsigned slot, uint32_t life, uint64_t count, uint8_t n, struct rng *rng)
{
    static char texts[BATCH_MAX][TEXT_MAX];
    struct message messages[BATCH_MAX];
    struct appended appended;
    plsm_error_t *err = NULL;

    for (uint32_t i = 0; i < n; i++) {
        const struct text says = {life, (uint32_t)count + i, n, n - 1 - i};
        messages[i] =
            (struct message){.data = view_of(texts[i], text_make(texts[i], &says, rng_next(rng)))};
    }
    /* acquire: what somebody acknowledged is in the pool */
    const uint64_t known = atomic_load_explicit(&shared->acked_seq, memory_order_acquire);
    struct record record = {
        .kind = RECORD_CALL, .n = n, .life = life, .seq = known, .count = count};
    story_tell(slot, &record);
    const int r = pool_append(pool, messages, n, &appended, &err);
    if (r != POOL_OK)
        die(r == POOL_BUSY ? "append: busy" : "append", err);
    note_append(appended.first_seq + n - 1);
    record.kind = RECORD_DONE;
    record.seq = appended.first_seq;
    record.time_ns = appended.time_ns;
    story_tell(slot, &record);
    if (shared->options.flush != 0 && rng_below(rng, shared->options.flush) == 0)
        flush(pool, slot, life, appended.end_pos);
}

void writer_run(unsigned slot, uint32_t life)
{
    struct rng rng = {clock_monotonic_ns() * (life + 1)};
    struct pool *pool = open_pool(POOL_WRITE);
    uint64_t count = 1;

    atomic_store(&shared->leases[slot], atomic_load(&pool->lease));
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        const uint64_t dice = rng_next(&rng);
        const uint8_t n = (uint8_t)(dice % 4 == 0 ? 1 + dice / 4 % shared->options.batch : 1);
        if (shared->options.pace != 0)
            keep_pace();
        append(pool, slot, life, count, n, &rng);
        count += n;
    }
    pool_close(pool);
}

/* Tells of a message, and gives the seq that comes next. */
static uint64_t reader_take(unsigned slot, const struct pool *pool, const struct frame *frame)
{
    static uint8_t copy[TEXT_MAX];
    const size_t len = frame->data.len;
    struct text says;

    if (len <= sizeof(copy))
        memcpy(copy, frame->data.data, len);
    struct record record = {.seq = frame->seq, .time_ns = frame->time_ns};
    if (!frame_still_valid(pool, frame)) { /* overwritten while copied: lost, and known to be */
        record.kind = RECORD_GAP;
        record.count = frame->seq + 1;
    } else if (len > sizeof(copy) || !text_read(copy, len, &says)) {
        record.kind = RECORD_TORN;
    } else {
        record.kind = RECORD_SEEN;
        record.life = says.life;
        record.count = says.count;
        record.n = (uint8_t)says.n;
        record.left = (uint8_t)says.left;
    }
    story_tell(slot, &record);
    return frame->seq + 1;
}

void reader_run(unsigned slot, uint32_t life, uint64_t from_seq)
{
    struct pool *pool = open_pool(life % 4 == 0 ? POOL_WRITE : POOL_READ);
    uint64_t next_seq = from_seq;
    plsm_error_t *err = NULL;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    if (from_seq == HISTORY_ANY)
        cursor_oldest(&cursor, pool);
    else if (cursor_seek_seq(&cursor, pool, from_seq, &err) != 0)
        die("seek", err);
    for (;;) {
        /* acquire: what was acknowledged before the look must be found by it */
        const uint64_t known = atomic_load_explicit(&shared->acked_seq, memory_order_acquire);
        switch (cursor_next(&cursor, &frame, &gap, &err)) {
        case CURSOR_FRAME: next_seq = reader_take(slot, pool, &frame); break;
        case CURSOR_GAP:
            story_tell(slot,
                &(struct record){.kind = RECORD_GAP, .seq = gap.first_seq, .count = gap.next_seq});
            next_seq = gap.next_seq;
            break;
        case CURSOR_EMPTY:
            if (next_seq != HISTORY_ANY)
                story_tell(
                    slot, &(struct record){.kind = RECORD_EMPTY, .seq = next_seq, .count = known});
            if (atomic_load(&shared->final_seq) == next_seq) {
                pool_close(pool);
                return;
            }
            if (follow_wait(&cursor, clock_deadline_ns(100), &err) < 0)
                die("follow", err);
            break;
        default: die("read", err);
        }
        atomic_store_explicit(&shared->positions[slot], next_seq, memory_order_relaxed);
    }
}

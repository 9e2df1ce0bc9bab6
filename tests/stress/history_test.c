/* Small histories, right ones and wrong ones: the judge names what is wrong with each, and nothing
 * else. */
#include "base/test.h"
#include "tests/stress/history.h"

#define WRITER 1 /* lives, each in the slot of its number */
#define OTHER  2
#define READER 3
#define SECOND 4

static struct history *history;

static void take(unsigned slot, struct record record)
{
    history_take(history, slot, &record);
}

static void start(uint32_t life, bool writer, uint64_t seq)
{
    take(life, (struct record){.kind = RECORD_START, .life = life, .writer = writer, .seq = seq});
}

static void end(uint32_t life)
{
    take(life, (struct record){.kind = RECORD_END, .life = life});
}

static void call(uint32_t life, uint64_t count, uint8_t n, uint64_t known)
{
    take(life,
        (struct record){.kind = RECORD_CALL, .life = life, .n = n, .count = count, .seq = known});
}

/* An append at the time of its last seq. */
static void done(uint32_t life, uint64_t count, uint8_t n, uint64_t seq)
{
    take(life, (struct record){.kind = RECORD_DONE,
                   .life = life,
                   .n = n,
                   .count = count,
                   .seq = seq,
                   .time_ns = 1000 + seq});
}

static void append(uint32_t life, uint64_t count, uint64_t seq)
{
    call(life, count, 1, seq - 1);
    done(life, count, 1, seq);
}

static void saw_at(uint32_t reader, uint64_t seq, uint32_t life, uint64_t count, uint64_t time_ns)
{
    take(reader, (struct record){.kind = RECORD_SEEN,
                     .life = life,
                     .n = 1,
                     .seq = seq,
                     .count = count,
                     .time_ns = time_ns});
}

static void saw(uint32_t reader, uint64_t seq, uint32_t life, uint64_t count)
{
    saw_at(reader, seq, life, count, 1000 + seq);
}

static void saw_of_batch(uint64_t seq, uint64_t count, uint8_t n, uint8_t left, uint64_t first)
{
    take(READER, (struct record){.kind = RECORD_SEEN,
                     .life = WRITER,
                     .n = n,
                     .left = left,
                     .seq = seq,
                     .count = count,
                     .time_ns = 1000 + first});
}

static void gap(uint32_t reader, uint64_t first, uint64_t next)
{
    take(reader, (struct record){.kind = RECORD_GAP, .seq = first, .count = next});
}

/* Two writers and a reader, who have not done anything yet. */
static void begin(void)
{
    history = history_new(NULL);
    start(WRITER, true, 0);
    start(OTHER, true, 0);
    start(READER, false, 1);
}

/* Ends the history; only this may have been wrong with it. N_FAULTS: nothing. */
static void expect(enum fault fault, uint64_t next_seq)
{
    for (uint32_t life = WRITER; life <= READER; life++)
        end(life);
    history_end(history, next_seq);
    const struct history_counts *counts = history_counts(history);
    for (int i = 0; i < N_FAULTS; i++) {
        if ((counts->n_faults[i] > 0) != (i == (int)fault))
            fail_msg("%llu times: %s", (unsigned long long)counts->n_faults[i],
                fault_name((enum fault)i));
    }
    history_free(history);
}

static void test_a_sound_history_is_sound(void **state)
{
    (void)state;
    begin();
    call(WRITER, 1, 2, 0);
    saw_of_batch(1, 1, 2, 1, 1); /* readers may tell first */
    done(WRITER, 1, 2, 1);
    saw_of_batch(2, 2, 2, 0, 1);
    append(OTHER, 1, 3);
    gap(READER, 3, 4);
    append(WRITER, 3, 4);
    saw(READER, 4, WRITER, 3);
    start(SECOND, false, HISTORY_ANY);
    saw(SECOND, 3, OTHER, 1);
    saw(SECOND, 4, WRITER, 3);
    end(SECOND);
    call(WRITER, 4, 1, 4); /* it dies in there, and nobody ever hears of it */
    take(READER, (struct record){.kind = RECORD_EMPTY, .seq = 5, .count = 4});
    take(WRITER, (struct record){.kind = RECORD_FLUSHED, .life = WRITER, .seq = 96, .count = 128});
    expect(N_FAULTS, 5);
}

static void test_what_a_dead_writer_appended_may_be_there(void **state)
{
    (void)state;
    begin();
    call(WRITER, 1, 1, 0);
    end(WRITER);
    saw(READER, 1, WRITER, 1);
    start(SECOND + 1, true, 0);
    append(SECOND + 1, 1, 2);
    saw(READER, 2, SECOND + 1, 1);
    end(SECOND + 1);
    end(OTHER);
    end(READER);
    history_end(history, 3);
    assert_int_equal(history_counts(history)->n_all_faults, 0);
    assert_int_equal(history_counts(history)->n_orphans, 1);
    history_free(history);
}

static void test_lost(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    call(WRITER, 2, 1, 1);
    saw(READER, 1, WRITER, 1);
    append(OTHER, 1, 2);
    saw(READER, 2, OTHER, 1);
    done(WRITER, 2, 1, 4);
    append(WRITER, 3, 3);
    saw(READER, 3, WRITER, 3); /* its message 2 is not before it */
    gap(READER, 4, 5);
    expect(FAULT_LOST, 5);
}

static void test_duplicates(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    saw(READER, 1, WRITER, 1);
    saw(READER, 1, WRITER, 1); /* a message twice */
    expect(FAULT_DUPLICATE, 2);

    begin();
    append(WRITER, 1, 1);
    saw(READER, 1, WRITER, 1);
    call(WRITER, 2, 1, 1);
    saw(READER, 2, WRITER, 1); /* a message at two seqs */
    expect(FAULT_DUPLICATE, 3);

    begin();
    call(OTHER, 1, 1, 0);
    append(WRITER, 1, 1);
    done(OTHER, 1, 1, 1); /* a seq twice: then it is another message, too */
    saw(READER, 1, WRITER, 1);
    end(WRITER);
    end(OTHER);
    end(READER);
    history_end(history, 2);
    assert_int_equal(history_counts(history)->n_faults[FAULT_DUPLICATE], 1);
    assert_int_equal(history_counts(history)->n_faults[FAULT_OTHER], 1);
    assert_int_equal(history_counts(history)->n_all_faults, 2);
    history_free(history);
}

static void test_holes(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    append(OTHER, 1, 2);
    append(WRITER, 2, 3);
    saw(READER, 1, WRITER, 1);
    saw(READER, 3, WRITER, 2); /* not a word about 2 */
    expect(FAULT_HOLE, 4);

    begin();
    append(WRITER, 1, 1);
    append(WRITER, 2, 3); /* nobody can have written 2 */
    saw(READER, 1, WRITER, 1);
    gap(READER, 2, 3);
    saw(READER, 3, WRITER, 2);
    expect(FAULT_HOLE, 4);
}

static void test_torn(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    take(READER, (struct record){.kind = RECORD_TORN, .seq = 1});
    expect(FAULT_TORN, 2);

    begin();
    call(WRITER, 1, 2, 0);
    saw_of_batch(1, 1, 2, 1, 1); /* dies: one of two is there */
    expect(FAULT_TORN, 2);

    begin();
    call(WRITER, 1, 2, 0);
    saw_of_batch(1, 1, 2, 1, 1);
    take(READER, (struct record){.kind = RECORD_EMPTY, .seq = 2}); /* the rest comes later */
    saw_of_batch(2, 2, 2, 0, 1);
    done(WRITER, 1, 2, 1);
    expect(FAULT_TORN, 3);

    begin();
    call(WRITER, 1, 2, 0);
    saw_of_batch(1, 1, 2, 1, 1);
    append(OTHER, 1, 2); /* in the midst of a batch */
    saw(READER, 2, OTHER, 1);
    expect(FAULT_TORN, 3);
}

static void test_reordered(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    append(WRITER, 2, 2);
    gap(READER, 1, 2);
    saw(READER, 2, WRITER, 2);
    call(WRITER, 3, 1, 2);
    saw(READER, 3, WRITER, 1);
    end(WRITER);
    end(OTHER);
    end(READER);
    history_end(history, 4);
    assert_int_equal(history_counts(history)->n_faults[FAULT_REORDERED], 1);
    history_free(history);

    begin();
    append(WRITER, 1, 1);
    append(WRITER, 2, 3);
    call(OTHER, 1, 1, 3);
    done(OTHER, 1, 1, 2); /* begun after 3 was acknowledged */
    gap(READER, 1, 4);
    expect(FAULT_REORDERED, 4);
}

static void test_time_goes_backwards(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    saw(READER, 1, WRITER, 1);
    call(WRITER, 2, 1, 1);
    saw_at(READER, 2, WRITER, 2, 999);
    expect(FAULT_TIME, 3);
}

static void test_acknowledged_but_missing(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    saw(READER, 1, WRITER, 1);
    append(WRITER, 2, 2); /* and the pool ends before it */
    expect(FAULT_MISSING, 2);

    begin();
    append(WRITER, 1, 1);
    append(WRITER, 2, 2);
    saw(READER, 1, WRITER, 1);
    expect(FAULT_MISSING, 3); /* the reader never saw 2 */

    begin();
    append(WRITER, 1, 1);
    take(READER, (struct record){.kind = RECORD_EMPTY, .seq = 1, .count = 1});
    saw(READER, 1, WRITER, 1);
    expect(FAULT_MISSING, 2);
}

static void test_two_who_saw_different_messages(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    call(OTHER, 1, 1, 0);
    saw(READER, 1, OTHER, 1);
    expect(FAULT_OTHER, 2);

    begin();
    append(WRITER, 1, 1);
    saw_at(READER, 1, WRITER, 1, 1002); /* another time than its writer was told */
    expect(FAULT_OTHER, 2);
}

static void test_messages_of_nobody(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    saw(READER, 1, WRITER, 1);
    saw(READER, 2, WRITER, 2); /* it never tried */
    expect(FAULT_PHANTOM, 3);
}

static void test_durable_claims(void **state)
{
    (void)state;
    begin();
    take(WRITER, (struct record){.kind = RECORD_FLUSHED, .life = WRITER, .seq = 96, .count = 64});
    expect(FAULT_UNDURABLE, 1);

    begin();
    take(WRITER, (struct record){.kind = RECORD_FLUSHED, .life = WRITER, .seq = 96, .count = 128});
    take(WRITER, (struct record){.kind = RECORD_FLUSHED, .life = WRITER, .seq = 96, .count = 96});
    expect(FAULT_UNDURABLE, 1);
}

static void test_gaps_that_do_not_fit(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    append(WRITER, 2, 2);
    gap(READER, 2, 3);
    expect(FAULT_GAP, 3);

    begin();
    append(WRITER, 1, 1);
    gap(READER, 1, 1);
    saw(READER, 1, WRITER, 1);
    expect(FAULT_GAP, 2);
}

static void test_histories_that_cannot_be(void **state)
{
    (void)state;
    begin();
    append(WRITER, 2, 1); /* its first message is its second */
    gap(READER, 1, 2);
    expect(FAULT_HISTORY, 2);
}

static void test_a_reader_that_is_replaced_goes_on(void **state)
{
    (void)state;
    begin();
    append(WRITER, 1, 1);
    append(WRITER, 2, 2);
    saw(READER, 1, WRITER, 1);
    end(READER);
    take(READER, (struct record){.kind = RECORD_START, .life = SECOND, .seq = 2});
    saw(READER, 2, WRITER, 2);
    take(READER, (struct record){.kind = RECORD_END, .life = SECOND});
    end(WRITER);
    end(OTHER);
    history_end(history, 3);
    assert_int_equal(history_counts(history)->n_all_faults, 0);
    assert_int_equal(history_counts(history)->n_seen, 2);
    history_free(history);
}

TESTS(test_a_sound_history_is_sound, test_what_a_dead_writer_appended_may_be_there, test_lost,
    test_duplicates, test_holes, test_torn, test_reordered, test_time_goes_backwards,
    test_acknowledged_but_missing, test_two_who_saw_different_messages, test_messages_of_nobody,
    test_durable_claims, test_gaps_that_do_not_fit, test_histories_that_cannot_be,
    test_a_reader_that_is_replaced_goes_on)

/* Bells: rung by appends of any process, silent without, also after fork(). */
#include "engine/bell_test.h"

#define N_MANY 140 /* more than the kernel waits for at once */

static void test_bell_rings_for_news_until_it_is_armed_again(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("news", 65536);
    struct bell *bell = hang(pool, end_of(pool));

    assert_false(is_ringing(bell, 0));
    test_append(pool, "{}");
    assert_true(is_ringing(bell, CHILD_PATIENCE_MS));
    assert_true(is_ringing(bell, 0)); /* until somebody has looked */
    bell_arm(bell, end_of(pool));
    assert_false(is_ringing(bell, 0));
    bell_arm(bell, 0); /* there is something behind this place already */
    assert_true(is_ringing(bell, CHILD_PATIENCE_MS));
    bell_arm(bell, end_of(pool));
    bell_ring(bell);
    assert_true(is_ringing(bell, 0));
    bell_arm(bell, end_of(pool));
    bell_arm(bell, end_of(pool));
    assert_false(is_ringing(bell, 0));
    bell_free(bell);
    bell_free(NULL);
}

static char pool_file[256];

static void append_when_told(const struct child_side *side)
{
    struct pool *pool = NULL;
    const struct message message = test_message("{}");
    struct appended appended;
    child_must(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error) == POOL_OK);
    child_say(side, 'o');
    for (int i = 0; i < 20; i++) {
        child_listen(side);
        child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
    }
}

static void test_bell_rings_for_appends_of_others(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("others", 65536);
    snprintf(pool_file, sizeof(pool_file), "%s", pool_path(pool));
    scoped(pool_close) struct pool *reader = test_open(pool_file, POOL_READ);
    struct child child = child_start(append_when_told, NULL);
    child_expect(&child, 'o');
    struct bell *bell = hang(reader, end_of(reader));
    for (int i = 0; i < 20; i++) {
        child_tell(&child, 'a');
        assert_true(is_ringing(bell, CHILD_PATIENCE_MS));
        bell_arm(bell, end_of(reader));
    }
    child_join(&child);
    bell_free(bell);
}

static void test_bell_rings_when_the_file_goes(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *deleted = test_pool("deleted", 65536);
    scoped(pool_close) struct pool *cut = test_pool("cut", 65536);
    struct bell *bells[] = {hang(deleted, end_of(deleted)), hang(cut, end_of(cut))};

    assert_int_equal(unlink(pool_path(deleted)), 0);
    assert_true(is_ringing(bells[0], CHILD_PATIENCE_MS));
    /* nothing of it may be read any more */
    assert_int_equal(truncate(pool_path(cut), 0), 0);
    assert_true(is_ringing(bells[1], CHILD_PATIENCE_MS));
    bell_free(bells[0]);
    bell_free(bells[1]);
}

/* Whoever has it open may still append: one listens on. */
static void test_bell_rings_once_for_a_deleted_pool(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *later = test_pool("later", 65536);
    scoped(pool_close) struct pool *deleted = test_pool("deleted", 65536);
    struct bell *other = hang(later, end_of(later));
    struct bell *bell = hang(deleted, end_of(deleted)); /* looked at before the other one */

    assert_int_equal(unlink(pool_path(deleted)), 0);
    assert_true(is_ringing(bell, CHILD_PATIENCE_MS));
    bell_arm(bell, end_of(deleted));
    assert_int_equal(unlink(pool_path(later)), 0);
    assert_true(is_ringing(other, CHILD_PATIENCE_MS));
    assert_false(is_ringing(bell, 0));
    test_append(deleted, "{}");
    assert_true(is_ringing(bell, CHILD_PATIENCE_MS));
    bell_free(bell);
    bell_free(other);
}

/* Half of the pools get news: those whose words are slept on, and those that are looked at. */
static void test_bell_rings_among_more_than_the_kernel_waits_for(void **state)
{
    (void)state;
    struct pool *pools[N_MANY];
    struct bell *bells[N_MANY];
    scoped(pool_close) struct pool *other = test_pool("other", 65536);
    struct bell *first = hang(other, UINT64_MAX);

    for (int i = 0; i < N_MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "many%d", i);
        pools[i] = test_pool(name, 65536);
        bells[i] = hang(pools[i], end_of(pools[i]));
    }
    bell_arm(first, UINT64_MAX); /* rings when all others have been looked at */
    assert_true(is_ringing(first, CHILD_PATIENCE_MS));
    for (int i = 0; i < N_MANY; i += 2)
        test_append(pools[i], "{}");
    for (int i = 0; i < N_MANY; i += 2)
        assert_true(is_ringing(bells[i], CHILD_PATIENCE_MS));
    for (int i = 1; i < N_MANY; i += 2)
        assert_false(is_ringing(bells[i], 0));
    for (int i = 0; i < N_MANY; i++) {
        bell_free(bells[i]);
        pool_close(pools[i]);
    }
    bell_free(first);
}

/* Bells of one file, each of a pool of its own, share what the listener sleeps on: one that is
 * armed while it sleeps for the others misses nothing, nor do those that are left. */
static void test_bells_of_one_file(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("one", 1 << 20);
    struct pool *readers[N_MANY];
    struct bell *bells[N_MANY];

    for (int i = 0; i < N_MANY; i++) {
        readers[i] = test_open(pool_path(pool), POOL_READ);
        bells[i] = hang(readers[i], end_of(pool));
    }
    for (int n_left = N_MANY; n_left > 0; n_left--) {
        const uint64_t before = end_of(pool);
        test_append(pool, "{}");
        for (int i = 0; i < n_left; i++) {
            assert_true(is_ringing(bells[i], CHILD_PATIENCE_MS));
            bell_arm(bells[i], end_of(pool));
            assert_false(is_ringing(bells[i], 0));
        }
        bell_arm(bells[0], before); /* others are listened for, but this one has its news */
        assert_true(is_ringing(bells[0], CHILD_PATIENCE_MS));
        bell_arm(bells[0], end_of(pool));
        bell_free(bells[n_left - 1]);
        pool_close(readers[n_left - 1]);
    }
}

static struct bell *inherited;
static struct pool *inherited_pool;

static void free_inherited_and_hang_own(const struct child_side *side)
{
    struct bell *own = NULL;
    bell_ring(inherited); /* nothing, either of them */
    bell_arm(inherited, 0);
    bell_free(inherited);
    child_must(bell_new(inherited_pool, end_of(inherited_pool), &own, &test_error) == 0);
    const struct message message = test_message("{}");
    struct appended appended;
    child_must(pool_append(inherited_pool, &message, 1, &appended, &test_error) == POOL_OK);
    child_must(is_ringing(own, CHILD_PATIENCE_MS));
    bell_free(own);
    child_say(side, 'd');
}

static void test_bell_of_a_parent_is_silent_in_a_child(void **state)
{
    (void)state;
    inherited_pool = test_pool("fork", 65536);
    inherited = hang(inherited_pool, UINT64_MAX);
    bell_arm(inherited, end_of(inherited_pool));
    struct child child = child_start(free_inherited_and_hang_own, NULL);
    child_expect(&child, 'd');
    child_join(&child);
    /* what the child appended is news here, and the parent's listener still listens */
    assert_true(is_ringing(inherited, CHILD_PATIENCE_MS));
    bell_free(inherited);
    pool_close(inherited_pool);
}

TESTS(test_bell_rings_for_news_until_it_is_armed_again, test_bell_rings_for_appends_of_others,
    test_bell_rings_when_the_file_goes, test_bell_rings_once_for_a_deleted_pool,
    test_bell_rings_among_more_than_the_kernel_waits_for, test_bells_of_one_file,
    test_bell_of_a_parent_is_silent_in_a_child)

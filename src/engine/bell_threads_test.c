/* Bells that come and go in many threads. */
#include "engine/bell_test.h"

#include <pthread.h>

#define N_THREADS 4
#define N_ROUNDS  200

static void *ring_and_free(void *argument)
{
    struct pool *pool = argument;
    for (int i = 0; i < N_ROUNDS; i++) {
        struct bell *bell = hang(pool, end_of(pool));
        test_append(pool, "{}");
        assert_true(is_ringing(bell, CHILD_PATIENCE_MS));
        bell_arm(bell, end_of(pool));
        bell_free(bell); /* often the last one: the listener ends, and another begins */
    }
    return NULL;
}

static void test_bells_come_and_go_in_many_threads(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("threads", 65536);
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ring_and_free, pool), 0);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

TESTS(test_bells_come_and_go_in_many_threads)

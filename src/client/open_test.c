#include "client/open.h"

#include "base/test.h"

#define STORED                                                                                     \
    "What was appended is stored, but a power loss may take it: do not append it again, flush."

/* Whoever takes a busy flush for a busy append appends twice. */
static void test_what_is_not_flushed_is_said_to_be_stored(void **state)
{
    (void)state;
    plsm_error_t *err = NULL;
    assert_int_equal(open_not_flushed(POOL_BUSY, "/pools/a.plasmite", 7, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_BUSY);
    assert_true(err->has_seq);
    assert_int_equal(err->seq, 7);
    assert_string_equal(err->path, "/pools/a.plasmite");
    assert_string_equal(error_hint_of(err), STORED);
    plsm_error_free(err);

    err = NULL;
    error_set(&err, PLSM_ERROR_IO, "the disk failed");
    assert_int_equal(open_not_flushed(-1, "/pools/a.plasmite", 8, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_IO);
    assert_int_equal(err->seq, 8);
    assert_string_equal(error_hint_of(err), STORED);
    plsm_error_free(err);

    assert_int_equal(open_not_flushed(POOL_BUSY, "/pools/a.plasmite", 9, NULL), -1);
}

TESTS(test_what_is_not_flushed_is_said_to_be_stored)

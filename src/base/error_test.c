#include "base/error.h"
#include "base/test.h"

#include <errno.h>

static void test_error_carries_what_is_known(void **state)
{
    (void)state;
    scoped(plsm_error_free) plsm_error_t *err = NULL;

    assert_int_equal(error_errno(&err, ENOENT, "not %s", "found"), -1);
    error_at_path(&err, "/a");
    error_at_path(&err, "/b");
    error_at_seq(&err, 7);
    error_hint(&err, "try %d", 1);
    assert_int_equal(err->kind, PLSM_ERROR_NOT_FOUND);
    assert_string_equal(err->message, "not found");
    assert_string_equal(err->path, "/a");
    assert_int_equal(err->seq, 7);
    assert_int_equal(err->has_seq, 1);
    assert_int_equal(err->has_offset, 0);
    assert_string_equal(error_hint_of(err), "try 1");
    assert_string_equal(error_cause_of(err), "No such file or directory (os error 2)");
    assert_int_equal(error_errno_of(err), ENOENT);
}

static void test_error_may_be_ignored(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, PLSM_ERROR_USAGE, "x"), -1);
    assert_int_equal(error_at_seq(NULL, 1), -1);
    plsm_error_free(NULL);
}

static void test_error_kinds_have_their_exit_codes_and_names(void **state)
{
    (void)state;
    static const char *const names[] = {"Internal", "Usage", "NotFound", "AlreadyExists", "Busy",
        "Permission", "Corrupt", "Io", "RetentionGap"};
    for (int kind = 1; kind <= 9; kind++)
        assert_string_equal(error_kind_name((plsm_error_kind_t)kind), names[kind - 1]);
    assert_int_equal(error_kind_of(EACCES), PLSM_ERROR_PERMISSION);
    assert_int_equal(error_kind_of(EEXIST), PLSM_ERROR_ALREADY_EXISTS);
    assert_int_equal(error_kind_of(ENOSPC), PLSM_ERROR_IO);
}

TESTS(test_error_carries_what_is_known, test_error_may_be_ignored,
    test_error_kinds_have_their_exit_codes_and_names)

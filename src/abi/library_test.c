#include "base/test.h"
#include "plasmite.h"

static void test_version_is_the_interface_level(void **state)
{
    (void)state;
    assert_string_equal(plsm_version(), "0.8.0");
}

static void test_free_of_nothing_is_allowed(void **state)
{
    (void)state;
    plsm_buf_t empty = {0};
    plsm_error_free(NULL);
    plsm_buf_free(NULL);
    plsm_buf_free(&empty);
    plsm_buf_free(&empty);
    assert_null(plsm_error_hint(NULL));
}

TESTS(test_version_is_the_interface_level, test_free_of_nothing_is_allowed)

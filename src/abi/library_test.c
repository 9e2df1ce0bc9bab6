/* The library itself, clients, and the list of misuse that must fail cleanly. */
#include "abi/abi_test.h"

static void test_version_is_the_interface_level(void **state)
{
    (void)state;
    assert_string_equal(plsm_version(), "0.8.0");
}

static void test_structs_have_their_fixed_layout(void **state)
{
    (void)state;
    assert_int_equal(sizeof(plsm_buf_t), 16);
    assert_int_equal(offsetof(plsm_buf_t, len), 8);
    assert_int_equal(sizeof(plsm_error_t), 48);
    assert_int_equal(offsetof(plsm_error_t, message), 8);
    assert_int_equal(offsetof(plsm_error_t, path), 16);
    assert_int_equal(offsetof(plsm_error_t, seq), 24);
    assert_int_equal(offsetof(plsm_error_t, offset), 32);
    assert_int_equal(offsetof(plsm_error_t, has_seq), 40);
    assert_int_equal(offsetof(plsm_error_t, has_offset), 41);
    assert_int_equal(sizeof(plsm_stream_options_t), 48);
    assert_int_equal(offsetof(plsm_stream_options_t, gap_policy), 4);
    assert_int_equal(offsetof(plsm_stream_options_t, since_seq), 8);
    assert_int_equal(offsetof(plsm_stream_options_t, max_messages), 16);
    assert_int_equal(offsetof(plsm_stream_options_t, timeout_ms), 24);
    assert_int_equal(offsetof(plsm_stream_options_t, has_since), 32);
    assert_int_equal(offsetof(plsm_stream_options_t, has_max), 36);
    assert_int_equal(offsetof(plsm_stream_options_t, has_timeout), 40);
    assert_int_equal(offsetof(plsm_stream_options_t, reserved), 44);
}

static void test_free_of_nothing_is_allowed(void **state)
{
    (void)state;
    plsm_buf_t empty = {0};
    plsm_client_free(NULL);
    plsm_pool_free(NULL);
    plsm_stream_free(NULL);
    plsm_error_free(NULL);
    plsm_buf_free(NULL);
    plsm_buf_free(&empty);
    plsm_buf_free(&empty);
    assert_null(plsm_error_hint(NULL));
}

static void test_buf_free_zeroes_and_takes_a_copy_of_the_struct(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("buf", 0);
    plsm_buf_t message;

    check_ok(test_append_json(pool, "{}", &message));
    assert_non_null(message.data);
    plsm_buf_t copy = message;
    plsm_buf_free(&copy);
    assert_null(copy.data);
    assert_int_equal(copy.len, 0);
    plsm_buf_free(&copy);
    plsm_pool_free(pool);
}

static void test_client_arguments(void **state)
{
    (void)state;
    plsm_client_t *client = NULL;
    check_fails(
        plsm_client_new(test_dir(), NULL, &test_error), PLSM_ERROR_USAGE, "out_client is null");
    check_fails(plsm_client_new("\xff", NULL, &test_error), PLSM_ERROR_USAGE, "out_client is null");
    check_fails(plsm_client_new("a\xc3(", &client, &test_error), PLSM_ERROR_USAGE,
        "pool_dir is not valid UTF-8");
    assert_null(client);
    assert_int_equal(plsm_client_new("\xff", &client, NULL), -1);
}

static void test_client_directory_need_not_exist_and_is_not_made(void **state)
{
    (void)state;
    plsm_client_t *client = NULL;
    plsm_pool_t *pool = NULL;
    struct stat status;

    check_ok(plsm_client_new(test_path("absent"), &client, &test_error));
    assert_int_equal(plsm_pool_open(client, "x", &pool, &test_error), -1);
    assert_string_equal(test_error->path, test_path("absent/x.plasmite"));
    check_error(PLSM_ERROR_NOT_FOUND, "not found");
    assert_int_equal(stat(test_path("absent"), &status), -1);
    plsm_client_free(client);
}

/* What a client finds under a name; the error's path tells. */
static void check_resolves(const char *pool_dir, const char *pool_ref, const char *path)
{
    plsm_client_t *client = NULL;
    plsm_pool_t *pool = NULL;
    check_ok(plsm_client_new(pool_dir, &client, &test_error));
    assert_int_equal(plsm_pool_open(client, pool_ref, &pool, &test_error), -1);
    assert_string_equal(test_error->path, path);
    check_error(PLSM_ERROR_NOT_FOUND, "not found");
    plsm_client_free(client);
}

static void test_pool_references_mean_files(void **state)
{
    (void)state;
    setenv("HOME", "/nowhere", 1);
    check_resolves(NULL, "chat", "/nowhere/.plasmite/pools/chat.plasmite");
    unsetenv("HOME");
    check_resolves(NULL, "absent", ".plasmite/pools/absent.plasmite");
    check_resolves("/nowhere", "chat", "/nowhere/chat.plasmite");
    check_resolves("/nowhere", "chat.plasmite", "/nowhere/chat.plasmite");
    check_resolves("/nowhere", "./absent.pool", "./absent.pool");
    check_resolves("/nowhere", "/absent/a.b", "/absent/a.b");
    check_resolves("", "absent", "./absent.plasmite");
}

static void test_errors_are_optional_and_success_leaves_them_alone(void **state)
{
    (void)state;
    plsm_error_t untouched;
    plsm_error_t *error = &untouched;
    plsm_client_t *client = NULL;
    check_ok(plsm_client_new(test_dir(), &client, &error));
    assert_ptr_equal(error, &untouched);
    assert_int_equal(plsm_pool_open(client, "absent", NULL, NULL), -1);
    plsm_client_free(client);
}

static void test_misuse_fails_with_usage(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    plsm_buf_t message = {0};

    check_fails(plsm_pool_open(NULL, "x", NULL, &test_error), PLSM_ERROR_USAGE, "client is null");
    check_fails(
        plsm_pool_create(NULL, NULL, 0, NULL, &test_error), PLSM_ERROR_USAGE, "client is null");
    check_ok(plsm_pool_create(client, "misuse", 0, &pool, &test_error));
    check_fails(plsm_pool_append_json(pool, NULL, 1, NULL, 0, 0, &message, &test_error),
        PLSM_ERROR_USAGE, "json_bytes is null");
    check_fails(test_append_json(pool, "{", &message), PLSM_ERROR_USAGE, "invalid json");
    check_fails(plsm_stream_open_ex(pool, NULL, NULL, &test_error), PLSM_ERROR_USAGE,
        "stream options are null");
    check_fails(plsm_stream_next(NULL, NULL, &test_error), PLSM_ERROR_USAGE, "stream is null");
    check_fails(plsm_pool_get_json(NULL, 1, NULL, &test_error), PLSM_ERROR_USAGE, "pool is null");
    check_fails(plsm_pool_flush(NULL, &test_error), PLSM_ERROR_USAGE, "pool is null");
    plsm_pool_free(pool);
    plsm_client_free(client);
}

TESTS(test_version_is_the_interface_level, test_structs_have_their_fixed_layout,
    test_free_of_nothing_is_allowed, test_buf_free_zeroes_and_takes_a_copy_of_the_struct,
    test_client_arguments, test_client_directory_need_not_exist_and_is_not_made,
    test_pool_references_mean_files, test_errors_are_optional_and_success_leaves_them_alone,
    test_misuse_fails_with_usage)

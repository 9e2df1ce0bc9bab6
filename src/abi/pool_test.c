/* Creating, opening, getting and flushing. */
#include "abi/abi_test.h"

#include <sys/wait.h>

static void test_create_checks_its_arguments_in_order(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    struct stat status;

    check_fails(plsm_pool_create(client, NULL, 0, &pool, &test_error), PLSM_ERROR_USAGE,
        "pool_ref is null");
    check_fails(plsm_pool_create(client, "a\xff", 0, &pool, &test_error), PLSM_ERROR_USAGE,
        "pool_ref is not valid UTF-8");
    check_fails(plsm_pool_create(client, "http://host/chat", 0, &pool, &test_error),
        PLSM_ERROR_USAGE, "remote pool refs are not supported in v0");
    check_fails(plsm_pool_open(client, "ftp://chat", &pool, &test_error), PLSM_ERROR_USAGE,
        "remote pool refs are not supported in v0");
    check_fails(plsm_pool_create(client, "", 0, &pool, &test_error), PLSM_ERROR_USAGE,
        "pool name must not be empty");
    check_fails(plsm_pool_create(client, "unmade", 0, NULL, &test_error), PLSM_ERROR_USAGE,
        "out_pool is null");
    assert_int_equal(stat(test_path("unmade.plasmite"), &status), -1);
    check_fails(plsm_pool_create(client, "unmade", 4096, &pool, &test_error), PLSM_ERROR_USAGE,
        "file_size must exceed header and index size");
    assert_int_equal(stat(test_path("unmade.plasmite"), &status), -1);
    assert_null(pool);
    plsm_client_free(client);
}

static void test_created_file_has_the_size_asked_for(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0, 8192, 65536, 100001};
    plsm_client_t *client = test_client();

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        plsm_pool_t *pool = NULL;
        struct stat status;
        check_ok(plsm_pool_create(client, "sized", sizes[i], &pool, &test_error));
        assert_int_equal(test_append(pool, 1), 1);
        assert_int_equal(stat(test_path("sized.plasmite"), &status), 0);
        assert_int_equal(status.st_size, sizes[i] == 0 ? 1048576 : sizes[i]);
        assert_int_equal(status.st_mode & 0777, 0600);
        plsm_pool_free(pool);
        unlink(test_path("sized.plasmite"));
    }
    plsm_client_free(client);
}

static void test_create_makes_directories_and_refuses_what_exists(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    plsm_pool_t *second = NULL;

    check_ok(plsm_pool_create(client, test_path("a/b/c.pool"), 0, &pool, &test_error));
    assert_int_equal(test_append(pool, 1), 1);
    assert_int_equal(
        plsm_pool_create(client, test_path("a/b/c.pool"), 0, &second, &test_error), -1);
    assert_string_equal(test_error->path, test_path("a/b/c.pool"));
    check_error(PLSM_ERROR_ALREADY_EXISTS, "pool already exists");
    assert_null(second);
    assert_int_equal(test_append(pool, 2), 2); /* untouched */
    plsm_pool_free(pool);

    const int fd = open(test_path("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(plsm_pool_create(client, test_path("file/x"), 0, &pool, &test_error), -1);
    assert_string_equal(test_error->path, test_path("file/x"));
    check_error(PLSM_ERROR_IO, "failed to create pool file");
    assert_int_equal(plsm_pool_create(client, test_path("file/x/y"), 0, &pool, &test_error), -1);
    assert_string_equal(test_error->path, test_path("file/x"));
    check_error(PLSM_ERROR_IO, "failed to create pool directory");
    plsm_client_free(client);
}

/* Makes a file of these bytes, or cuts what is there, and expects Corrupt with its path. */
static void check_corrupt(plsm_client_t *client, const char *path)
{
    plsm_pool_t *pool = NULL;
    assert_int_equal(plsm_pool_open(client, path, &pool, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
    assert_string_equal(test_error->path, path);
    plsm_error_free(test_error);
    assert_null(pool);
}

static void write_bytes(const char *path, const void *bytes, size_t len, off_t offset)
{
    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), len);
    close(fd);
}

static void test_damaged_files_are_corrupt_and_named(void **state)
{
    (void)state;
    const uint8_t zeroes[4096] = {0};
    plsm_client_t *client = test_client();
    const char *path = test_path("damaged");

    write_bytes(path, "NOPE", 4, 0);
    check_corrupt(client, path);
    assert_int_equal(truncate(path, 1), 0);
    check_corrupt(client, path);
    assert_int_equal(truncate(path, 0), 0);
    check_corrupt(client, path);
    plsm_pool_free(test_pool("damaged", 65536));
    assert_int_equal(truncate(path, 65536 - 128), 0);
    check_corrupt(client, path);
    assert_int_equal(truncate(path, 32768), 0);
    check_corrupt(client, path);
    plsm_pool_free(test_pool("damaged", 65536));
    write_bytes(path, zeroes, sizeof(zeroes), 0);
    check_corrupt(client, path);
    plsm_client_free(client);
}

static void test_file_cut_under_an_open_handle_is_seen_by_a_new_open(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *leaked = test_pool("cut", 65536);
    assert_int_equal(test_append(leaked, 1), 1);
    assert_int_equal(truncate(test_path("cut"), 32768), 0);
    check_corrupt(client, test_path("cut"));
    plsm_client_free(client);
    plsm_pool_free(leaked);
}

static void test_directory_is_no_pool(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    mkdir(test_path("folder"), 0700);
    assert_int_equal(plsm_pool_open(client, test_path("folder"), &pool, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_IO);
    assert_string_equal(test_error->path, test_path("folder"));
    plsm_error_free(test_error);
    plsm_client_free(client);
}

static void test_get_gives_what_append_gave(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("get", 0);
    plsm_buf_t appended = {0};
    plsm_buf_t got = {0};

    check_ok(test_append_json(pool, "{\"a\": [1, -0, 1E5, \"\\u00e9\"]}", &appended));
    check_ok(plsm_pool_get_json(pool, 1, &got, &test_error));
    assert_int_equal(got.len, appended.len);
    assert_memory_equal(got.data, appended.data, got.len);
    plsm_buf_free(&got);
    plsm_buf_free(&appended);
    check_fails(
        plsm_pool_get_json(pool, 1, NULL, &test_error), PLSM_ERROR_USAGE, "out_message is null");
    plsm_pool_free(pool);
}

static void check_missing(plsm_pool_t *pool, uint64_t seq)
{
    plsm_buf_t message = {(uint8_t *)1, 2};
    assert_int_equal(plsm_pool_get_json(pool, seq, &message, &test_error), -1);
    assert_int_equal(test_error->has_seq, 1);
    assert_int_equal(test_error->seq, seq);
    assert_int_equal(test_error->has_offset, 0);
    assert_int_equal(test_error->offset, 0);
    assert_null(test_error->path);
    check_error(PLSM_ERROR_NOT_FOUND, "message not found");
    assert_ptr_equal(message.data, (uint8_t *)1); /* untouched */
    assert_int_equal(message.len, 2);
}

static void test_get_of_what_is_not_there_names_the_seq(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("missing", 8192);
    plsm_buf_t message = {0};

    check_missing(pool, 1);
    for (uint64_t n = 1; n <= 300; n++)
        assert_int_equal(test_append(pool, n), n);
    check_missing(pool, 0);
    check_missing(pool, 1); /* overwritten */
    check_missing(pool, 301);
    check_missing(pool, UINT64_MAX);
    check_ok(plsm_pool_get_json(pool, 300, &message, &test_error));
    plsm_buf_free(&message);
    plsm_pool_free(pool);
}

static void test_handles_do_not_depend_on_each_other(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    plsm_stream_t *stream = NULL;
    plsm_buf_t message = {0};

    check_ok(plsm_pool_create(client, "free-order", 0, &pool, &test_error));
    plsm_client_free(client);
    assert_int_equal(test_append(pool, 1), 1);
    check_ok(plsm_stream_open(pool, 1, 1, 1, 1, 0, 0, &stream, &test_error));
    plsm_pool_free(pool);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
    plsm_buf_free(&message);
    plsm_stream_free(stream);
}

static void test_open_handles_outlive_the_file(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("unlinked", 0);
    plsm_stream_t *stream = NULL;
    plsm_stream_t *late = NULL;
    plsm_buf_t message = {0};

    check_ok(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, &stream, &test_error));
    unlink(test_path("unlinked"));
    assert_int_equal(test_append(pool, 1), 1);
    check_ok(plsm_pool_get_json(pool, 1, &message, &test_error));
    plsm_buf_free(&message);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
    plsm_buf_free(&message);
    assert_int_equal(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, &late, &test_error), -1);
    assert_string_equal(test_error->path, test_path("unlinked"));
    check_error(PLSM_ERROR_NOT_FOUND, "not found");
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_flush_makes_all_durable(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("flush", 0);
    check_ok(plsm_pool_flush(pool, &test_error));
    test_append(pool, 1);
    check_ok(plsm_pool_flush(pool, &test_error));
    plsm_pool_free(pool);
}

static void test_child_uses_inherited_handles(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("fork", 0);
    plsm_stream_t *stream = NULL;
    plsm_buf_t message = {0};

    assert_int_equal(test_append(pool, 1), 1);
    check_ok(plsm_stream_open(pool, 2, 1, 0, 0, 0, 0, &stream, &test_error));
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int r = test_append_json(pool, "{\"child\":true}", &message);
        _exit(r == 0 ? 0 : 1);
    }
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
    assert_int_equal(test_seq(&message), 2);
    plsm_buf_free(&message);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(test_append(pool, 3), 3);
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

static void test_open_of_an_older_format_names_the_import(void **state)
{
    (void)state;
    static const uint8_t header[4096] = {'P', 'L', 'S', 'M', 3, 0, 0, 0, 1};
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    const int fd = open(test_path("old.plasmite"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
    close(fd);
    assert_int_equal(plsm_pool_open(client, "old", &pool, &test_error), -1);
    assert_non_null(strstr(plsm_error_hint(test_error), "plasmite pool import OLD NEW"));
    assert_string_equal(test_error->path, test_path("old.plasmite"));
    check_error(PLSM_ERROR_USAGE, "unsupported pool format version 3 (supported: 1)");
    plsm_client_free(client);
}

TESTS(test_open_of_an_older_format_names_the_import, test_create_checks_its_arguments_in_order,
    test_created_file_has_the_size_asked_for, test_create_makes_directories_and_refuses_what_exists,
    test_damaged_files_are_corrupt_and_named,
    test_file_cut_under_an_open_handle_is_seen_by_a_new_open, test_directory_is_no_pool,
    test_get_gives_what_append_gave, test_get_of_what_is_not_there_names_the_seq,
    test_handles_do_not_depend_on_each_other, test_open_handles_outlive_the_file,
    test_flush_makes_all_durable, test_child_uses_inherited_handles)

/* Pools from outside, and opening them with all options. */
#include "abi/abi_test.h"

#include <pthread.h>

static plsm_pool_t *open_with(plsm_client_t *client, const char *ref, plsm_open_options_t options)
{
    plsm_pool_t *pool = NULL;
    options.struct_size = sizeof(options);
    check_ok(plsm_pool_open_ex(client, ref, &options, &pool, &test_error));
    assert_non_null(pool);
    return pool;
}

static plsm_client_t *client_of(const char *name)
{
    plsm_client_t *client = NULL;
    check_ok(plsm_client_new(test_path(name), &client, &test_error));
    return client;
}

static void test_open_ex_checks_its_arguments_in_order(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    plsm_open_options_t options = {.struct_size = 39, .create = 3};

    check_fails(plsm_pool_open_ex(NULL, NULL, NULL, NULL, &test_error), PLSM_ERROR_USAGE,
        "open options are null");
    check_fails(plsm_pool_open_ex(NULL, NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "open options are too small: got 39 bytes, need at least 40");
    options.struct_size = 40;
    check_fails(plsm_pool_open_ex(NULL, NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "invalid create option");
    options.create = PLSM_OPEN_OR_CREATE;
    check_fails(plsm_pool_open_ex(NULL, NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "client is null");
    check_fails(plsm_pool_open_ex(client, NULL, &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "pool_ref is null");
    check_fails(plsm_pool_open_ex(client, "unmade", &options, NULL, &test_error), PLSM_ERROR_USAGE,
        "out_pool is null");
    options.create = PLSM_OPEN_EXISTING;
    assert_int_equal(plsm_pool_open_ex(client, "unmade", &options, &pool, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_NOT_FOUND);
    plsm_error_free(test_error);
    assert_null(pool);
    plsm_client_free(client);
}

static void test_open_ex_makes_what_is_missing(void **state)
{
    (void)state;
    plsm_client_t *client = client_of("made/in/here");
    plsm_pool_info_t info = {.struct_size = sizeof(info)};
    const plsm_open_options_t options = {.create = PLSM_OPEN_OR_CREATE,
        .size_bytes = 65536,
        .index_capacity = 16,
        .has_index_capacity = 1};

    plsm_pool_t *first = open_with(client, "chat", options);
    assert_int_equal(test_append(first, 1), 1);
    plsm_pool_t *second = open_with(client, "chat", options);
    assert_int_equal(test_append(second, 2), 2);
    check_ok(plsm_pool_info(second, &info, &test_error));
    assert_int_equal(info.file_size, 65536);
    assert_int_equal(info.index_capacity, 16);
    assert_int_equal(info.n_messages, 2);
    assert_int_equal(info.oldest_seq, 1);
    assert_int_equal(info.newest_seq, 2);
    assert_int_equal(info.next_seq, 3);
    assert_true(info.oldest_time_ns <= info.newest_time_ns && info.created_ns > 0);
    assert_true(info.used_bytes > 0 && info.used_bytes < info.ring_size);

    plsm_open_options_t again = options;
    again.struct_size = sizeof(again);
    again.create = PLSM_CREATE_NEW;
    plsm_pool_t *third = NULL;
    check_fails(plsm_pool_open_ex(client, "chat", &again, &third, &test_error),
        PLSM_ERROR_ALREADY_EXISTS, "pool already exists");
    assert_string_equal(plsm_client_pool_dir(client), test_path("made/in/here"));
    assert_string_equal(plsm_pool_path(first), test_path("made/in/here/chat.plasmite"));
    plsm_pool_free(first);
    plsm_pool_free(second);
    plsm_client_free(client);
}

static void *open_or_create(void *client)
{
    return open_with(
        client, "race", (plsm_open_options_t){.create = PLSM_OPEN_OR_CREATE, .size_bytes = 65536});
}

static void test_open_or_create_survives_a_race(void **state)
{
    (void)state;
    plsm_client_t *client = client_of("race");
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, open_or_create, client), 0);
        for (int i = 0; i < 4; i++) {
            void *pool = NULL;
            assert_int_equal(pthread_join(threads[i], &pool), 0);
            assert_int_equal(test_append(pool, 1), i + 1);
            plsm_pool_free(pool);
        }
        check_ok(plsm_pool_delete(client, "race", &test_error));
    }
    plsm_client_free(client);
}

static void test_read_only_reads_and_nothing_else(void **state)
{
    (void)state;
    plsm_client_t *client = test_client();
    plsm_pool_t *writer = test_pool("readable.plasmite", 0);
    plsm_buf_t message = {0};
    uint64_t seq = 0;
    const plsm_input_t input = {.json = (const uint8_t *)"{}", .json_len = 2};

    test_append(writer, 1);
    plsm_pool_t *reader = open_with(client, "readable", (plsm_open_options_t){.read_only = 1});
    check_ok(plsm_pool_get_json(reader, 1, &message, &test_error));
    plsm_buf_free(&message);
    check_fails(
        test_append_json(reader, "{}", &message), PLSM_ERROR_USAGE, "pool was opened read-only");
    check_fails(plsm_pool_append_batch(reader, &input, 1, PLSM_FAST, &seq, &test_error),
        PLSM_ERROR_USAGE, "pool was opened read-only");
    check_fails(
        plsm_pool_flush(reader, &test_error), PLSM_ERROR_USAGE, "pool was opened read-only");
    assert_int_equal(test_append(writer, 2), 2);
    plsm_pool_free(reader);
    plsm_pool_free(writer);
    plsm_client_free(client);
}

static void test_list_and_delete(void **state)
{
    (void)state;
    plsm_client_t *client = client_of("listed");
    static const char *const names[] = {"beta", "alpha", "a.b"};
    plsm_buf_t list = {0};

    check_ok(plsm_pool_list(client, &list, &test_error)); /* no directory yet */
    assert_int_equal(list.len, 0);
    plsm_buf_free(&list);
    for (size_t i = 0; i < 3; i++)
        plsm_pool_free(
            open_with(client, names[i], (plsm_open_options_t){.create = PLSM_CREATE_NEW}));
    check_ok(plsm_pool_list(client, &list, &test_error));
    assert_int_equal(list.len, sizeof("a.b\0alpha\0beta"));
    assert_memory_equal(list.data, "a.b\0alpha\0beta", list.len);
    plsm_buf_free(&list);
    check_ok(plsm_pool_delete(client, "alpha", &test_error));
    check_fails(
        plsm_pool_delete(client, "alpha", &test_error), PLSM_ERROR_NOT_FOUND, "pool not found");
    check_ok(plsm_pool_list(client, &list, &test_error));
    assert_memory_equal(list.data, "a.b\0beta", list.len);
    plsm_buf_free(&list);

    check_fails(plsm_pool_list(NULL, &list, &test_error), PLSM_ERROR_USAGE, "client is null");
    check_fails(plsm_pool_list(client, NULL, &test_error), PLSM_ERROR_USAGE, "out_names is null");
    check_fails(plsm_pool_delete(NULL, "x", &test_error), PLSM_ERROR_USAGE, "client is null");
    plsm_client_free(client);
    /* a file where the directory should be */
    client = client_of("listed/beta.plasmite");
    assert_int_equal(plsm_pool_list(client, &list, &test_error), -1);
    assert_non_null(test_error->path);
    plsm_error_free(test_error);
    plsm_client_free(client);
}

/* Turns one byte of the pool's file. */
static void damage(const char *path, off_t offset)
{
    uint8_t byte = 0;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0xff;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void test_verify_reports_damage_and_a_stream_steps_over_it(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("verified", 65536);
    plsm_pool_info_t info = {.struct_size = sizeof(info)};
    plsm_buf_t report = {0};
    plsm_buf_t message = {0};
    plsm_stream_t *stream = NULL;

    for (uint64_t n = 1; n <= 3; n++)
        test_append(pool, n);
    check_ok(plsm_pool_verify(pool, &report, &test_error));
    assert_memory_equal(report.data, "{\"healthy\":true,\"messages\":3,\"last_good_seq\":", 44);
    plsm_buf_free(&report);

    check_ok(plsm_pool_info(pool, &info, &test_error));
    /* frames are of the same size here: the second one's data */
    damage(plsm_pool_path(pool), (off_t)(info.ring_offset + info.used_bytes / 3 + 34));
    check_ok(plsm_pool_verify(pool, &report, &test_error));
    assert_memory_equal(report.data,
        "{\"healthy\":false,\"messages\":2,\"last_good_seq\":1,\"issue_count\":1,\"issues\":[{"
        "\"code\":\"frame\",",
        90);
    plsm_buf_free(&report);

    check_ok(plsm_stream_open(pool, 0, 0, 0, 0, 0, 0, &stream, &test_error));
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
    plsm_buf_free(&message);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(plsm_stream_wait(stream, 0, &test_error), 1);
        assert_int_equal(plsm_stream_next(stream, &message, &test_error), -1);
        assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
        assert_non_null(test_error->path);
        plsm_error_free(test_error);
        test_error = NULL;
    }
    check_ok(plsm_stream_skip_damage(stream, &test_error));
    assert_int_equal(plsm_stream_dropped(stream), 1);
    assert_int_equal(plsm_stream_position(stream), 3);
    assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
    assert_int_equal(test_seq(&message), 3);
    plsm_buf_free(&message);
    plsm_stream_free(stream);

    check_fails(plsm_pool_verify(NULL, &report, &test_error), PLSM_ERROR_USAGE, "pool is null");
    check_fails(plsm_pool_verify(pool, NULL, &test_error), PLSM_ERROR_USAGE, "out_report is null");
    check_fails(plsm_pool_info(NULL, &info, &test_error), PLSM_ERROR_USAGE, "pool is null");
    check_fails(plsm_pool_info(pool, NULL, &test_error), PLSM_ERROR_USAGE, "info is null");
    info.struct_size = 8;
    check_fails(plsm_pool_info(pool, &info, &test_error), PLSM_ERROR_USAGE,
        "pool info is too small: got 8 bytes, need at least 104");
    plsm_pool_free(pool);
}

static void test_names_and_versions(void **state)
{
    (void)state;
    assert_string_equal(plsm_version(), "0.8.0");
    assert_true(strlen(plsm_build_version()) > 0);
    assert_true(plsm_abi_version() >= 1);
    assert_string_equal(plsm_error_kind_name(PLSM_ERROR_RETENTION_GAP), "RetentionGap");
    assert_string_equal(plsm_error_kind_name(PLSM_ERROR_IO), "Io");
    assert_string_equal(plsm_error_kind_name(99), "Internal");
    assert_string_equal(plsm_error_kind_name(-1), "Internal");
    assert_null(plsm_client_pool_dir(NULL));
    assert_null(plsm_pool_path(NULL));
}

TESTS(test_open_ex_checks_its_arguments_in_order, test_open_ex_makes_what_is_missing,
    test_open_or_create_survives_a_race, test_read_only_reads_and_nothing_else,
    test_list_and_delete, test_verify_reports_damage_and_a_stream_steps_over_it,
    test_names_and_versions)

/* What the tests of the library share. They know the public header and the shared library only,
 * like any program outside. */
#ifndef ABI_ABI_TEST_H
#define ABI_ABI_TEST_H

#include "base/test.h"
#include "plasmite.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

/* Set by a failed call; check_error() looks at it and frees it. */
static plsm_error_t *test_error;

#define check_ok(call)                                                                             \
    do {                                                                                           \
        const int r_ = (call);                                                                     \
        if (r_ != 0)                                                                               \
            fail_msg("%s gave %d: %s", #call, r_, test_error == NULL ? "-" : test_error->message); \
    } while (0)

/* The call fails with -1, this kind and this message. */
#define check_fails(call, kind_, message_)                                                         \
    do {                                                                                           \
        test_error = NULL;                                                                         \
        assert_int_equal((call), -1);                                                              \
        check_error(kind_, message_);                                                              \
    } while (0)

static inline void check_error(int kind, const char *message)
{
    assert_non_null(test_error);
    assert_string_equal(test_error->message, message);
    assert_int_equal(test_error->kind, kind);
    plsm_error_free(test_error);
    test_error = NULL;
}

static char test_dir_path[] = "/tmp/plasmite-abi.XXXXXX";

static inline int test_dir_remove_one(
    const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void test_dir_remove(void)
{
    nftw(test_dir_path, test_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A directory of this process's own, made on first use, gone when it ends. */
static inline const char *test_dir(void)
{
    static bool made;
    if (!made) {
        assert_non_null(mkdtemp(test_dir_path));
        atexit(test_dir_remove);
        made = true;
    }
    return test_dir_path;
}

/* DIR/name, in one of four buffers. */
static inline const char *test_path(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", test_dir(), name);
    return path;
}

static inline plsm_client_t *test_client(void)
{
    plsm_client_t *client = NULL;
    check_ok(plsm_client_new(test_dir(), &client, &test_error));
    assert_non_null(client);
    return client;
}

/* A new pool in the test's directory. */
static inline plsm_pool_t *test_pool(const char *name, uint64_t size_bytes)
{
    plsm_client_t *client = test_client();
    plsm_pool_t *pool = NULL;
    unlink(test_path(name));
    check_ok(plsm_pool_create(client, test_path(name), size_bytes, &pool, &test_error));
    plsm_client_free(client);
    assert_non_null(pool);
    return pool;
}

static inline int test_append_json(plsm_pool_t *pool, const char *json, plsm_buf_t *out_message)
{
    return plsm_pool_append_json(
        pool, (const uint8_t *)json, strlen(json), NULL, 0, PLSM_FAST, out_message, &test_error);
}

/* Appends {"n":N}, and gives its seq. */
static inline uint64_t test_append(plsm_pool_t *pool, uint64_t n)
{
    char json[64];
    plsm_buf_t message = {0};
    unsigned long long seq = 0;
    snprintf(json, sizeof(json), "{\"n\":%llu}", (unsigned long long)n);
    check_ok(test_append_json(pool, json, &message));
    assert_int_equal(sscanf((const char *)message.data, "{\"seq\":%llu,", &seq), 1);
    plsm_buf_free(&message);
    return seq;
}

/* The seq that a message's text begins with. */
static inline uint64_t test_seq(const plsm_buf_t *message)
{
    unsigned long long seq = 0;
    char text[40] = {0};
    memcpy(text, message->data, message->len < 39 ? message->len : 39);
    assert_int_equal(sscanf(text, "{\"seq\":%llu,", &seq), 1);
    return seq;
}

#endif

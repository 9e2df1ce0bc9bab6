#include "client/ref.h"

#include "base/test.h"

static void check_path(const char *text, enum ref_kind kind, const char *path)
{
    scoped(ref_fini) struct ref ref = {0};
    assert_int_equal(ref_resolve(text, "/pools", &ref, NULL), 0);
    assert_int_equal(ref.kind, kind);
    assert_string_equal(ref.path, path);
}

static void check_refused(const char *text, const char *message)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(ref_fini) struct ref ref = {0};
    assert_int_equal(ref_resolve(text, NULL, &ref, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(err->message, message);
}

static void test_names_live_in_the_directory(void **state)
{
    (void)state;
    check_path("chat", REF_NAME, "/pools/chat.plasmite");
    check_path("chat.plasmite", REF_NAME, "/pools/chat.plasmite");
    check_path(".hidden", REF_NAME, "/pools/.hidden.plasmite");
    check_path("with blank", REF_NAME, "/pools/with blank.plasmite");
}

static void test_paths_stay_as_given(void **state)
{
    (void)state;
    check_path("./chat", REF_PATH, "./chat");
    check_path("/tmp/chat.plasmite", REF_PATH, "/tmp/chat.plasmite");
    check_path("a/b", REF_PATH, "a/b");
}

static void test_directory_follows_home(void **state)
{
    (void)state;
    setenv("HOME", "/home/ada", 1);
    char *dir = ref_directory(NULL);
    assert_string_equal(dir, "/home/ada/.plasmite/pools");
    free(dir);
    setenv("HOME", "", 1);
    dir = ref_directory(NULL);
    assert_string_equal(dir, ".plasmite/pools");
    free(dir);
    dir = ref_directory("x//");
    assert_string_equal(dir, "x");
    free(dir);
    dir = ref_directory("/");
    assert_string_equal(dir, "/");
    free(dir);
}

static void test_remote_shorthand(void **state)
{
    (void)state;
    static const char *const good[] = {"http://localhost:9700/chat", "https://example.org/chat",
        "http://[::1]:9700/chat", "http://10.0.0.1:1/a%20b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        scoped(ref_fini) struct ref ref = {0};
        assert_int_equal(ref_resolve(good[i], NULL, &ref, NULL), 0);
        assert_int_equal(ref.kind, REF_REMOTE);
    }
    scoped(ref_fini) struct ref ref = {0};
    assert_int_equal(ref_resolve("http://localhost:9700/chat", NULL, &ref, NULL), 0);
    assert_string_equal(ref.path, "http://localhost:9700");
    assert_string_equal(ref.pool, "chat");
}

static void test_remote_shapes_that_are_refused(void **state)
{
    (void)state;
    static const char shorthand[] = "remote pool ref must use shorthand http(s)://host:port/<pool>";
    check_refused("ftp://host/chat", "remote pool ref must use http or https scheme");
    check_refused("HTTP://host/chat", "remote pool ref must use http or https scheme");
    check_refused("http:///chat", "invalid remote pool ref");
    check_refused("http://:9700/chat", "invalid remote pool ref");
    check_refused("http://host:99999/chat", "invalid remote pool ref");
    check_refused("http://host:x/chat", "invalid remote pool ref");
    check_refused("http://[::1/chat", "invalid remote pool ref");
    check_refused("http://[]/chat", "invalid remote pool ref");
    check_refused("http://[host]/chat", "invalid remote pool ref");
    check_refused("http://[::1]x/chat", "invalid remote pool ref");
    check_refused("http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]/chat",
        "invalid remote pool ref");
    check_refused("http://ada@host/chat", "invalid remote pool ref");
    check_refused("http://ho st/chat", "invalid remote pool ref");
    check_refused("http://host\\chat", "invalid remote pool ref");
    check_refused("http://host%20/chat", "invalid remote pool ref");
    check_refused("http://host/chat?x=1", "remote pool ref must not include query or fragment");
    check_refused("http://host/chat#x", "remote pool ref must not include query or fragment");
    check_refused("http://host/a%2Fb", "remote pool name must not contain path separators");
    check_refused("http://host", shorthand);
    check_refused("http://host/", shorthand);
    check_refused("http://host/chat/", shorthand);
    check_refused("http://host/pool", shorthand);
    check_refused("http://host/.", shorthand);
    check_refused("http://host/..", shorthand);
    check_refused("http://host/%2E.", shorthand);
    check_refused("http://host//chat", shorthand);
    check_refused("http://host/v0/pools/x/append", shorthand);
    check_refused("", "pool name must not be empty");
}

static void test_local_only(void **state)
{
    (void)state;
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(ref_fini) struct ref ref = {0};
    assert_int_equal(ref_resolve_local("http://h/x", NULL, "tap", &ref, &err), -1);
    assert_string_equal(err->message, "tap accepts local pool refs only");
    assert_int_equal(ref_resolve_local("x", "/d", "tap", &ref, NULL), 0);
    assert_string_equal(ref.path, "/d/x.plasmite");
}

TESTS(test_names_live_in_the_directory, test_paths_stay_as_given, test_directory_follows_home,
    test_remote_shorthand, test_remote_shapes_that_are_refused, test_local_only)

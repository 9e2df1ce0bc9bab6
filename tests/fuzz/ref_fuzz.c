/* Pool references: each is a name in the pool directory, a path as given, or a server and a pool of
 * it; nothing gets out of these, and a refusal says what to write instead. An input is a directory
 * and a reference, with a NUL between them. */
#include "client/ref.h"

#include "base/scoped.h"
#include "tests/fuzz/check.h"

#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1024 };

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

/* DIR/NAME.plasmite: no step leads out of the directory. */
static void check_name(const struct ref *ref, const char *dir)
{
    scoped(buf_fini) struct buf expected = {0};
    char *directory = ref_directory(dir);

    check(directory != NULL);
    check(strchr(ref->text, '/') == NULL && ref->text[0] != '\0');
    check(buf_append_str(&expected, directory) == 0);
    if (strcmp(directory, "/") != 0)
        check(buf_append_str(&expected, "/") == 0);
    check(buf_append_str(&expected, ref->text) == 0);
    if (!ends_with(ref->text, REF_SUFFIX))
        check(buf_append_str(&expected, REF_SUFFIX) == 0);
    check(view_equal(buf_view(&expected), view_str(ref->path)));
    free(directory);
}

static void check_authority(const char *authority)
{
    const char *bracket = strchr(authority, ']');
    const char *colon = strchr(bracket == NULL ? authority : bracket, ':');
    const size_t host = colon == NULL ? strlen(authority) : (size_t)(colon - authority);

    check(host > 0);
    for (const char *at = authority; *at != '\0'; at++)
        check((unsigned char)*at > ' ' && strchr("@/?#\\%\"<>^`{|}", *at) == NULL);
    if (colon != NULL)
        check(strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
              strtoul(colon + 1, NULL, 10) <= 65535);
}

/* Server and pool are the text, cut at one slash. */
static void check_remote(const struct ref *ref)
{
    const size_t server = strlen(ref->path);

    check(strncmp(ref->text, "http://", 7) == 0 || strncmp(ref->text, "https://", 8) == 0);
    check(strncmp(ref->text, ref->path, server) == 0 && ref->text[server] == '/');
    check(ref->pool == ref->text + server + 1 && ref->pool[0] != '\0');
    check(strpbrk(ref->pool, "/?#") == NULL && strcasestr(ref->pool, "%2f") == NULL);
    check(strcmp(ref->pool, ".") != 0 && strcmp(ref->pool, "..") != 0);
    check_authority(strstr(ref->path, "://") + 3);
}

static void check_ref(const struct ref *ref, const char *text, const char *dir)
{
    check(ref->text == text && ref->path != NULL);
    check((ref->pool != NULL) == (ref->kind == REF_REMOTE));
    switch (ref->kind) {
    case REF_NAME: check_name(ref, dir); break;
    case REF_PATH: check(strcmp(ref->path, text) == 0 && strchr(text, '/') != NULL); break;
    case REF_REMOTE: check_remote(ref); break;
    }
}

static void check_outcome(
    int r, struct ref *ref, plsm_error_t *error, const char *text, const char *dir)
{
    check((r < 0) == (error != NULL));
    if (r == 0)
        check_ref(ref, text, dir);
    if (error != NULL) {
        check(error->kind == PLSM_ERROR_USAGE && error_hint_of(error) != NULL);
        check(strpbrk(error->message, "\r\n") == NULL);
    }
    plsm_error_free(error);
    ref_fini(ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    plsm_error_t *error = NULL, *local_error = NULL;
    struct ref ref = {0}, local = {0};

    if (size > TEXT_MAX)
        return 0;
    const uint8_t *nul = size == 0 ? NULL : memchr(data, '\0', size);
    const size_t dir_len = nul == NULL ? 0 : (size_t)(nul - data);
    const size_t from = nul == NULL ? 0 : dir_len + 1;
    char *dir = bytes_string(view_of(data, dir_len));
    char *text = bytes_string(view_of(data + from, size - from));

    const int r = ref_resolve(text, dir_len == 0 ? NULL : dir, &ref, &error);
    const bool remote = r == 0 && ref.kind == REF_REMOTE;
    check_outcome(r, &ref, error, text, dir_len == 0 ? NULL : dir);
    const int r_local =
        ref_resolve_local(text, dir_len == 0 ? NULL : dir, "pool create", &local, &local_error);
    check(!remote || r_local < 0);
    check(r_local < 0 || local.kind != REF_REMOTE);
    check_outcome(r_local, &local, local_error, text, dir_len == 0 ? NULL : dir);
    free(dir);
    free(text);
    return 0;
}

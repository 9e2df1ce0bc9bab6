#include "client/ref.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0700 /* pools are private unless their owner opens them up */

char *ref_directory(const char *dir)
{
    char *path = NULL;
    const char *home = getenv("HOME");

    if (dir != NULL) {
        path = strdup(dir);
    } else if (home == NULL || home[0] == '\0') {
        path = strdup(".plasmite/pools");
    } else if (asprintf(&path, "%s/.plasmite/pools", home) < 0) {
        path = NULL;
    }
    for (size_t len = path == NULL ? 0 : strlen(path); len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    return path;
}

static bool ref_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ref_ends(const char *text, const char *suffix)
{
    const size_t len = strlen(text), n = strlen(suffix);
    return len >= n && strcmp(text + len - n, suffix) == 0;
}

/* The length of "[::1]" at the beginning of an authority; 0: there is none. */
static size_t ref_bracketed_host(const char *text, size_t len)
{
    struct in6_addr address;
    char host[INET6_ADDRSTRLEN];
    const char *close = memchr(text, ']', len);
    const size_t n = close == NULL ? 0 : (size_t)(close - text) - 1;

    if (n == 0 || n >= sizeof(host))
        return 0;
    memcpy(host, text + 1, n);
    host[n] = '\0';
    return inet_pton(AF_INET6, host, &address) == 1 ? n + 2 : 0;
}

/* The length of a name or an IPv4 address; 0: it has characters that no host has. */
static size_t ref_named_host(const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);
    const size_t n = colon == NULL ? len : (size_t)(colon - text);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] <= ' ' || strchr("\"%<>@[\\]^`{|}\x7f", text[i]) != NULL)
            return 0;
    return n;
}

/* "host", "host:port", "[::1]:port": no user, a host that is not empty, a port of 16 bits. */
static bool ref_authority_valid(const char *text, size_t len)
{
    if (len == 0)
        return false;
    const size_t host = text[0] == '[' ? ref_bracketed_host(text, len) : ref_named_host(text, len);
    if (host == 0 || (host < len && text[host] != ':'))
        return false;
    unsigned port = 0;
    for (size_t i = host + 1; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

static bool ref_has_slash_escape(const char *path)
{
    for (const char *at = strchr(path, '%'); at != NULL; at = strchr(at + 1, '%'))
        if (strncasecmp(at, "%2f", 3) == 0)
            return true;
    return false;
}

static int ref_remote_error(const char *message, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "%s", message);
    return error_hint(err, "Write a remote pool as http(s)://host:port/<pool>.");
}

/* Whether a path is one segment that can name a pool. "." and ".." are steps in a path. */
static bool ref_is_shorthand(const char *path)
{
    static const char *const steps[] = {".", "..", "%2e", ".%2e", "%2e.", "%2e%2e"};

    if (path[0] != '/' || path[1] == '\0' || strchr(path + 1, '/') != NULL ||
        strcmp(path, "/pool") == 0)
        return false;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (strcasecmp(path + 1, steps[i]) == 0)
            return false;
    return true;
}

/* http(s)://host[:port]/POOL: exactly one path segment. */
static int ref_resolve_remote(const char *text, struct ref *out_ref, plsm_error_t **err)
{
    const char *authority = strstr(text, "://") + 3;
    const size_t len = strcspn(authority, "/?#");
    const char *path = authority + len;

    if (!ref_authority_valid(authority, len))
        return ref_remote_error("invalid remote pool ref", err);
    if (strpbrk(path, "?#") != NULL)
        return ref_remote_error("remote pool ref must not include query or fragment", err);
    if (ref_has_slash_escape(path))
        return ref_remote_error("remote pool name must not contain path separators", err);
    if (!ref_is_shorthand(path))
        return ref_remote_error(
            "remote pool ref must use shorthand http(s)://host:port/<pool>", err);

    out_ref->path = strndup(text, (size_t)(path - text));
    if (out_ref->path == NULL)
        return error_oom(err);
    out_ref->kind = REF_REMOTE;
    out_ref->text = text;
    out_ref->pool = path + 1;
    return 0;
}

static int ref_resolve_file(
    const char *text, const char *dir, struct ref *out_ref, plsm_error_t **err)
{
    char *path = NULL;
    if (text[0] == '\0') {
        error_set(err, PLSM_ERROR_USAGE, "pool name must not be empty");
        return error_hint(err, "Give a pool name such as `chat`, or a path.");
    }
    if (strchr(text, '/') != NULL) {
        path = strdup(text);
    } else {
        char *directory = ref_directory(dir);
        const char *suffix = ref_ends(text, REF_SUFFIX) ? "" : REF_SUFFIX;
        const char *slash = directory != NULL && strcmp(directory, "/") == 0 ? "" : "/";
        if (directory == NULL || asprintf(&path, "%s%s%s%s", directory, slash, text, suffix) < 0)
            path = NULL;
        free(directory);
    }
    if (path == NULL)
        return error_oom(err);
    out_ref->kind = strchr(text, '/') != NULL ? REF_PATH : REF_NAME;
    out_ref->text = text;
    out_ref->path = path;
    out_ref->pool = NULL;
    return 0;
}

int ref_resolve(const char *text, const char *dir, struct ref *out_ref, plsm_error_t **err)
{
    if (ref_starts(text, "http://") || ref_starts(text, "https://"))
        return ref_resolve_remote(text, out_ref, err);
    if (strstr(text, "://") != NULL)
        return ref_remote_error("remote pool ref must use http or https scheme", err);
    return ref_resolve_file(text, dir, out_ref, err);
}

int ref_resolve_local(
    const char *text, const char *dir, const char *command, struct ref *out_ref, plsm_error_t **err)
{
    if (strstr(text, "://") != NULL) {
        error_set(err, PLSM_ERROR_USAGE, "%s accepts local pool refs only", command);
        return error_hint(err, "Use a local pool name/path.");
    }
    return ref_resolve_file(text, dir, out_ref, err);
}

void ref_fini(struct ref *ref)
{
    free(ref->path);
    *ref = (struct ref){0};
}

int ref_make_parents(const char *path, plsm_error_t **err)
{
    char *parent = strdup(path);
    if (parent == NULL)
        return error_oom(err);

    int r = 0;
    for (char *slash = strchr(parent + 1, '/'); slash != NULL && r == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (slash[-1] != '/' && mkdir(parent, DIRECTORY_MODE) < 0 && errno != EEXIST) {
            r = error_io(err, errno, "failed to create pool directory");
            error_at_path(err, parent);
        }
        *slash = '/';
    }
    free(parent);
    return r;
}

int ref_delete(const struct ref *ref, plsm_error_t **err)
{
    if (unlink(ref->path) == 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR)
        error_errno(err, errno, "pool not found");
    else
        error_io(err, errno, "failed to delete pool");
    return error_at_path(err, ref->path);
}

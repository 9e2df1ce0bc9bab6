#include "cli/remote.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BLANKS " \t\n\v\f\r"

/* Tokens are a line, lists of certificates some hundred KiB. */
#define REMOTE_FILE_MAX ((size_t)4 * LIMIT_RECORD_BYTES)

static int remote_check_local(const struct args *args, size_t first, plsm_error_t **err)
{
    for (size_t i = 0; i < N_REMOTE_OPTIONS; i++) {
        if (!args_has(args, first + i))
            continue;
        error_set(err, PLSM_ERROR_USAGE,
            "%s remote auth/TLS flags require a remote http(s) pool ref", args->command->path);
        return error_hint(
            err, "Drop --token, --token-file, --tls-ca and --tls-skip-verify for local pools.");
    }
    return 0;
}

int remote_check(const struct args *args, size_t first, const struct ref *ref,
    const struct remote_refused *refused, plsm_error_t **err)
{
    if (ref->kind != REF_REMOTE)
        return remote_check_local(args, first, err);
    if (args_has(args, first + REMOTE_TOKEN) && args_has(args, first + REMOTE_TOKEN_FILE))
        return args_refuse(err, "--token cannot be combined with --token-file", "Use one of them.");
    for (; refused->hint != NULL; refused++) {
        if (!args_has(args, refused->option))
            continue;
        error_set(err, PLSM_ERROR_USAGE, "remote %s does not support --%s", args->command->path,
            args->command->options[refused->option].name);
        return error_hint(err, "%s", refused->hint);
    }
    return 0;
}

void remote_fini(struct remote *remote)
{
    buf_fini(&remote->token);
    buf_fini(&remote->tls_ca);
}

static int remote_file_error(
    const char *message, const char *path, int errnum, const char *hint, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "%s", message);
    if (errnum != 0)
        error_cause(err, "%s (os error %d)", strerror(errnum), errnum);
    error_at_path(err, path);
    return error_hint(err, "%s", hint);
}

/* 0, or the errno of what failed. May be a pipe: shells make those of <(command). */
static int remote_read_all(int fd, struct buf *out)
{
    for (;;) {
        if (buf_reserve(out, 4096) < 0)
            return ENOMEM;
        const ssize_t n = read(fd, out->data + out->len, 4096);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return 0;
        out->len += n < 0 ? 0 : (size_t)n;
        if (out->len > REMOTE_FILE_MAX)
            return EFBIG;
    }
}

static int remote_read_file(const char *path, struct buf *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    const int errnum = remote_read_all(fd, out);
    close(fd);
    return errnum;
}

static int remote_token_file(const char *path, struct buf *out_token, plsm_error_t **err)
{
    static const char hint[] = "A token file holds one line: the bearer token.";
    size_t start = 0;

    const int errnum = remote_read_file(path, out_token);
    if (errnum != 0)
        return remote_file_error("failed to read token file", path, errnum, hint, err);
    while (start < out_token->len && strchr(BLANKS, out_token->data[start]) != NULL)
        start++;
    while (out_token->len > start && strchr(BLANKS, out_token->data[out_token->len - 1]) != NULL)
        out_token->len--;
    out_token->len -= start;
    if (out_token->len == 0)
        return remote_file_error("token file is empty", path, 0, hint, err);
    memmove(out_token->data, out_token->data + start, out_token->len);
    return 0;
}

static int remote_ca_file(const char *path, struct buf *out_pem, plsm_error_t **err)
{
    static const char hint[] = "--tls-ca names a PEM file with the certificates to trust.";
    static const char begin[] = "-----BEGIN CERTIFICATE-----";

    const int errnum = remote_read_file(path, out_pem);
    if (errnum != 0)
        return remote_file_error("failed to read TLS CA file", path, errnum, hint, err);
    if (out_pem->len == 0 || memmem(out_pem->data, out_pem->len, begin, sizeof(begin) - 1) == NULL)
        return remote_file_error("TLS CA file has no certificate", path, 0, hint, err);
    return 0;
}

int remote_read(
    const struct args *args, size_t first, struct remote *out_remote, plsm_error_t **err)
{
    const char *token = args_text(args, first + REMOTE_TOKEN, NULL);
    const char *token_file = args_text(args, first + REMOTE_TOKEN_FILE, NULL);
    const char *tls_ca = args_text(args, first + REMOTE_TLS_CA, NULL);

    if (token != NULL && buf_append_str(&out_remote->token, token) < 0)
        return error_oom(err);
    if (token_file != NULL && remote_token_file(token_file, &out_remote->token, err) < 0)
        return -1;
    return tls_ca == NULL ? 0 : remote_ca_file(tls_ca, &out_remote->tls_ca, err);
}

int remote_unsupported(const struct args *args, size_t first, plsm_error_t **err)
{
    scoped(remote_fini) struct remote remote = {0};
    if (remote_read(args, first, &remote, err) < 0)
        return -1;
    return args_refuse(
        err, "remote pools are not supported by this build", "Use a local pool name/path.");
}

/* What the commands that take remote references (http://host:port/pool) have in common: the
 * options for them, the files that these name, and what is checked before any network is used. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "base/buf.h"
#include "cli/args.h"
#include "client/ref.h"

enum {
    REMOTE_TOKEN,
    REMOTE_TOKEN_FILE,
    REMOTE_TLS_CA,
    REMOTE_TLS_SKIP_VERIFY,
    N_REMOTE_OPTIONS,
};

#define REMOTE_HEADING "Remote options (remote refs only)"

/* The entries of a command's table of options, from index first on. */
#define REMOTE_OPTIONS(first)                                                                      \
    [(first) + REMOTE_TOKEN] = {.name = "token",                                                   \
        .kind = ARG_TEXT,                                                                          \
        .value = "TOKEN",                                                                          \
        .heading = REMOTE_HEADING,                                                                 \
        .summary = "Bearer token"},                                                                \
               [(first) + REMOTE_TOKEN_FILE] = {.name = "token-file",                              \
                   .kind = ARG_TEXT,                                                               \
                   .value = "PATH",                                                                \
                   .heading = REMOTE_HEADING,                                                      \
                   .summary = "File with the bearer token"},                                       \
               [(first) + REMOTE_TLS_CA] = {.name = "tls-ca",                                      \
                   .kind = ARG_TEXT,                                                               \
                   .value = "PATH",                                                                \
                   .heading = REMOTE_HEADING,                                                      \
                   .summary = "PEM file with the certificates to trust"},                          \
               [(first) + REMOTE_TLS_SKIP_VERIFY] = {.name = "tls-skip-verify",                    \
                   .heading = REMOTE_HEADING,                                                      \
                   .summary = "Trust any server certificate (unsafe)"}

/* What a command can do with local pools alone; `option` is an index of its table. */
struct remote_refused {
    size_t option;
    const char *hint;
};

#define REMOTE_HINT_CREATE "Create the pool server-side, then use it from here."

/* Whether the options fit the kind of reference. refused ends with an entry without a hint.
 * 0, or -1: Usage. */
int remote_check(const struct args *args, size_t first, const struct ref *ref,
    const struct remote_refused *refused, plsm_error_t **err);

/* What a server's address alone does not give. */
struct remote {
    struct buf token;  /* without line end; empty: none */
    struct buf tls_ca; /* PEM; empty: trust what the system trusts */
};

void remote_fini(struct remote *remote);

static inline void remote_fini_scoped(struct remote *remote)
{
    remote_fini(remote);
}

/* Reads the options and their files. -1: Usage, with the path where a file is at fault. */
int remote_read(
    const struct args *args, size_t first, struct remote *out_remote, plsm_error_t **err);

/* For references that remote_check() let pass: -1 with what remote_read() says, or else that there
 * is no client. */
int remote_unsupported(const struct args *args, size_t first, plsm_error_t **err);

#endif

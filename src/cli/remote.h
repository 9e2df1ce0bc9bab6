/* What a command needs besides a server's address to reach a remote pool: options that feed and
 * follow share, and the files that they name. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/args.h"

/* Where the command has the options in its table. */
struct remote_options {
    size_t token;
    size_t token_file;
    size_t tls_ca;
};

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
int remote_read(const struct args *args, const struct remote_options *options,
    struct remote *out_remote, plsm_error_t **err);

#endif

/* Pool references: how users name a pool.
 *
 *     chat                     DIR/chat.plasmite
 *     chat.plasmite            DIR/chat.plasmite
 *     ./chat.plasmite, a/b     a path, used as given
 *     http://host:port/chat    a pool of a server
 *
 * DIR is the pool directory: the one given, else $HOME/.plasmite/pools. */
#ifndef CLIENT_REF_H
#define CLIENT_REF_H

#include "base/error.h"

enum ref_kind {
    REF_NAME,
    REF_PATH,
    REF_REMOTE,
};

struct ref {
    enum ref_kind kind;
    const char *text; /* as given; borrowed */
    char *path;       /* of the file; remote: the server, "http://host:port" */
    const char *pool; /* remote: the pool's name, a part of text; else NULL */
};

/* dir may be NULL. Remote references are checked for their shape; nothing is opened.
 * -1: Usage. */
int ref_resolve(const char *text, const char *dir, struct ref *out_ref, plsm_error_t **err);

/* The same where only local pools make sense; command is named in the error. */
int ref_resolve_local(const char *text, const char *dir, const char *command, struct ref *out_ref,
    plsm_error_t **err);

void ref_fini(struct ref *ref);

static inline void ref_fini_scoped(struct ref *ref)
{
    ref_fini(ref);
}

/* The pool directory as an allocated string, without a slash at its end. NULL: out of memory. */
char *ref_directory(const char *dir);

/* Makes the directory of path and its parents, private to the user. -1: Io with the path. */
int ref_make_parents(const char *path, plsm_error_t **err);

/* Removes the name of a local pool's file. -1: NotFound "pool not found", Permission, Io, with the
 * path. */
int ref_delete(const struct ref *ref, plsm_error_t **err);

#define REF_SUFFIX ".plasmite"

#endif

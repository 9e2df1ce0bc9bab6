/* libplasmite as the addon calls it: through a table that is filled when the addon is loaded.
 *
 * The functions of the first list are those that every libplasmite has; without one of them the
 * addon does not load. The others are NULL where the library is too old, and the methods that
 * need them do not exist then.
 *
 * The library is the one in the folder that PLASMITE_LIB_DIR names; else the one beside the addon,
 * which is linked against it. */
#ifndef BINDINGS_NODE_SRC_LIBRARY_H
#define BINDINGS_NODE_SRC_LIBRARY_H

#include "plasmite.h"

#include <stdbool.h>
#include <stddef.h>

#define LIBRARY_REQUIRED(X)                                                                        \
    X(error_free)                                                                                  \
    X(buf_free)                                                                                    \
    X(client_new)                                                                                  \
    X(client_free)                                                                                 \
    X(pool_create)                                                                                 \
    X(pool_open)                                                                                   \
    X(pool_free)                                                                                   \
    X(pool_append_json)                                                                            \
    X(pool_get_json)                                                                               \
    X(stream_open_ex)                                                                              \
    X(stream_next)                                                                                 \
    X(stream_free)

#define LIBRARY_OPTIONAL(X)                                                                        \
    X(pool_append_lite3)                                                                           \
    X(pool_get_lite3)                                                                              \
    X(lite3_stream_open_ex)                                                                        \
    X(lite3_stream_next)                                                                           \
    X(lite3_stream_free)                                                                           \
    X(lite3_stream_base)                                                                           \
    X(lite3_frame_free)                                                                            \
    X(version)                                                                                     \
    X(error_hint)                                                                                  \
    X(guard_install)                                                                               \
    X(pool_open_ex)                                                                                \
    X(client_pool_dir)                                                                             \
    X(pool_path)                                                                                   \
    X(pool_list)                                                                                   \
    X(pool_delete)                                                                                 \
    X(pool_info)                                                                                   \
    X(pool_verify)                                                                                 \
    X(pool_flush)                                                                                  \
    X(pool_append_batch)                                                                           \
    X(pool_append_json_seq)                                                                        \
    X(stream_seek_last)                                                                            \
    X(stream_seek_time)                                                                            \
    X(stream_require_tags)                                                                         \
    X(stream_filter)                                                                               \
    X(stream_wait)                                                                                 \
    X(stream_fd)                                                                                   \
    X(stream_next_batch)                                                                           \
    X(stream_position)                                                                             \
    X(stream_dropped)

#define LIBRARY_FIELD(name) __typeof__(plsm_##name) *name;

struct library {
    LIBRARY_REQUIRED(LIBRARY_FIELD)
    LIBRARY_OPTIONAL(LIBRARY_FIELD)
};

/* Filled by library_load, once for the process; then only read. */
extern struct library library;

/* Fills the table. False: it cannot be, and *out_problem says why; that text is static. Threads
 * may call it at once. */
bool library_load(const char **out_problem);

#endif

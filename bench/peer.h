/* A peer: another store that people use for what a pool does. Each is one file that fills in
 * this table; peer.c measures them all in the same way, with the same messages, and checks what
 * they stored. A peer that needs a server finds it running (socket= or url=). */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void peer_see(void *context, struct view message);

struct peer {
    /* Opens a store by name (a file in dir=, a stream of the server), in the process that uses
     * it; makes it where create is set. mode= is the peer's own word for how durable it is. */
    void *(*open)(const char *name, bool create);
    void (*close)(void *store);
    void (*remove)(const char *name);

    /* Appends: one call a message, or n as one transaction or one round trip. */
    void (*append)(void *store, const struct view *messages, uint32_t n);

    /* Shows all messages, oldest first. */
    void (*scan)(void *store, peer_see *see, void *context);

    /* Copies message number i (from 0) to out, `size` bytes. */
    void (*fetch)(void *store, uint64_t i, uint8_t *out, size_t size);

    /* Blocks until there is a message after the last one received (after open: after the newest),
     * and copies it. NULL where the peer cannot wait. */
    void (*subscribe)(void *store);
    void (*receive)(void *store, char *out, size_t size);
};

extern const struct peer peer;

#endif

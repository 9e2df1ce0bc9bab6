/* Durability, within this folder. pool_flush() is public: see engine/pool.h. */
#ifndef ENGINE_FLUSH_H
#define ENGINE_FLUSH_H

#include "engine/handle.h"

/* Syncs even if everything is durable already, so that the disk also knows that it is: moves
 * durable_known. POOL_OK, POOL_BUSY or -1. */
int flush_confirm(struct pool *pool, plsm_error_t **err);

/* Whether the words that say what is durable fit each other and the tail. Reads them all: true also
 * while others flush. */
bool flush_words_sound(const struct pool *pool);

#endif

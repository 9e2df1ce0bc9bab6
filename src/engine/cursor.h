/* Reading, within this folder. The cursor itself is public: see engine/pool.h. */
#ifndef ENGINE_CURSOR_H
#define ENGINE_CURSOR_H

#include "engine/handle.h"

/* Whether writers have given the bytes at pos free, so that what was read there may be torn. */
bool cursor_head_passed(const struct pool *pool, uint64_t pos);

#endif

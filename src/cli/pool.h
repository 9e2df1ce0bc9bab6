/* What the pool commands share. */
#ifndef CLI_POOL_H
#define CLI_POOL_H

#include "cli/text.h"
#include "engine/pool.h"

#define POOL_INDEX_SLOT_BYTES 16u

/* A pool as JSON: {"name":...,"path":...,"file_size":...,...}. name: as the user typed it. */
void pool_json(struct text *text, const char *name, const char *path, const struct pool_info *info);

/* "bounds":{...}: empty for an empty pool. */
void pool_json_bounds(struct text *text, const struct pool_info *info);

/* The used part of the ring in hundredths of a percent, rounded down. */
uint64_t pool_used_hundredths(const struct pool_info *info);

/* Opens, asks, closes. -1: the error. */
int pool_look(const char *path, struct pool_info *out_info, plsm_error_t **err);

/* How long ago; 0 for a time in the future. */
uint64_t pool_age_ns(uint64_t time_ns);

#endif

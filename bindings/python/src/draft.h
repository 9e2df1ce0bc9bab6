/* Draft of what plasmite.h is going to have. */
#ifndef DRAFT_H
#define DRAFT_H
#include "plasmite.h"
typedef struct plsm_lite3_stream plsm_lite3_stream_t;
typedef struct plsm_lite3_frame { uint64_t seq, timestamp_ns; uint32_t flags; plsm_buf_t payload; } plsm_lite3_frame_t;
PLSM_API int plsm_pool_append_lite3(plsm_pool_t *pool, const uint8_t *payload, size_t len, uint32_t durability, uint64_t *out_seq, plsm_error_t **out_err);
PLSM_API int plsm_pool_get_lite3(plsm_pool_t *pool, uint64_t seq, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err);
PLSM_API int plsm_lite3_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options, plsm_lite3_stream_t **out_stream, plsm_error_t **out_err);
PLSM_API int plsm_lite3_stream_next(plsm_lite3_stream_t *stream, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err);
PLSM_API void plsm_lite3_stream_free(plsm_lite3_stream_t *stream);
PLSM_API void plsm_lite3_frame_free(plsm_lite3_frame_t *frame);
#endif

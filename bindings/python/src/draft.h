/* The functions for Lite3 payloads, which plasmite.h does not declare yet. */
#ifndef DRAFT_H
#define DRAFT_H

#include "plasmite.h"

struct plsm_lite3_stream;
struct plsm_lite3_frame;

int plsm_pool_append_lite3(plsm_pool_t *pool, const uint8_t *payload, size_t payload_len,
    uint32_t durability, uint64_t *out_seq, plsm_error_t **out_err);
int plsm_pool_get_lite3(
    plsm_pool_t *pool, uint64_t seq, struct plsm_lite3_frame *out_frame, plsm_error_t **out_err);
int plsm_lite3_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options,
    struct plsm_lite3_stream **out_stream, plsm_error_t **out_err);
int plsm_lite3_stream_next(
    struct plsm_lite3_stream *stream, struct plsm_lite3_frame *out_frame, plsm_error_t **out_err);
void plsm_lite3_stream_free(struct plsm_lite3_stream *stream);
void plsm_lite3_frame_free(struct plsm_lite3_frame *frame);

#endif

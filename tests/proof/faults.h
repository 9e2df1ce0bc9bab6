/* What the parts of the faults proof share. */
#ifndef PROOF_FAULTS_H
#define PROOF_FAULTS_H

#include "base/error.h"
#include "engine/pool.h"
#include "tests/proof/proof.h"

#include <stdbool.h>

#define STAGE_BATCH    16
#define STAGE_MESSAGES 400 /* in every pool to begin with, oldest ones overwritten */

enum stage_pool {
    STAGE_NONE = -1, /* the scene has nothing to do with pools */
    STAGE_SOUND,
    STAGE_DAMAGED,  /* a message in the middle has a flipped bit */
    STAGE_REBOOTED, /* last used before the machine's present start */
    STAGE_POISONED, /* a sync failed, and all users have gone since */
    STAGE_DIED,     /* a writer died inside */
    N_STAGE_POOLS,
};

/* Where a scene is played: a folder with one pool. */
struct stage {
    char folder[64];
    char path[96]; /* of the pool */
    char other[96];
    char text[96]; /* a file of text for ingestion */
    int text_fd;
    struct pool *held;
    void *abi_client;
    void *abi_pool;
    uint64_t first_new; /* seq that the next message gets */
    uint64_t n_tried;
    uint64_t n_acked;
    unsigned batch; /* new messages come in such numbers */
};

struct scene {
    const char *name;
    enum stage_pool pool;
    void (*prepare)(struct stage *stage); /* opens what lies open meanwhile; may be NULL */
    /* POOL_OK, another outcome that does not depend on failures, POOL_BUSY or -1 */
    int (*run)(struct stage *stage, plsm_error_t **err);
    void (*finish)(struct stage *stage);
    int outcome;   /* what run() gives where nothing fails; POOL_OK mostly */
    bool replaces; /* a repair: the pool is another one afterwards */
};

/* faults_scenes.c, faults_abi.c, faults_streams.c */
extern const struct scene engine_scenes[];
extern const struct scene abi_scenes[];
extern const struct scene stream_scenes[];
extern const unsigned n_engine_scenes;
extern const unsigned n_abi_scenes;
extern const unsigned n_stream_scenes;

/* Opens and closes client and pool of the stage. */
void abi_prepare(struct stage *stage);
void abi_close(struct stage *stage);

/* faults_json.c */
int run_filter_constants(struct stage *stage, plsm_error_t **err);
int run_filter_values(struct stage *stage, plsm_error_t **err);
int run_filter_budget(struct stage *stage, plsm_error_t **err);
int run_json_write(struct stage *stage, plsm_error_t **err);
int run_json_quote(struct stage *stage, plsm_error_t **err);
int run_lite3(struct stage *stage, plsm_error_t **err);

/* The text of the message with this seq, and whether a frame holds it. */
struct view stage_message(uint64_t seq, char out_text[static 160]);
bool stage_is_message(const struct frame *frame);

#endif

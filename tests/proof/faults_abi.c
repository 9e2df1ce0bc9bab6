/* Scenes of the C library: pools from its side, and appending. */
#include "tests/proof/faults.h"

#include "plasmite.h"

#include <fcntl.h>
#include <sys/stat.h>

static int abi_open(struct stage *stage, plsm_error_t **err)
{
    plsm_client_t *client = NULL;
    plsm_pool_t *pool = NULL;

    if (plsm_client_new(stage->folder, &client, err) < 0)
        return -1;
    stage->abi_client = client;
    if (plsm_pool_open(client, "pool", &pool, err) < 0)
        return -1;
    stage->abi_pool = pool;
    return 0;
}

void abi_prepare(struct stage *stage)
{
    must(abi_open(stage, NULL) == 0);
}

void abi_close(struct stage *stage)
{
    plsm_pool_free(stage->abi_pool);
    plsm_client_free(stage->abi_client);
    stage->abi_pool = NULL;
    stage->abi_client = NULL;
}

/* Opening, looking, removing --------------------------------------------------------------------*/

static int run_open(struct stage *stage, plsm_error_t **err)
{
    const int r = abi_open(stage, err);
    abi_close(stage);
    return r;
}

static int run_create(struct stage *stage, plsm_error_t **err)
{
    plsm_pool_t *pool = NULL;
    const int r = plsm_pool_create(stage->abi_client, "other", 16384, &pool, err);
    plsm_pool_free(pool);
    return r;
}

static int open_ex(
    struct stage *stage, const char *name, plsm_open_options_t options, plsm_error_t **err)
{
    plsm_pool_t *pool = NULL;

    options.struct_size = sizeof(options);
    options.has_busy_timeout = 1;
    options.busy_timeout_ms = 20;
    const int r = plsm_pool_open_ex(stage->abi_client, name, &options, &pool, err);
    must(r == 0 || pool == NULL);
    plsm_pool_free(pool);
    return r;
}

static int run_open_or_create(struct stage *stage, plsm_error_t **err)
{
    const plsm_open_options_t options = {.create = PLSM_OPEN_OR_CREATE, .size_bytes = 16384};
    return open_ex(stage, "other", options, err);
}

static int run_open_what_is(struct stage *stage, plsm_error_t **err)
{
    return open_ex(stage, "pool", (plsm_open_options_t){.create = PLSM_OPEN_OR_CREATE}, err);
}

static int run_open_to_read(struct stage *stage, plsm_error_t **err)
{
    return open_ex(stage, "pool", (plsm_open_options_t){.read_only = 1}, err);
}

static void prepare_other(struct stage *stage)
{
    plsm_pool_t *pool = NULL;
    abi_prepare(stage);
    must(plsm_pool_create(stage->abi_client, "other", 16384, &pool, NULL) == 0);
    plsm_pool_free(pool);
}

static int run_list(struct stage *stage, plsm_error_t **err)
{
    static const char expected[] = "other\0pool";
    plsm_buf_t names = {0};

    const int r = plsm_pool_list(stage->abi_client, &names, err);
    must(r == 0 || names.data == NULL);
    const bool right =
        r == 0 && names.len == sizeof(expected) && memcmp(names.data, expected, names.len) == 0;
    plsm_buf_free(&names);
    return r == 0 && !right ? 99 : r;
}

static int run_delete(struct stage *stage, plsm_error_t **err)
{
    const int r = plsm_pool_delete(stage->abi_client, "other", err);
    const bool gone = access(stage->other, F_OK) != 0;
    return r == 0 && !gone ? 99 : r;
}

static int run_info(struct stage *stage, plsm_error_t **err)
{
    plsm_pool_info_t info = {.struct_size = sizeof(info)};

    const int r = plsm_pool_info(stage->abi_pool, &info, err);
    return r == 0 && info.next_seq != stage->first_new ? 99 : r;
}

static int run_verify(struct stage *stage, plsm_error_t **err)
{
    static const char healthy[] = "{\"healthy\":true,";
    plsm_buf_t report = {0};

    const int r = plsm_pool_verify(stage->abi_pool, &report, err);
    must(r == 0 || report.data == NULL);
    const bool right = r == 0 && memcmp(report.data, healthy, sizeof(healthy) - 1) == 0;
    plsm_buf_free(&report);
    return r == 0 && !right ? 99 : r;
}

static int run_flush(struct stage *stage, plsm_error_t **err)
{
    return plsm_pool_flush(stage->abi_pool, err);
}

/* Messages --------------------------------------------------------------------------------------*/

static const char *tags[] = {"a", "b\"", "c"};

static int run_append(struct stage *stage, plsm_error_t **err)
{
    plsm_buf_t message = {0};
    char text[160];
    const struct view json = stage_message(stage->first_new, text);

    stage->n_tried = 1;
    const int r = plsm_pool_append_json(
        stage->abi_pool, json.data, json.len, tags, 3, PLSM_FLUSH, &message, err);
    must(r == 0 || message.data == NULL);
    plsm_buf_free(&message);
    stage->n_acked += r == 0;
    return r;
}

static int run_append_seq(struct stage *stage, plsm_error_t **err)
{
    uint64_t seq = 0;
    uint64_t time_ns = 0;
    char text[160];
    const struct view json = stage_message(stage->first_new, text);

    stage->n_tried = 1;
    const int r = plsm_pool_append_json_seq(
        stage->abi_pool, json.data, json.len, tags, 3, PLSM_FLUSH, &seq, &time_ns, err);
    must((r == 0) == (seq == stage->first_new && time_ns != 0));
    stage->n_acked += r == 0;
    return r;
}

static int run_append_batch(struct stage *stage, plsm_error_t **err)
{
    plsm_input_t inputs[STAGE_BATCH] = {0};
    char texts[STAGE_BATCH][160];

    for (unsigned i = 0; i < STAGE_BATCH; i++) {
        const struct view json = stage_message(stage->first_new + i, texts[i]);
        inputs[i] = (plsm_input_t){
            .json = json.data, .json_len = json.len, .tags = tags, .tags_len = i % 4};
    }
    stage->batch = STAGE_BATCH;
    stage->n_tried = STAGE_BATCH;
    const int r =
        plsm_pool_append_batch(stage->abi_pool, inputs, STAGE_BATCH, PLSM_FAST, NULL, err);
    stage->n_acked += r == 0 ? STAGE_BATCH : 0;
    return r;
}

static int run_get(struct stage *stage, plsm_error_t **err)
{
    plsm_buf_t message = {0};
    const int r = plsm_pool_get_json(stage->abi_pool, stage->first_new - 1, &message, err);
    must(r == 0 || message.data == NULL);
    plsm_buf_free(&message);
    return r;
}

#define SCENE(name, prepare, run, finish)                                                          \
    {                                                                                              \
        name, STAGE_SOUND, prepare, run, finish, 0, false                                          \
    }

const struct scene abi_scenes[] = {
    SCENE("plsm_pool_open", NULL, run_open, NULL),
    SCENE("plsm_pool_create", abi_prepare, run_create, abi_close),
    SCENE("plsm_pool_open_ex that creates", abi_prepare, run_open_or_create, abi_close),
    SCENE("plsm_pool_open_ex of what is there", abi_prepare, run_open_what_is, abi_close),
    SCENE("plsm_pool_open_ex to read", abi_prepare, run_open_to_read, abi_close),
    SCENE("plsm_pool_list", prepare_other, run_list, abi_close),
    SCENE("plsm_pool_delete", prepare_other, run_delete, abi_close),
    SCENE("plsm_pool_info", abi_prepare, run_info, abi_close),
    SCENE("plsm_pool_verify", abi_prepare, run_verify, abi_close),
    SCENE("plsm_pool_flush", abi_prepare, run_flush, abi_close),
    SCENE("plsm_pool_append_json", abi_prepare, run_append, abi_close),
    SCENE("plsm_pool_append_json_seq", abi_prepare, run_append_seq, abi_close),
    SCENE("plsm_pool_append_batch", abi_prepare, run_append_batch, abi_close),
    SCENE("plsm_pool_get_json", abi_prepare, run_get, abi_close),
};
const unsigned n_abi_scenes = sizeof(abi_scenes) / sizeof(*abi_scenes);

/* The pools that are damaged: each filled in another way, with every message remembered. */
#include "base/clock.h"
#include "base/limits.h"
#include "damage.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/index.h"
#include "proof.h"

#include <fcntl.h>

#define FIRST_TIME_NS (UINT64_C(1700000000) * NS_PER_SECOND)
#define BATCH_MAX     40

/* How a scene is filled. */
struct filling {
    size_t n_messages;
    size_t len_min;
    size_t len_max;
    size_t batch_max;
};

static void scene_take(uint8_t image[static DAMAGE_BYTES])
{
    const int fd = open(damage_path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    must(pread(fd, image, DAMAGE_BYTES, 0) == (ssize_t)DAMAGE_BYTES);
    close(fd);
}

static struct view scene_keep(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    must(copy != NULL);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return view_of(copy, len);
}

/* {"seq":N,"text":"..."} of a random length, and tags now and then. */
static void scene_write(struct scene *scene, const struct filling *filling, struct rng *rng,
    uint64_t seq, struct message *out_message)
{
    static char text[DAMAGE_BYTES];
    const size_t wanted =
        filling->len_min + (size_t)rng_below(rng, filling->len_max - filling->len_min + 1);
    size_t len =
        (size_t)snprintf(text, sizeof(text), "{\"seq\":%llu,\"text\":\"", (unsigned long long)seq);

    while (len + 2 < wanted)
        text[len++] = (char)('a' + rng_below(rng, 26));
    text[len++] = '"';
    text[len++] = '}';
    must(seq < DAMAGE_SEQS);
    struct written *written = &scene->messages[seq];
    *written = (struct written){view_of("", 0), scene_keep(text, len), FIRST_TIME_NS + seq * 1000};
    if (rng_below(rng, 3) == 0)
        written->tags = view_str("[\"one\",\"another\"]");
    *out_message =
        (struct message){.tags = written->tags, .data = written->data, .time_ns = written->time_ns};
}

/* Appends until n_messages are there, and keeps the file as it was on the way. */
static void scene_fill(
    struct scene *scene, struct pool *pool, const struct filling *filling, struct rng *rng)
{
    /* the last ones lie a lap, half a lap and one message back */
    const size_t at[DAMAGE_IMAGES] = {
        0, filling->n_messages / 3, filling->n_messages * 9 / 10, filling->n_messages - 1};
    struct message messages[BATCH_MAX];
    struct appended appended;
    size_t image = 0;

    for (size_t n = 0; n < filling->n_messages;) {
        size_t batch = 1 + (size_t)rng_below(rng, filling->batch_max);
        if (n + batch > filling->n_messages)
            batch = filling->n_messages - n;
        while (image < DAMAGE_IMAGES && n >= at[image])
            scene_take(scene->earlier[image++]);
        for (size_t i = 0; i < batch; i++)
            scene_write(scene, filling, rng, n + i + 1, &messages[i]);
        must(pool_append(pool, messages, batch, &appended, NULL) == POOL_OK);
        must(appended.first_seq == n + 1);
        if (n < filling->n_messages / 2 && n + batch >= filling->n_messages / 2)
            must(pool_flush(pool, NULL) == POOL_OK);
        n += batch;
    }
    while (image < DAMAGE_IMAGES)
        scene_take(scene->earlier[image++]);
}

/* Lists the frames between head and tail, and takes the file. */
static void scene_walk(struct scene *scene)
{
    struct pool *pool = NULL;
    struct ring_state state;
    struct frame_header header;

    scene_take(scene->image);
    must(pool_open(damage_path, POOL_READ, NULL, &pool, NULL) == POOL_OK);
    must(ring_state_peek(pool, &state));
    scene->n_frames = scene->n_messages = 0;
    for (uint64_t pos = state.head; pos < state.tail; pos += frame_length(&header)) {
        must(index_read_header(pool, pos, state.tail, &header));
        must(scene->n_frames < DAMAGE_SEQS);
        const bool is_message = header.type == FRAME_MESSAGE;
        const size_t body = is_message ? header.tags_len + header.data_len : 0;
        scene->frames[scene->n_frames++] = (struct standing){
            .offset = pool_file_offset(pool, pos),
            .length = sizeof(header) + body,
            .pos = pos,
            .seq = header.seq,
            .is_message = is_message,
        };
        scene->n_messages += is_message;
    }
    scene->next_seq = state.next_seq;
    pool_close(pool);
}

static struct scene *scene_make(
    const char *name, uint64_t index_capacity, const struct filling *filling, uint64_t seed)
{
    const struct pool_create_options options = {
        .size_bytes = DAMAGE_BYTES, .index_capacity = index_capacity};
    struct scene *scene = calloc(1, sizeof(*scene));
    struct rng rng = {seed};
    struct pool *pool = NULL;

    must(scene != NULL);
    scene->name = name;
    scene->index_capacity = index_capacity;
    unlink(damage_path);
    must(pool_create(damage_path, &options, NULL) == 0);
    must(pool_open(damage_path, POOL_WRITE, NULL, &pool, NULL) == POOL_OK);
    scene_fill(scene, pool, filling, &rng);
    pool_close(pool);
    scene_walk(scene);
    return scene;
}

struct scene *scene_wrapped(uint64_t seed)
{
    return scene_make("wrapped", POOL_INDEX_DEFAULT, &(struct filling){900, 40, 500, 1}, seed);
}

struct scene *scene_batches(uint64_t seed)
{
    return scene_make(
        "batches", POOL_INDEX_DEFAULT, &(struct filling){1500, 30, 200, BATCH_MAX}, seed);
}

struct scene *scene_long(uint64_t seed)
{
    return scene_make("long", POOL_INDEX_DEFAULT, &(struct filling){120, 100, 20000, 1}, seed);
}

struct scene *scene_young(uint64_t seed)
{
    return scene_make("young", POOL_INDEX_DEFAULT, &(struct filling){100, 40, 500, 5}, seed);
}

struct scene *scene_unindexed(uint64_t seed)
{
    return scene_make("unindexed", 0, &(struct filling){600, 40, 500, 3}, seed);
}

/* Two messages of the sound pool were damaged once, and a repair left holes. */
struct scene *scene_mended(uint64_t seed)
{
    struct scene *scene =
        scene_make("mended", POOL_INDEX_DEFAULT, &(struct filling){700, 40, 500, 1}, seed);
    struct pool_repaired repaired;

    for (size_t i = 1; i <= 2; i++) {
        const struct standing *frame = &scene->frames[scene->n_frames * i / 3];
        scene->image[frame->offset + sizeof(struct frame_header)] ^= 0x10;
    }
    damage_put(scene->image);
    must(pool_repair(damage_path, NULL, &repaired, NULL) == POOL_OK);
    must(repaired.n_lost > 0);
    unlink(repaired.copy_path);
    pool_repaired_fini(&repaired);
    scene_walk(scene);
    return scene;
}

void scene_free(struct scene *scene)
{
    if (scene == NULL)
        return;
    for (size_t i = 0; i < DAMAGE_SEQS; i++)
        free((void *)(uintptr_t)scene->messages[i].data.data);
    free(scene);
}

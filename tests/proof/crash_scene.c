/* What is done to a pool while it is stepped: pools in every condition, and every call that writes.
 * Each round of a shape draws other sizes. */
#include "engine/frame.h"
#include "engine/index.h"
#include "os/map.h"
#include "tests/proof/crash.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Contents of all messages: any bytes will do, as long as no two messages have the same. */
static uint8_t texts[SCENE_MESSAGES_MAX][STATE_BYTES_MAX];
static uint8_t tags[SCENE_MESSAGES_MAX][256];

static void must(int result, plsm_error_t *err, const char *what)
{
    if (result != POOL_OK)
        crash_die("%s gave %d: %s", what, result, err != NULL ? err->message : "no error");
}

static struct view text_draw(struct rng *rng, uint8_t *text, size_t len)
{
    const uint64_t mark = rng_next(rng);
    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t)('a' + (mark >> i % 59) % 16 + i % 3);
    return view_of(text, len);
}

/* One message that takes so many bytes of ring. */
static struct message message_draw(struct rng *rng, size_t slot, uint64_t footprint)
{
    const size_t room = (size_t)footprint - sizeof(struct frame_header);
    return (struct message){
        .data = text_draw(rng, texts[slot], room - (size_t)rng_below(rng, 30)),
        .encoding = rng_below(rng, 4) == 0 ? ENCODING_LITE3 : ENCODING_JSON,
    };
}

/* Most are short. None is so long that it is copied byte by byte, as far as steps can see: then these
 * states would be nearly all there are. */
static uint64_t footprint_draw(struct rng *rng, uint64_t max)
{
    const uint64_t long_one = max < 2048 ? max : 2048;
    const uint64_t most = rng_below(rng, 6) == 0 ? long_one : 320;
    return frame_round(64 + rng_below(rng, most - 63));
}

static struct pool *scene_open(const char *path, enum pool_mode mode)
{
    struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    must(pool_open(path, mode, NULL, &pool, &err), err, "open");
    return pool;
}

static struct pool *scene_pool_with(struct scene *scene, struct pool_create_options options)
{
    plsm_error_t *err = NULL;
    options.size_bytes = scene->size;
    unlink(scene->path);
    must(pool_create(scene->path, &options, &err), err, "create");
    return scene_open(scene->path, POOL_WRITE);
}

static struct pool *scene_pool_up_to(struct scene *scene, uint64_t size_max)
{
    static const uint64_t indices[] = {POOL_INDEX_DEFAULT, POOL_INDEX_DEFAULT, 0, 5, 100};
    static const uint64_t sizes[] = {8192, 8192, 12288, 16384, 32768, 65536};

    scene->size = sizes[rng_below(&scene->rng, sizeof(sizes) / sizeof(sizes[0]))];
    if (scene->size > size_max)
        scene->size = size_max;
    return scene_pool_with(
        scene, (struct pool_create_options){
                   .index_capacity =
                       indices[rng_below(&scene->rng, sizeof(indices) / sizeof(indices[0]))]});
}

static struct pool *scene_pool(struct scene *scene)
{
    return scene_pool_up_to(scene, STATE_BYTES_MAX);
}

static void scene_append(struct pool *pool, struct rng *rng, uint64_t footprint)
{
    const struct message message = message_draw(rng, 0, footprint);
    struct appended appended;
    plsm_error_t *err = NULL;
    must(pool_append(pool, &message, 1, &appended, &err), err, "append");
}

static uint64_t scene_tail(const struct pool *pool)
{
    return atomic_load(&pool->control->tail);
}

/* Bytes from the tail to the ring's end. */
static uint64_t scene_room(const struct pool *pool)
{
    return pool->ring_size - scene_tail(pool) % pool->ring_size;
}

/* Appends so many bytes, a multiple of 32 and not 32 itself. */
static void scene_fill(struct pool *pool, struct rng *rng, uint64_t bytes)
{
    while (bytes >= 64) {
        uint64_t footprint = footprint_draw(rng, 2048);
        if (footprint > bytes)
            footprint = bytes;
        if (bytes - footprint == 32)
            footprint += 32;
        if (footprint > scene_room(pool)) /* a pad comes between */
            footprint = scene_room(pool) > 32 ? scene_room(pool) : footprint;
        scene_append(pool, rng, footprint);
        bytes = footprint < bytes ? bytes - footprint : 0;
    }
}

/* Fills the ring with the shortest messages, so that head and tail fall together. */
static void scene_fill_evenly(struct pool *pool, struct rng *rng)
{
    for (uint64_t done = 0; done < pool->ring_size + 64; done += 64)
        scene_append(pool, rng, 64);
}

/* Fills the ring, and goes on for a part of a lap. */
static void scene_fill_up(struct pool *pool, struct rng *rng)
{
    scene_fill(pool, rng, pool->ring_size + 64 + frame_round(rng_below(rng, pool->ring_size)));
}

/* Leaves so much room at the ring's end. */
static void scene_leave(struct pool *pool, struct rng *rng, uint64_t room)
{
    if (scene_room(pool) < room + 64)
        scene_fill(pool, rng, scene_room(pool) == 32 ? 64 : scene_room(pool));
    scene_fill(pool, rng, scene_room(pool) - room);
}

/* What will be appended. */
static void scene_say(struct scene *scene, uint64_t footprint)
{
    scene->messages[0] = message_draw(&scene->rng, 0, footprint);
    scene->n_messages = 1;
}

static void scene_say_batch(struct scene *scene, uint64_t ring_size)
{
    const size_t n = 2 + (size_t)rng_below(&scene->rng, SCENE_MESSAGES_MAX - 1);
    uint64_t sum = 0;
    uint64_t largest = 0;

    scene->n_messages = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t footprint = footprint_draw(&scene->rng, ring_size / 4);
        largest = footprint > largest ? footprint : largest;
        sum += footprint;
        if (sum + largest > ring_size)
            return;
        scene->messages[scene->n_messages++] = message_draw(&scene->rng, i, footprint);
    }
}

/* A batch that takes so many bytes, in frames that are copied at once. */
static void scene_say_bytes(struct scene *scene, uint64_t bytes)
{
    scene->n_messages = 0;
    while (bytes >= 64 && scene->n_messages < SCENE_MESSAGES_MAX) {
        const uint64_t footprint = frame_round(bytes < 1024 ? bytes : 1024);
        scene->messages[scene->n_messages] =
            message_draw(&scene->rng, scene->n_messages, footprint);
        scene->n_messages++;
        bytes -= footprint < bytes ? footprint : bytes;
    }
}

/* Changes control words behind the engine's back. */
static struct control *control_map(const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *map = fd >= 0 ? map_file(fd, FORMAT_HEADER_SIZE, true) : NULL;
    if (map == NULL)
        crash_die("%s cannot be mapped", path);
    close(fd);
    return (struct control *)(void *)(map + FORMAT_CONTROL_OFFSET);
}

static void control_unmap(struct control *control)
{
    map_free((uint8_t *)control - FORMAT_CONTROL_OFFSET, FORMAT_HEADER_SIZE);
}

static void shape_empty(struct scene *scene)
{
    pool_close(scene_pool(scene));
    scene_say(scene, footprint_draw(&scene->rng, 2048));
}

static void shape_half(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    scene_fill(pool, &scene->rng, frame_round(pool->ring_size / 2));
    scene_say(scene, footprint_draw(&scene->rng, 1024));
}

static void shape_tags(struct scene *scene)
{
    shape_half(scene);
    const size_t len = 1 + (size_t)rng_below(&scene->rng, sizeof(tags[0]));
    scene->messages[0].tags = text_draw(&scene->rng, tags[0], len);
}

static void shape_full(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    scene_fill_up(pool, &scene->rng);
    scene_say(scene, footprint_draw(&scene->rng, pool->ring_size / 2));
}

static void shape_pad(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    if (rng_below(&scene->rng, 2) == 0)
        scene_fill_evenly(pool, &scene->rng);
    else
        scene_fill(pool, &scene->rng, rng_below(&scene->rng, 2) * pool->ring_size);
    const uint64_t room = 32 + 32 * rng_below(&scene->rng, 12);
    scene_leave(pool, &scene->rng, room);
    scene_say(scene, room + 64 + 32 * rng_below(&scene->rng, 8));
}

static void shape_exact(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    scene_fill(pool, &scene->rng, rng_below(&scene->rng, 2) * pool->ring_size);
    const uint64_t room = 64 + 32 * rng_below(&scene->rng, 12);
    scene_leave(pool, &scene->rng, room);
    scene_say(scene, room);
}

static void shape_batch(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    if (rng_below(&scene->rng, 2) == 0)
        scene_fill_up(pool, &scene->rng);
    scene_say_batch(scene, pool->ring_size);
}

static void shape_batch_pad(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    scene_fill(pool, &scene->rng, pool->ring_size);
    scene_leave(pool, &scene->rng, 32 + 32 * rng_below(&scene->rng, 16));
    scene_say_batch(scene, pool->ring_size);
}

static void shape_ring_long(struct scene *scene)
{
    scene->size = 8192; /* the ring takes less than 2 KiB, which are not copied byte by byte */
    const uint64_t index = 130 + rng_below(&scene->rng, 60);
    scoped(pool_close) struct pool *pool =
        scene_pool_with(scene, (struct pool_create_options){.index_capacity = index});
    scene_fill(pool, &scene->rng, 64 + 32 * rng_below(&scene->rng, 100));
    scene_say(scene, pool->ring_size);
}

static void shape_one_frame(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    scene_append(pool, &scene->rng, pool->ring_size);
    scene_say(scene, footprint_draw(&scene->rng, 1024));
}

/* One of the oldest frames is damaged, and must be given up. */
static void shape_damage(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    struct rng *rng = &scene->rng;
    struct frame_header header;

    scene_fill_up(pool, rng);
    const uint64_t head = atomic_load(&pool->control->head);
    const uint64_t tail = scene_tail(pool);
    uint64_t pos = head;
    for (uint64_t i = rng_below(rng, 4);; i--) {
        if (!index_read_header(pool, pos, tail, &header))
            crash_die("no frame at %llu", (unsigned long long)pos);
        const uint64_t length = frame_length(&header);
        if (i == 0 || pos + length - head > pool->ring_size / 4)
            break;
        pos += length;
    }
    const uint64_t body = rng_below(rng, 4) == 0 ? header.data_len : 0; /* headers matter more */
    const uint64_t at = pos % pool->ring_size + rng_below(rng, sizeof(header) + body);
    pool->ring[at] ^= (uint8_t)(1 + rng_below(rng, 255));
    scene->damaged_end = pos + frame_length(&header);
    const uint64_t unused = pool->ring_size - (tail - head);
    const uint64_t wanted = unused + (scene->damaged_end - head) + 32 * rng_below(rng, 8);
    scene_say_bytes(scene, wanted < pool->ring_size / 2 ? wanted : pool->ring_size / 2);
}

/* Seqs and positions at the edges of number formats. */
static void shape_large(struct scene *scene)
{
    static const uint64_t edges[] = {UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 53};
    const uint64_t edge = edges[rng_below(&scene->rng, 3)];
    scene->size = 8192;
    scoped(pool_close) struct pool *pool =
        scene_pool_with(scene, (struct pool_create_options){.index_capacity = POOL_INDEX_DEFAULT,
                                   .first_seq = edge - 20,
                                   .first_pos = edge - 8192});
    scene_fill(pool, &scene->rng, frame_round(rng_below(&scene->rng, 4096)) + 64);
    scene_say_batch(scene, pool->ring_size);
}

/* A reader sleeps. */
static void shape_sleepers(struct scene *scene)
{
    shape_half(scene);
    struct control *control = control_map(scene->path);
    atomic_store(&control->sleepers, 1);
    control_unmap(control);
}

static void shape_flush(struct scene *scene)
{
    shape_half(scene);
    scene->n_messages = (size_t)rng_below(&scene->rng, 2);
    scene->flush = true;
}

/* What was flushed would be lapped before the disk knows that it was. */
static void shape_confirm(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool(scene);
    plsm_error_t *err = NULL;

    scene_fill(pool, &scene->rng, 64 + frame_round(rng_below(&scene->rng, pool->ring_size)));
    must(pool_flush(pool, &err), err, "flush");
    const uint64_t known = atomic_load(&pool->control->durable_known);
    while (scene_tail(pool) + 512 <= known + pool->ring_size)
        scene_fill(pool, &scene->rng, 128);
    scene_say(scene, 1024);
}

/* The lock that somebody died with. */
static void scene_leave_lock(struct scene *scene, bool flush)
{
    struct control *control = control_map(scene->path);
    const uint32_t mark = rng_below(&scene->rng, 2) == 0 ? 0 : FORMAT_LOCK_WAITERS;
    const uint32_t lease = (uint32_t)rng_below(&scene->rng, 4) == 0 ? 200 : scene->lease % 160 + 1;
    atomic_store(flush ? &control->flush_lock : &control->lock, lease | 77u << 15 | mark);
    control_unmap(control);
}

static void shape_takeover(struct scene *scene)
{
    shape_full(scene);
    scene_leave_lock(scene, false);
}

static void shape_takeover_flush(struct scene *scene)
{
    shape_flush(scene);
    scene_leave_lock(scene, true);
}

static void shape_open(struct scene *scene)
{
    shape_full(scene);
    scene->open_inside = true;
}

/* A new handle is given the lease number of one who died with the locks. */
static void shape_open_inherit(struct scene *scene)
{
    shape_full(scene);
    scene->open_inside = true;
    struct control *control = control_map(scene->path);
    atomic_store(&control->lock, scene->lease | 5u << 15);
    atomic_store(&control->flush_lock, scene->lease | 5u << 15 | FORMAT_LOCK_WAITERS);
    control_unmap(control);
}

static void shape_follow(struct scene *scene)
{
    shape_half(scene);
    scene->n_messages = 0;
    scene->reader = true;
}

/* Pages behind the durable position that did not reach the disk. */
static void scene_lose_pages(
    struct scene *scene, uint64_t ring_offset, uint64_t ring_size, uint64_t durable, uint64_t tail)
{
    static const uint8_t nothing[4096];
    const uint64_t n = rng_below(&scene->rng, 3);
    const int fd = open(scene->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        crash_die("%s cannot be opened", scene->path);
    for (uint64_t i = 0; i < n && tail > durable; i++) {
        const uint64_t pos = durable + rng_below(&scene->rng, tail - durable);
        const uint64_t offset = pos % ring_size;
        uint64_t len = 1 + rng_below(&scene->rng, 512);
        if (len > ring_size - offset)
            len = ring_size - offset;
        if (len > tail - pos)
            len = tail - pos;
        if (pwrite(fd, nothing, len, (off_t)(ring_offset + offset)) != (ssize_t)len)
            crash_die("%s cannot be written", scene->path);
    }
    close(fd);
}

/* A file as a reboot may find it: flushed somewhere, with losses behind that. */
static void scene_lose_power(struct scene *scene)
{
    scoped(pool_close) struct pool *pool = scene_pool_up_to(scene, 8192); /* it is scanned */
    plsm_error_t *err = NULL;

    scene_fill(pool, &scene->rng, 64 + frame_round(rng_below(&scene->rng, 2 * pool->ring_size)));
    if (rng_below(&scene->rng, 4) != 0) {
        must(pool_flush(pool, &err), err, "flush");
        must(pool_flush(pool, &err), err, "flush");
    }
    scene_fill(pool, &scene->rng, 64 + frame_round(rng_below(&scene->rng, pool->ring_size / 2)));
    const uint64_t tail = scene_tail(pool);
    scene_lose_pages(scene, pool->superblock.ring_offset, pool->ring_size,
        atomic_load(&pool->control->durable), tail);
    scene->open_inside = true;
    scene->recovers = true;
    scene->n_messages = (size_t)rng_below(&scene->rng, 2);
    if (scene->n_messages > 0)
        scene_say(scene, footprint_draw(&scene->rng, 512));
}

static void shape_recover(struct scene *scene)
{
    scene_lose_power(scene);
    struct control *control = control_map(scene->path);
    control->boot_id[rng_below(&scene->rng, 16)] ^= 0x55;
    if (rng_below(&scene->rng, 3) == 0)
        atomic_store(&control->lock, 7u << 15 | 9);
    control_unmap(control);
}

static void shape_recover_sync(struct scene *scene)
{
    scene_lose_power(scene);
    struct control *control = control_map(scene->path);
    atomic_store(&control->flush_failed, 1);
    control_unmap(control);
}

const struct shape crash_shapes[] = {
    {"append to an empty pool", shape_empty},
    {"append", shape_half},
    {"append with tags", shape_tags},
    {"append that evicts", shape_full},
    {"append with a pad", shape_pad},
    {"append up to the end", shape_exact},
    {"batch", shape_batch},
    {"batch with a pad", shape_batch_pad},
    {"message as long as the ring", shape_ring_long},
    {"append over one frame", shape_one_frame},
    {"append over damage", shape_damage},
    {"append at large numbers", shape_large},
    {"append that wakes", shape_sleepers},
    {"flush", shape_flush},
    {"append that must sync", shape_confirm},
    {"take over a lock", shape_takeover},
    {"take over a flush", shape_takeover_flush},
    {"open", shape_open},
    {"open, inherit locks", shape_open_inherit},
    {"follow", shape_follow},
    {"recover from a power loss", shape_recover},
    {"recover from a failed sync", shape_recover_sync},
};
const size_t crash_n_shapes = sizeof(crash_shapes) / sizeof(crash_shapes[0]);

void scene_prepare(
    struct scene *scene, const struct shape *shape, unsigned round, uint64_t seed, const char *path)
{
    const uint64_t place = (uint64_t)(shape - crash_shapes);
    struct rng mix = {seed ^ (place << 48) ^ ((uint64_t)round << 16)};

    *scene = (struct scene){
        .name = shape->name, .round = round, .rng = {rng_next(&mix)}, .size = STATE_BYTES_MAX};
    snprintf(scene->path, sizeof(scene->path), "%s", path);
    scene->lease = 1 + (uint32_t)rng_below(&scene->rng, FORMAT_WITNESSES);
    shape->prepare(scene);
}

static void scene_write(struct scene *scene, void (*begin)(void))
{
    struct pool *pool = NULL;
    struct appended appended;
    plsm_error_t *err = NULL;

    if (!scene->open_inside) {
        pool = scene_open(scene->path, POOL_WRITE);
        atomic_store(&crash_shared->lease, atomic_load(&pool->lease) & FORMAT_LEASE_MAX);
    } else {
        atomic_store(&crash_shared->lease, scene->lease);
    }
    begin();
    if (scene->open_inside)
        pool = scene_open(scene->path, POOL_WRITE);
    if (scene->n_messages > 0)
        must(pool_append(pool, scene->messages, scene->n_messages, &appended, &err), err, "append");
    if (scene->flush)
        must(pool_flush(pool, &err), err, "flush");
    atomic_store(&crash_shared->acked, true);
    pool_close(pool);
}

/* Waits for a message that does not come. */
static void scene_follow(struct scene *scene, void (*begin)(void))
{
    struct pool *pool = scene_open(scene->path, POOL_READ);
    struct cursor cursor;
    plsm_error_t *err = NULL;

    atomic_store(&crash_shared->lease, scene->lease);
    cursor_newest(&cursor, pool);
    begin();
    const int r = follow_wait(&cursor, clock_deadline_ns(1), &err);
    if (r != FOLLOW_TIMEOUT)
        must(r < 0 ? r : -1, err, "follow");
    atomic_store(&crash_shared->acked, true);
    pool_close(pool);
}

void scene_act(struct scene *scene, void (*begin)(void))
{
    if (scene->reader)
        scene_follow(scene, begin);
    else
        scene_write(scene, begin);
}

/* The life of a pool: creation, opening, closing, and what can be said about it. */
#include "engine/pool.h"

#include "base/clock.h"
#include "engine/cursor.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/index.h"
#include "engine/lease.h"
#include "engine/recover.h"
#include "engine/superblock.h"
#include "os/file.h"
#include "os/guard.h"
#include "os/map.h"
#include "os/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Files that may take this one's place while it is opened. */
#define OPEN_TRIES 10

static void pool_free_string(char *string)
{
    free(string);
}
SCOPED_DEFINE(char *, pool_free_string)

/* Writes superblock and control words of an empty pool. */
static int pool_write_header(int fd, const struct superblock *superblock)
{
    _Alignas(128) uint8_t page[FORMAT_HEADER_SIZE] = {0};
    struct control *control = (struct control *)(void *)(page + FORMAT_CONTROL_OFFSET);

    memcpy(page, superblock, sizeof(*superblock));
    atomic_init(&control->tail, superblock->first_pos);
    atomic_init(&control->head, superblock->first_pos);
    atomic_init(&control->commits[0].end_pos, superblock->first_pos);
    atomic_init(&control->commits[0].next_seq, superblock->first_seq);
    atomic_init(
        &control->commit_checks[0], commit_check(superblock->first_pos, superblock->first_seq, 0));
    atomic_init(&control->commits[1].end_pos, UINT64_MAX);
    atomic_init(&control->durable, superblock->first_pos);
    atomic_init(&control->durable_known, superblock->first_pos);
    atomic_init(&control->flush_target, superblock->first_pos);
    if (process_boot_id(control->boot_id) < 0)
        return -1;

    size_t written = 0;
    while (written < sizeof(page)) {
        const ssize_t n = pwrite(fd, page + written, sizeof(page) - written, (off_t)written);
        if (n < 0 && errno != EINTR)
            return -1;
        written += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Makes the file, without its name: the descriptor, or -1. */
static int pool_make_file(const char *path, const struct superblock *superblock, mode_t mode,
    char **out_temporary, plsm_error_t **err)
{
    scoped(file_close) int fd = file_create_unnamed(path, mode, out_temporary);
    if (fd < 0 && errno == ENOTDIR) /* something is there, but no folder */
        return error_io(err, errno, "failed to create pool file");
    if (fd < 0)
        return error_errno(err, errno,
            errno == EACCES || errno == EPERM || errno == EROFS ? "permission denied"
                                                                : "failed to create pool file");
    if (file_allocate(fd, superblock->file_size) < 0)
        return error_io(err, errno, "failed to size pool file");
    if (pool_write_header(fd, superblock) < 0)
        return error_io(err, errno, "failed to write pool file");
    const int made = fd;
    fd = -1; /* the caller owns it now */
    return made;
}

static int pool_name_file(int fd, const char *path, const char *temporary, plsm_error_t **err)
{
    if (file_publish(fd, path, temporary) == 0)
        return 0;
    if (errno == EEXIST)
        return error_set(err, PLSM_ERROR_ALREADY_EXISTS, "pool already exists");
    return error_errno(err, errno, "failed to create pool file");
}

/* What the file will be, and where. */
static int pool_create_begin(const char *path, const struct pool_create_options *options,
    struct superblock *out_superblock, char **out_temporary, plsm_error_t **err)
{
    static const struct pool_create_options defaults = {.index_capacity = POOL_INDEX_DEFAULT};

    if (options == NULL)
        options = &defaults;
    if (superblock_make(options, out_superblock, err) < 0)
        return -1;
    if (access(path, F_OK) == 0) /* before a large file is allocated in vain */
        return error_set(err, PLSM_ERROR_ALREADY_EXISTS, "pool already exists");
    const mode_t mode = options->mode != 0 ? options->mode : 0600;
    return pool_make_file(path, out_superblock, mode, out_temporary, err);
}

int pool_create(const char *path, const struct pool_create_options *options, plsm_error_t **err)
{
    scoped(pool_free_string) char *temporary = NULL;
    struct superblock superblock;

    scoped(file_close) int fd = pool_create_begin(path, options, &superblock, &temporary, err);
    if (fd >= 0 && pool_name_file(fd, path, temporary, err) == 0)
        return 0;
    file_discard(temporary);
    return error_at_path(err, path);
}

int pool_create_unnamed(const char *path, const struct pool_create_options *options,
    struct pool **out_pool, plsm_error_t **err)
{
    scoped(pool_free_string) char *temporary = NULL;
    struct superblock superblock;

    scoped(file_close) int fd = pool_create_begin(path, options, &superblock, &temporary, err);
    if (fd < 0 || pool_adopt(fd, POOL_WRITE, &superblock, path, out_pool, err) < 0) {
        file_discard(temporary);
        return error_at_path(err, path);
    }
    fd = -1; /* the pool owns both now */
    (*out_pool)->temporary = temporary;
    temporary = NULL;
    return 0;
}

int pool_publish(struct pool *pool, plsm_error_t **err)
{
    if (file_sync(pool->fd) < 0) {
        error_io(err, errno, "failed to flush the pool file");
        return error_at_path(err, pool->path);
    }
    if (pool_name_file(pool->fd, pool->path, pool->temporary, err) < 0)
        return error_at_path(err, pool->path);
    free(pool->temporary);
    pool->temporary = NULL; /* it has its name now */
    if (file_sync_with_name(pool->fd, pool->path) == 0)
        return 0;
    const int errnum = errno;
    unlink(pool->path);
    error_io(err, errnum, "failed to flush the pool file");
    return error_at_path(err, pool->path);
}

static int pool_open_file(const char *path, enum pool_mode mode, bool *out_writable)
{
    int fd = file_open(path, true);
    *out_writable = fd >= 0;
    if (fd < 0 && mode == POOL_READ && (errno == EACCES || errno == EROFS || errno == EPERM))
        fd = file_open(path, false);
    return fd;
}

int pool_open_failed(int errnum, plsm_error_t **err)
{
    switch (errnum) {
    case ENOENT: return error_errno(err, errnum, "not found");
    case EACCES:
    case EPERM:
    case EROFS: return error_errno(err, errnum, "permission denied");
    case EISDIR: return error_io(err, errnum, "not a regular file");
    default: return error_errno(err, errnum, "failed to open pool file");
    }
}

/* Maps the file: all of it writable for a writer; for a reader all of it read-only, so that no
 * stray store can reach it, and the header page once more for saying that it sleeps. */
static int pool_map(struct pool *pool, bool writable, plsm_error_t **err)
{
    const struct superblock *superblock = &pool->superblock;

    pool->map_len = superblock->file_size;
    pool->map = map_file(pool->fd, pool->map_len, pool->mode == POOL_WRITE);
    if (pool->map == NULL)
        return error_io(err, errno, "failed to map pool file");
    guard_add(pool->map, pool->map_len, &pool->truncated);
    uint8_t *header = pool->map;
    if (pool->mode == POOL_READ && writable) {
        pool->control_map = map_file(pool->fd, FORMAT_HEADER_SIZE, true);
        if (pool->control_map == NULL)
            return error_io(err, errno, "failed to map pool file");
        guard_add(pool->control_map, FORMAT_HEADER_SIZE, &pool->truncated);
        header = pool->control_map;
    }
    pool->can_wake = writable;
    pool->control = (struct control *)(void *)(header + FORMAT_CONTROL_OFFSET);
    pool->index = (struct index_slot *)(void *)(pool->map + superblock->index_offset);
    pool->ring = pool->map + superblock->ring_offset;
    pool->ring_size = superblock->ring_size;
    pool->block_shift = superblock->block_shift;
    pool->n_blocks = superblock_blocks(superblock);
    pool->seed = superblock_seed(superblock);
    return 0;
}

/* A reader that finds a pool in need of recovery lets a short-lived writer do it. */
static int pool_recover_for_reader(struct pool *pool, plsm_error_t **err)
{
    scoped(pool_close) struct pool *writer = NULL;
    scoped(plsm_error_free) plsm_error_t *refused = NULL;

    const int r = pool_open(pool->path, POOL_WRITE, NULL, &writer, &refused);
    if (r == POOL_OK)
        return POOL_OK;
    if (r < 0 && refused != NULL && refused->kind != PLSM_ERROR_PERMISSION) {
        if (err != NULL) {
            *err = refused;
            refused = NULL;
        }
        return -1;
    }
    pool->unrecovered = true; /* not ours to repair, or in use: only intact frames count */
    return POOL_OK;
}

static int pool_open_mode(const char *path, const struct pool_open_options *options,
    struct pool *pool, plsm_error_t **err)
{
    bool writable = false;

    pool->busy_timeout_ms = options->busy_timeout_ms;
    pool->spin_turns = options->spin_turns;
    pthread_mutex_init(&pool->lease_mutex, NULL);
    pool->path = strdup(path);
    if (pool->path == NULL)
        return error_oom(err);
    pool->fd = pool_open_file(path, pool->mode, &writable);
    if (pool->fd < 0)
        return pool_open_failed(errno, err);
    if (superblock_read(pool->fd, &pool->superblock, err) < 0 || pool_map(pool, writable, err) < 0)
        return -1;
    lease_register(pool);

    if (pool->mode == POOL_WRITE) {
        const int leased = lease_take(pool, err);
        if (leased != POOL_OK)
            return leased;
    }
    const int needed = recover_is_needed(pool, err);
    if (needed != RECOVER_NEEDED)
        return needed;
    return pool->mode == POOL_WRITE ? recover_run(pool, err) : pool_recover_for_reader(pool, err);
}

/* One try. POOL_DELETED: a repair put another file in this one's place before the lease was ours. */
static int pool_open_once(const char *path, enum pool_mode mode,
    const struct pool_open_options *options, struct pool **out_pool, plsm_error_t **err)
{
    static const struct pool_open_options defaults = POOL_OPEN_DEFAULTS;
    scoped(pool_close) struct pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return error_oom(err);
    pool->fd = -1;
    pool->mode = mode;
    const int r = pool_open_mode(path, options != NULL ? options : &defaults, pool, err);
    if (r < 0)
        return error_at_path(err, path);
    if (r != POOL_OK)
        return r;
    if (mode == POOL_WRITE) {
        const int named = pool_check_file(pool, err);
        if (named != POOL_OK)
            return named;
    }
    *out_pool = pool;
    pool = NULL; /* the caller owns it now */
    return POOL_OK;
}

int pool_open(const char *path, enum pool_mode mode, const struct pool_open_options *options,
    struct pool **out_pool, plsm_error_t **err)
{
    for (int attempt = 0; attempt < OPEN_TRIES; attempt++) {
        const int r = pool_open_once(path, mode, options, out_pool, err);
        if (r != POOL_DELETED)
            return r;
    }
    return POOL_BUSY;
}

int pool_adopt(int fd, enum pool_mode mode, const struct superblock *superblock, const char *path,
    struct pool **out_pool, plsm_error_t **err)
{
    scoped(pool_close) struct pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return error_oom(err);
    pool->fd = -1;
    pool->mode = mode;
    pool->superblock = *superblock;
    pthread_mutex_init(&pool->lease_mutex, NULL);
    pool->path = strdup(path);
    if (pool->path == NULL)
        return error_oom(err);
    pool->fd = fd;
    if (pool_map(pool, mode == POOL_WRITE, err) < 0) {
        pool->fd = -1; /* still the caller's */
        return error_at_path(err, path);
    }
    *out_pool = pool;
    pool = NULL; /* the caller owns it now */
    return 0;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    lease_unregister(pool);
    if (pool->map != NULL)
        guard_remove(pool->map);
    if (pool->control_map != NULL)
        guard_remove(pool->control_map);
    map_free(pool->map, pool->map_len);
    map_free(pool->control_map, FORMAT_HEADER_SIZE);
    file_close(pool->fd); /* ends the lease and the flock */
    pthread_mutex_destroy(&pool->lease_mutex);
    file_discard(pool->temporary);
    free(pool->temporary);
    free(pool->path);
    free(pool);
}

const char *pool_path(const struct pool *pool)
{
    return pool->path;
}

bool pool_is_remote(const struct pool *pool)
{
    return file_is_remote(pool->fd);
}

/* The header of the oldest message. 0: there is none; 1: found; -1: damaged. */
static int pool_oldest(
    const struct pool *pool, const struct ring_state *state, struct frame_header *out_header)
{
    uint64_t pos = state->head;
    while (pos < state->tail) {
        if (!index_read_header(pool, pos, state->tail, out_header))
            return -1;
        if (out_header->type == FRAME_MESSAGE)
            return 1;
        pos += frame_length(out_header);
    }
    return 0;
}

int pool_info(struct pool *pool, struct pool_info *out_info, plsm_error_t **err)
{
    const struct superblock *superblock = &pool->superblock;
    struct ring_state state;
    struct frame_header oldest = {0};
    int n_oldest;

    do {
        if (!ring_state_peek(pool, &state))
            return pool_corrupt(
                pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
        n_oldest = pool_oldest(pool, &state, &oldest);
    } while (n_oldest < 0 && cursor_head_passed(pool, state.head));
    if (n_oldest < 0)
        return pool_corrupt(pool, pool_file_offset(pool, state.head), err, "damaged message");

    *out_info = (struct pool_info){
        .file_size = superblock->file_size,
        .index_offset = superblock->index_offset,
        .index_capacity = superblock->index_capacity,
        .ring_offset = superblock->ring_offset,
        .ring_size = superblock->ring_size,
        .next_seq = state.next_seq,
        .created_ns = superblock->created_ns,
        .version = superblock->version,
    };
    memcpy(out_info->uuid, superblock->uuid, sizeof(out_info->uuid));
    if (n_oldest == 0)
        return POOL_OK;
    out_info->used_bytes = state.tail - state.head;
    out_info->n_messages = state.next_seq - oldest.seq;
    out_info->oldest_seq = oldest.seq;
    out_info->newest_seq = state.next_seq - 1;
    out_info->oldest_time_ns = oldest.time_ns;
    out_info->newest_time_ns = state.time_ns;
    return POOL_OK;
}

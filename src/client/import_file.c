#include "client/import_file.h"

#include "base/clock.h"
#include "os/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEADER_BYTES      4096u
#define SLOT_BYTES        16u
#define FRAME_ALIGN       8u
#define PAYLOAD_BYTES_MAX (UINT64_C(256) << 20)
#define WINDOW_BYTES      (UINT64_C(1) << 20)
#define LOCK_POLL_NS      1000000L

static const char frame_end[8] = "PLSMCMIT";

enum { FRAME_COMMITTED = 2, FRAME_WRAP = 3 };

/* Before each payload; FRAME_END and up to seven bytes of anything are behind it. */
struct import_frame {
    uint8_t magic[4]; /* "FRM1" */
    uint32_t state;
    uint32_t flags;
    uint32_t header_len; /* 64 */
    uint64_t seq;
    uint64_t time_ns;
    uint32_t len;
    uint32_t len_inverted;
    uint8_t zeros[24];
};

static_assert(sizeof(struct import_frame) == 64, "a frame's header has no padding");

int import_corrupt(
    const struct import_file *file, uint64_t file_offset, plsm_error_t **err, const char *what)
{
    error_set(err, PLSM_ERROR_CORRUPT, "%s", what);
    error_at_path(err, file->path);
    return error_at_offset(err, file_offset);
}

/* Shows a part of the file. What lies behind it is read along: the next part is there. */
static const uint8_t *import_bytes(
    struct import_file *file, uint64_t offset, uint64_t len, plsm_error_t **err)
{
    struct buf *window = &file->window;

    if (offset >= file->window_offset && offset - file->window_offset <= window->len &&
        len <= window->len - (offset - file->window_offset))
        return window->data + (offset - file->window_offset);
    const size_t room = len > WINDOW_BYTES ? len : WINDOW_BYTES;
    window->len = 0;
    if (buf_reserve(window, room) < 0) {
        error_oom(err);
        return NULL;
    }
    file->window_offset = offset;
    while (window->len < room) {
        const ssize_t n = pread(file->fd, window->data + window->len, room - window->len,
            (off_t)(offset + window->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_io(err, errno, "failed to read the pool file");
            error_at_path(err, file->path);
            return NULL;
        }
        if (n == 0)
            break;
        window->len += (size_t)n;
    }
    if (window->len >= len)
        return window->data;
    import_corrupt(file, offset, err, "the file was truncated");
    return NULL;
}

/* Writers hold the lock for single appends. POOL_OK, POOL_BUSY or -1. */
static int import_lock(const struct import_file *file, plsm_error_t **err)
{
    const uint64_t deadline_ns = clock_deadline_ns(POOL_BUSY_TIMEOUT_DEFAULT_MS);

    for (;;) {
        const int r = file_share_try(file->fd);
        if (r == FILE_OK)
            return POOL_OK;
        if (r < 0)
            return error_io(err, errno, "failed to lock the pool file");
        if (clock_monotonic_ns() >= deadline_ns)
            return POOL_BUSY;
        const struct timespec pause = {.tv_nsec = LOCK_POLL_NS};
        nanosleep(&pause, NULL); /* flock cannot wait with a limit */
    }
}

/* What is said of numbers that do not fit each other; NULL: all is well. */
static const char *header_problem(const struct import_header *header, uint64_t file_size)
{
    if (header->little_endian != 1)
        return "the pool's numbers are not little-endian";
    if (header->file_size != file_size)
        return "the pool's header tells another size than the file has";
    if (header->index_offset != HEADER_BYTES ||
        header->ring_offset != HEADER_BYTES + (uint64_t)header->index_capacity * SLOT_BYTES ||
        header->ring_offset >= file_size || header->ring_size != file_size - header->ring_offset)
        return "impossible sizes in the pool's header";
    if (header->head >= header->ring_size || header->tail >= header->ring_size ||
        header->tail_next >= header->ring_size ||
        (header->head | header->tail | header->tail_next) % FRAME_ALIGN != 0)
        return "impossible offsets in the pool's header";
    if (header->oldest_seq > header->newest_seq || header->newest_seq >= UINT64_MAX >> 1)
        return "impossible seqs in the pool's header";
    if (header->oldest_seq == 0 &&
        (header->head != header->tail || header->tail != header->tail_next))
        return "the pool's header tells of messages in an empty pool";
    return NULL;
}

static int import_read_header(struct import_file *file, plsm_error_t **err)
{
    struct import_header *header = &file->header;
    struct stat status;

    if (fstat(file->fd, &status) < 0)
        return error_io(err, errno, "failed to look at the pool file");
    if (!S_ISREG(status.st_mode))
        return error_set(err, PLSM_ERROR_IO, "not a regular file");
    if (status.st_size < (off_t)HEADER_BYTES)
        return import_corrupt(file, 0, err, "the file is too short to be a pool");
    const uint8_t *bytes = import_bytes(file, 0, HEADER_BYTES, err);
    if (bytes == NULL)
        return -1;
    memcpy(header, bytes, sizeof(*header));
    if (memcmp(header, "PLASMITE", 8) == 0) {
        error_set(err, PLSM_ERROR_USAGE, "the pool has this version's format already");
        return error_hint(err, "There is nothing to import: use it as it is, or copy the file.");
    }
    if (memcmp(header->magic, "PLSM", 4) != 0)
        return import_corrupt(file, 0, err, "not a pool file");
    if (header->version != 3)
        return error_set(err, PLSM_ERROR_USAGE, "unsupported pool format version %u (supported: 3)",
            header->version);
    const char *problem = header_problem(header, (uint64_t)status.st_size);
    return problem == NULL ? 0 : import_corrupt(file, 0, err, problem);
}

static int import_open_failed(int errnum, plsm_error_t **err)
{
    switch (errnum) {
    case ENOENT: return error_errno(err, errnum, "not found");
    case EACCES:
    case EPERM: return error_errno(err, errnum, "permission denied");
    default: return error_errno(err, errnum, "failed to open pool file");
    }
}

int import_file_open(struct import_file *file, const char *path, plsm_error_t **err)
{
    *file = (struct import_file){.path = path, .fd = file_open(path, false)};
    int r = file->fd < 0 ? import_open_failed(errno, err) : import_lock(file, err);
    if (r == POOL_OK)
        r = import_read_header(file, err);
    file->offset = file->header.tail;
    file->next_seq = file->header.oldest_seq;
    return r < 0 ? error_at_path(err, path) : r;
}

void import_file_fini(struct import_file *file)
{
    file_close(file->fd);
    buf_fini(&file->window);
}

/* Bytes that a frame with this payload takes in the ring. */
static uint64_t frame_len(uint64_t payload_len)
{
    const uint64_t len = sizeof(struct import_frame) + payload_len + sizeof(frame_end);
    return (len + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* `room`: bytes between the frame and the ring's end. */
static const char *frame_problem(
    const struct import_file *file, const struct import_frame *frame, uint64_t room)
{
    if (memcmp(frame->magic, "FRM1", 4) != 0 || frame->header_len != sizeof(*frame) ||
        frame->len_inverted != ~frame->len)
        return "damaged message header";
    if (frame->state == FRAME_WRAP)
        return file->wrapped ? "the ring has no end" : NULL;
    if (frame->state != FRAME_COMMITTED || frame->seq != file->next_seq)
        return "another message than expected";
    if (frame->len > PAYLOAD_BYTES_MAX || frame_len(frame->len) > room)
        return "message beyond the end of the ring";
    return NULL;
}

/* Behind the newest message lies the place of the next one. */
static int import_go_on(struct import_file *file, uint64_t len, plsm_error_t **err)
{
    file->offset += len;
    if (file->offset == file->header.ring_size)
        file->offset = 0;
    file->wrapped = false;
    if (file->next_seq < file->header.newest_seq) {
        file->next_seq++;
        return 0;
    }
    file->next_seq = 0;
    return file->offset == file->header.head
               ? 0
               : import_corrupt(file, file->header.ring_offset + file->offset, err,
                     "the newest message is not where the pool ends");
}

static int import_take(struct import_file *file, const struct import_frame *frame, uint64_t offset,
    struct import_message *out_message, plsm_error_t **err)
{
    const uint64_t payload_at = offset + sizeof(*frame);
    const uint8_t *payload = import_bytes(file, payload_at, frame->len + sizeof(frame_end), err);

    if (payload == NULL)
        return -1;
    if (memcmp(payload + frame->len, frame_end, sizeof(frame_end)) != 0)
        return import_corrupt(file, offset, err, "message without its end mark");
    *out_message = (struct import_message){
        .seq = frame->seq,
        .time_ns = frame->time_ns,
        .file_offset = payload_at,
        .payload = view_of(payload, frame->len),
    };
    return import_go_on(file, frame_len(frame->len), err) < 0 ? -1 : 1;
}

int import_file_next(
    struct import_file *file, struct import_message *out_message, plsm_error_t **err)
{
    const uint64_t ring_size = file->header.ring_size;
    struct import_frame frame;

    while (file->next_seq != 0) {
        const uint64_t room = ring_size - file->offset;
        const uint64_t offset = file->header.ring_offset + file->offset;
        if (room < sizeof(frame) && file->wrapped)
            return import_corrupt(file, offset, err, "the ring has no end");
        frame.state = FRAME_WRAP;
        if (room >= sizeof(frame)) {
            const uint8_t *bytes = import_bytes(file, offset, sizeof(frame), err);
            if (bytes == NULL)
                return -1;
            memcpy(&frame, bytes, sizeof(frame));
            const char *problem = frame_problem(file, &frame, room);
            if (problem != NULL)
                return import_corrupt(file, offset, err, problem);
        }
        if (frame.state != FRAME_WRAP)
            return import_take(file, &frame, offset, out_message, err);
        file->offset = 0;
        file->wrapped = true;
    }
    return 0;
}

/* A damaged pool file must not crash, hang or mislead anybody who opens it.
 *
 * An input is a list of patches to a small pool with a few messages (made once, the same bytes in
 * every run): offset (2 bytes, little-endian), length (1 byte), bytes. When bit 7 of the first
 * byte is set the superblock's checksum is made right afterwards, so that its fields are reached
 * too; bit 7 of the second byte does the same for the checks of the commit records. Then everything that reads is called, and an append; and a repair, which must leave a sound
 * pool or the file as it was. */
#include "base/clock.h"
#include "base/crc32c.h"
#include "engine/format.h"
#include "engine/pool.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_SIZE = 8192, N_MESSAGES = 60, N_READ_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t original[FILE_SIZE];
static char path[64];

#define check(right) check_at(right, __LINE__, #right)

static void check_at(bool right, int line, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "pool_fuzz.c:%d: %s\n", line, what);
    abort();
}

static void read_file(uint8_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    check(fd >= 0 && read(fd, bytes, FILE_SIZE) == FILE_SIZE);
    close(fd);
}

static void write_file(const uint8_t *bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, bytes, FILE_SIZE) == FILE_SIZE);
    close(fd);
}

/* More messages than the ring holds, so that it has wrapped. */
static void make_original(void)
{
    const struct pool_create_options options = {
        .size_bytes = FILE_SIZE, .index_capacity = POOL_INDEX_DEFAULT};
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    struct pool *pool = NULL;
    struct appended appended;

    snprintf(path, sizeof(path), "%s/pool_fuzz.%d", folder, (int)getpid());
    unlink(path);
    check(pool_create(path, &options, NULL) == 0);
    check(pool_open(path, POOL_WRITE, NULL, &pool, NULL) == POOL_OK);
    for (uint64_t i = 0; i < N_MESSAGES; i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"n\":%u,\"text\":\"some more bytes\"}", (unsigned)i);
        const struct message message = {.tags = view_str(i % 3 == 0 ? "[\"a\"]" : ""),
            .data = view_str(text),
            .time_ns = (i + 1) * NS_PER_SECOND};
        check(pool_append(pool, &message, 1, &appended, NULL) == POOL_OK);
    }
    pool_close(pool);
    read_file(original);
    unlink(path);
}

static void patch(uint8_t *bytes, const uint8_t *data, size_t size)
{
    const bool repair = size > 0 && (data[0] & 0x80) != 0;
    const bool recheck = size > 1 && (data[1] & 0x80) != 0;
    while (size > 3) {
        const size_t offset = (data[0] | (size_t)data[1] << 8) & (FILE_SIZE - 1);
        size_t len = data[2];
        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        if (len > FILE_SIZE - offset)
            len = FILE_SIZE - offset;
        memcpy(bytes + offset, data, len);
        data += len;
        size -= len;
    }
    if (repair) {
        const uint32_t crc = crc32c(0, bytes, offsetof(struct superblock, crc));
        memcpy(bytes + offsetof(struct superblock, crc), &crc, sizeof(crc));
    }
    if (recheck) {
        struct control control;
        memcpy(&control, bytes + FORMAT_CONTROL_OFFSET, sizeof(control));
        for (int i = 0; i < 2; i++)
            control.commit_checks[i] = commit_check(control.commits[i].end_pos,
                control.commits[i].next_seq, control.commits[i].time_ns);
        memcpy(bytes + FORMAT_CONTROL_OFFSET, &control, sizeof(control));
    }
}

/* Touches every byte that a frame shows, for AddressSanitizer. */
static uint32_t touch(const struct frame *frame)
{
    return crc32c(crc32c(0, frame->data.data, frame->data.len), frame->tags.data, frame->tags.len);
}

static void read_all(struct pool *pool)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    plsm_error_t *error = NULL;

    cursor_oldest(&cursor, pool);
    for (int i = 0; i < N_READ_MAX; i++) {
        const int r = cursor_next(&cursor, &frame, &gap, &error);
        if (r == CURSOR_EMPTY)
            break;
        if (r == CURSOR_FRAME)
            touch(&frame);
        if (r < 0) {
            plsm_error_free(error);
            error = NULL;
            const uint64_t pos = cursor.pos;
            cursor_skip_damage(&cursor, &gap);
            if (cursor.pos == pos)
                break; /* damaged control words: there is no way round them */
        }
        check(i < N_READ_MAX - 1); /* a pool of 8 KiB cannot hold that many */
    }
    for (uint64_t seq = 0; seq < N_MESSAGES + 2; seq++) {
        if (pool_get(pool, seq, &frame, NULL) == POOL_OK) {
            check(frame.seq == seq);
            touch(&frame);
        }
    }
    (void)cursor_seek_time(&cursor, pool, 30 * NS_PER_SECOND, NULL);
    (void)cursor_seek_seq(&cursor, pool, 30, NULL);
}

/* Afterwards the pool is sound and gives no seq out again, or the file is untouched. */
static void repair(const uint8_t *bytes)
{
    const struct message message = {.data = view_str("{\"late\":true}")};
    struct pool_repaired repaired = {0};
    struct pool *pool = NULL;
    struct pool_report report;
    struct appended appended;
    plsm_error_t *error = NULL;
    struct superblock superblock;

    memcpy(&superblock, bytes, sizeof(superblock));
    if (superblock.file_size > 16 * FILE_SIZE)
        return; /* it would become as large as it says that it was */
    const int r = pool_repair(path, NULL, &repaired, &error);
    if (r != POOL_OK) {
        uint8_t after[FILE_SIZE];
        plsm_error_free(error);
        read_file(after);
        check(memcmp(after, bytes, FILE_SIZE) == 0);
        return;
    }
    check(unlink(repaired.copy_path) == 0);
    check(pool_open(path, POOL_WRITE, NULL, &pool, NULL) == POOL_OK);
    check(pool_verify(pool, &report, NULL) == 0 && report.n_issues == 0);
    check(report.n_messages == repaired.n_kept);
    check(pool_append(pool, &message, 1, &appended, NULL) == POOL_OK);
    check(repaired.n_kept == 0 || appended.first_seq > repaired.newest_seq);
    read_all(pool);
    check(pool_verify(pool, &report, NULL) == 0 && report.n_issues == 0);
    pool_close(pool);
    pool_repaired_fini(&repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pool_open_options options = {.busy_timeout_ms = 0};
    const struct message message = {.data = view_str("{\"late\":true}")};
    uint8_t bytes[FILE_SIZE];
    struct pool *pool = NULL;
    struct pool_info info;
    struct pool_report report;
    struct appended appended;

    if (original[0] == 0)
        make_original();
    memcpy(bytes, original, FILE_SIZE);
    patch(bytes, data, size);
    write_file(bytes);

    if (pool_open(path, POOL_READ, &options, &pool, NULL) == POOL_OK) {
        (void)pool_info(pool, &info, NULL);
        (void)pool_verify(pool, &report, NULL);
        read_all(pool);
        pool_close(pool);
        pool = NULL;
    }
    if (pool_open(path, POOL_WRITE, &options, &pool, NULL) == POOL_OK) {
        if (pool_append(pool, &message, 1, &appended, NULL) == POOL_OK)
            read_all(pool);
        pool_close(pool);
    }
    unlink(path);
    write_file(bytes);
    repair(bytes);
    unlink(path);
    return 0;
}

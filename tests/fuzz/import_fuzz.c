/* A damaged pool of the older format must not crash or hang the import, and what is imported must
 * be a sound pool.
 *
 * An input is a byte of flags, the file's header without the zeros behind it (104 bytes), and the
 * ring. With bit 0 of the flags the sizes in the header are made right. */
#include "client/import.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES = 4096, HEADER_USED = 104, FILE_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char old_path[64];
static char new_path[64];
static uint8_t file[FILE_MAX];

#define check(right) check_at(right, __LINE__, #right)

static void check_at(bool right, int line, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "import_fuzz.c:%d: %s\n", line, what);
    abort();
}

static void put(size_t offset, uint64_t value)
{
    memcpy(file + offset, &value, sizeof(value));
}

static size_t make_file(const uint8_t *data, size_t size)
{
    size_t len = HEADER_BYTES;

    memset(file, 0, HEADER_BYTES);
    if (size < 1 + HEADER_USED)
        return 0;
    const bool right = (data[0] & 1) != 0;
    memcpy(file, data + 1, HEADER_USED);
    data += 1 + HEADER_USED;
    size -= 1 + HEADER_USED;
    if (size > FILE_MAX - len)
        size = FILE_MAX - len;
    memcpy(file + len, data, size);
    len += size;
    if (right) {
        put(16, len);
        put(24, HEADER_BYTES);
        put(32, 0);
        put(40, HEADER_BYTES);
        put(48, size);
    }
    return len;
}

static void write_file(size_t len)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(old_path, sizeof(old_path), "%s/import_fuzz.%d.old", folder, (int)getpid());
    snprintf(new_path, sizeof(new_path), "%s/import_fuzz.%d.new", folder, (int)getpid());
    const int fd = open(old_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, file, len) == (ssize_t)len);
    close(fd);
}

static void check_new(const struct imported *imported)
{
    struct pool_report report;
    struct pool_info info;
    struct pool *pool = NULL;

    check(pool_open(new_path, POOL_READ, NULL, &pool, NULL) == POOL_OK);
    check(pool_verify(pool, &report, NULL) == 0 && report.n_issues == 0);
    check(pool_info(pool, &info, NULL) == 0);
    check(info.next_seq == imported->newest_seq + 1);
    check(info.n_messages <= imported->n_messages);
    check(imported->n_messages ==
          (imported->oldest_seq == 0 ? 0 : imported->newest_seq - imported->oldest_seq + 1));
    pool_close(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct import_options options = {.size_bytes = 65536, .index_capacity = 64};
    struct imported imported;
    plsm_error_t *error = NULL;

    write_file(make_file(data, size));
    const int r = import_pool(old_path, new_path, &options, NULL, &imported, &error);
    check(r == 0 || (r == -1 && error != NULL && error->path != NULL));
    check((access(new_path, F_OK) == 0) == (r == 0));
    if (r == 0)
        check_new(&imported);
    plsm_error_free(error);
    unlink(old_path);
    unlink(new_path);
    return 0;
}

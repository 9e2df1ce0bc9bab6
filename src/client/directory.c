#include "client/directory.h"

#include "client/ref.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The names as they come, with offsets instead of pointers: the bytes move while they grow. */
struct directory {
    struct buf bytes;
    size_t *starts;
    size_t n_names;
    size_t n_room;
};

static void directory_fini_scoped(struct directory *directory)
{
    buf_fini(&directory->bytes);
    free(directory->starts);
}

static int directory_add(struct directory *directory, const char *name, size_t len)
{
    if (directory->n_names == directory->n_room) {
        const size_t n_room = directory->n_room == 0 ? 64 : 2 * directory->n_room;
        size_t *starts = reallocarray(directory->starts, n_room, sizeof(*starts));
        if (starts == NULL)
            return -1;
        directory->starts = starts;
        directory->n_room = n_room;
    }
    directory->starts[directory->n_names++] = directory->bytes.len;
    return buf_append(&directory->bytes, name, len) < 0 || buf_append(&directory->bytes, "", 1) < 0
               ? -1
               : 0;
}

static int directory_read(struct directory *directory, DIR *stream, plsm_error_t **err)
{
    const struct dirent *entry;
    /* the end and a failure are told apart by errno alone */
    while (errno = 0, (entry = readdir(stream)) != NULL) {
        const size_t len = strlen(entry->d_name), suffix = strlen(REF_SUFFIX);
        if (len < suffix || strcmp(entry->d_name + len - suffix, REF_SUFFIX) != 0)
            continue;
        if (directory_add(directory, entry->d_name, len - suffix) < 0)
            return error_oom(err);
    }
    return errno == 0 ? 0 : error_io(err, errno, "failed to read pool directory");
}

static int directory_compare(const void *a, const void *b, void *bytes)
{
    const char *texts = bytes;
    return strcmp(texts + *(const size_t *)a, texts + *(const size_t *)b);
}

static int directory_sort(struct directory *directory, struct buf *names, plsm_error_t **err)
{
    char *texts = (char *)directory->bytes.data;

    if (directory->n_names > 1)
        qsort_r(directory->starts, directory->n_names, sizeof(size_t), directory_compare, texts);
    for (size_t i = 0; i < directory->n_names; i++) {
        const char *name = texts + directory->starts[i];
        if (buf_append(names, name, strlen(name) + 1) < 0)
            return error_oom(err);
    }
    return 0;
}

int directory_names(const char *path, bool must_exist, struct buf *names, plsm_error_t **err)
{
    scoped(directory_fini) struct directory directory = {0};
    DIR *stream = opendir(path);

    if (stream == NULL && errno == ENOENT && !must_exist)
        return 0;
    if (stream == NULL) {
        if (errno == ENOENT)
            error_errno(err, errno, "pool directory not found");
        else
            error_io(err, errno, "failed to read pool directory");
        return error_at_path(err, path);
    }
    const int r = directory_read(&directory, stream, err);
    closedir(stream);
    return r < 0 ? error_at_path(err, path) : directory_sort(&directory, names, err);
}

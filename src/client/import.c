#include "client/import.h"

#include "client/import_file.h"
#include "json/lite3.h"

/* How often is told how far it is, in bytes. */
#define TELL_STEP (UINT64_C(1) << 20)

struct import {
    struct import_file file;
    struct pool *pool; /* the new one */
    struct buf tags;
    struct buf data;
    uint64_t bytes_done;
    uint64_t bytes_told;
    const struct pool_progress *progress;
};

static void import_fini_scoped(struct import *import)
{
    pool_close(import->pool);
    import_file_fini(&import->file);
    buf_fini(&import->tags);
    buf_fini(&import->data);
}

/* The new pool, which has no name yet. Its first seq is that of the oldest message, or the one
 * that comes next where messages are gone. */
static int import_create(struct import *import, const char *path,
    const struct import_options *options, plsm_error_t **err)
{
    const struct import_header *header = &import->file.header;
    const struct pool_create_options create = {
        .size_bytes = options->size_bytes != 0 ? options->size_bytes : header->file_size,
        .index_capacity = options->index_capacity,
        .first_seq = header->oldest_seq != 0 ? header->oldest_seq : header->newest_seq + 1,
    };
    return pool_create_unnamed(path, &create, &import->pool, err);
}

/* Makes JSON of a payload. */
static int import_convert(
    struct import *import, const struct import_message *message, plsm_error_t **err)
{
    struct lite3_fault fault;

    import->tags.len = 0;
    import->data.len = 0;
    int r = lite3_check(message->payload, &fault);
    if (r == LITE3_OK)
        r = lite3_message_tags(message->payload, &import->tags, &fault);
    if (r == LITE3_OK)
        r = lite3_message_data(message->payload, &import->data, &fault);
    if (r == LITE3_FAULT) {
        import_corrupt(&import->file, message->file_offset + fault.offset, err, fault.problem);
        return error_at_seq(err, message->seq);
    }
    return r < 0 ? error_oom(err) : 0;
}

static int import_too_large(
    const struct import *import, const struct message *message, uint64_t seq, plsm_error_t **err)
{
    error_set(
        err, PLSM_ERROR_USAGE, "message %llu does not fit the new pool", (unsigned long long)seq);
    error_hint(err, "It takes %llu bytes of a ring of %llu: give a larger --size.",
        (unsigned long long)message_footprint(message),
        (unsigned long long)pool_ring_size(import->pool));
    error_at_path(err, pool_path(import->pool));
    return error_at_seq(err, seq);
}

static int import_message(
    struct import *import, const struct import_message *from, plsm_error_t **err)
{
    struct appended appended;

    if (import_convert(import, from, err) < 0)
        return -1;
    const struct message message = {
        .tags = import->tags.len > 2 ? buf_view(&import->tags) : view_of(NULL, 0), /* not "[]" */
        .data = buf_view(&import->data),
        .time_ns = from->time_ns != 0 ? from->time_ns : 1, /* 0 would be now */
    };
    if (message_footprint(&message) > pool_ring_size(import->pool))
        return import_too_large(import, &message, from->seq, err);
    const int r = pool_append(import->pool, &message, 1, &appended, err);
    if (r != POOL_OK) /* nobody else can hold it: it is never busy */
        return r < 0 ? error_at_seq(err, from->seq)
                     : error_set(err, PLSM_ERROR_INTERNAL, "the new pool is busy");
    return 0;
}

static void import_tell(struct import *import)
{
    const struct import_header *header = &import->file.header;
    const uint64_t used = header->oldest_seq == 0 ? 0
                          : header->head > header->tail
                              ? header->head - header->tail
                              : header->ring_size - header->tail + header->head;
    if (import->progress != NULL)
        import->progress->tell(import->progress->context, import->bytes_done, used);
    import->bytes_told = import->bytes_done;
}

static int import_messages(struct import *import, uint64_t *out_n_messages, plsm_error_t **err)
{
    struct import_message message;
    uint64_t n = 0;
    int r;

    while ((r = import_file_next(&import->file, &message, err)) == 1) {
        if (import_message(import, &message, err) < 0)
            return -1;
        n++;
        import->bytes_done += message.payload.len;
        if (import->bytes_done - import->bytes_told >= TELL_STEP)
            import_tell(import);
    }
    import_tell(import);
    *out_n_messages = n;
    return r;
}

int import_pool(const char *old_path, const char *new_path, const struct import_options *options,
    const struct pool_progress *progress, struct imported *out_imported, plsm_error_t **err)
{
    scoped(import_fini) struct import import = {.file = {.fd = -1}, .progress = progress};
    uint64_t n_messages;

    const int r = import_file_open(&import.file, old_path, err);
    if (r != POOL_OK)
        return r == POOL_BUSY ? IMPORT_BUSY : -1;
    if (import_create(&import, new_path, options, err) < 0 ||
        import_messages(&import, &n_messages, err) < 0 || pool_publish(import.pool, err) < 0)
        return -1;
    *out_imported = (struct imported){
        .n_messages = n_messages,
        .oldest_seq = import.file.header.oldest_seq,
        .newest_seq = import.file.header.newest_seq,
    };
    return 0;
}

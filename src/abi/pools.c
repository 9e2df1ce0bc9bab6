/* Pools from outside: which there are, what they hold, whether they are sound, removing them. */
#include "abi/abi.h"

#include "client/directory.h"
#include "json/write.h"

const char *plsm_client_pool_dir(const plsm_client_t *client)
{
    return client == NULL ? NULL : client->pool_dir;
}

const char *plsm_pool_path(const plsm_pool_t *pool)
{
    return pool == NULL ? NULL : pool_path(pool->pool);
}

int plsm_pool_list(plsm_client_t *client, plsm_buf_t *out_names, plsm_error_t **out_err)
{
    scoped(buf_fini) struct buf names = {0};

    if (client == NULL)
        return abi_null(out_err, "client");
    if (out_names == NULL)
        return abi_null(out_err, "out_names");
    if (directory_names(client->pool_dir, false, &names, out_err) < 0)
        return -1;
    *out_names = (plsm_buf_t){names.data, names.len};
    names = (struct buf){0};
    return 0;
}

int plsm_pool_delete(plsm_client_t *client, const char *pool_ref, plsm_error_t **out_err)
{
    scoped(ref_fini) struct ref ref = {0};

    if (abi_resolve(client, pool_ref, &ref, out_err) < 0)
        return -1;
    return ref_delete(&ref, out_err);
}

int plsm_pool_info(plsm_pool_t *pool, plsm_pool_info_t *info, plsm_error_t **out_err)
{
    struct pool_info inner;

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (info == NULL)
        return abi_null(out_err, "info");
    if (info->struct_size < sizeof(*info))
        return error_set(out_err, PLSM_ERROR_USAGE,
            "pool info is too small: got %u bytes, need at least %zu", info->struct_size,
            sizeof(*info));
    if (pool_info(pool->pool, &inner, out_err) < 0)
        return -1;
    *info = (plsm_pool_info_t){
        .struct_size = info->struct_size,
        .file_size = inner.file_size,
        .ring_offset = inner.ring_offset,
        .ring_size = inner.ring_size,
        .index_capacity = inner.index_capacity,
        .used_bytes = inner.used_bytes,
        .n_messages = inner.n_messages,
        .oldest_seq = inner.oldest_seq,
        .newest_seq = inner.newest_seq,
        .oldest_time_ns = inner.oldest_time_ns,
        .newest_time_ns = inner.newest_time_ns,
        .next_seq = inner.next_seq,
        .created_ns = inner.created_ns,
    };
    return 0;
}

static void verify_number(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    if (value != 0)
        json_uint(writer, value);
    else
        json_null(writer);
}

static void verify_issue(struct json_writer *writer, const struct pool_issue *issue)
{
    json_object_begin(writer);
    json_key(writer, "code");
    json_str(writer, issue->code);
    json_key(writer, "message");
    json_str(writer, issue->message);
    json_key(writer, "offset");
    json_uint(writer, issue->offset);
    verify_number(writer, "seq", issue->seq);
    json_object_end(writer);
}

int plsm_pool_verify(plsm_pool_t *pool, plsm_buf_t *out_report, plsm_error_t **out_err)
{
    scoped(buf_fini) struct buf text = {0};
    struct json_writer writer = json_writer(&text);
    struct pool_report report;

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (out_report == NULL)
        return abi_null(out_err, "out_report");
    if (pool_verify(pool->pool, &report, out_err) < 0)
        return -1;
    json_object_begin(&writer);
    json_key(&writer, "healthy");
    json_bool(&writer, report.n_issues == 0);
    json_key(&writer, "messages");
    json_uint(&writer, report.n_messages);
    verify_number(&writer, "last_good_seq", report.last_good_seq);
    json_key(&writer, "issue_count");
    json_uint(&writer, report.n_issues);
    json_key(&writer, "issues");
    json_array_begin(&writer);
    for (size_t i = 0; i < report.n_issues && i < POOL_ISSUES_MAX; i++)
        verify_issue(&writer, &report.issues[i]);
    json_array_end(&writer);
    json_object_end(&writer);
    if (json_writer_failed(&writer))
        return error_oom(out_err);
    *out_report = (plsm_buf_t){text.data, text.len};
    text = (struct buf){0};
    return 0;
}

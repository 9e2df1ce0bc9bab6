/* bench_lmdb: a B+tree in a memory map, messages under ascending numbers; mode=NOSYNC, WRITEMAP
 * (NOSYNC too) or SYNC. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_BYTES (UINT64_C(4) << 30)

#define lmdb_check(call)                                                                           \
    do {                                                                                           \
        const int lmdb_result = (call);                                                            \
        bench_check(lmdb_result == 0, "%s: %s", #call, mdb_strerror(lmdb_result));                 \
    } while (0)

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reader; /* of fetch: reset and renewed for each, as LMDB advises */
};

static char *lmdb_path(const char *name)
{
    char file[64];

    snprintf(file, sizeof(file), "lmdb-%s.mdb", name);
    return bench_path(file);
}

static unsigned int lmdb_flags(void)
{
    const char *mode = arg_text("mode", "NOSYNC");

    if (strcmp(mode, "WRITEMAP") == 0)
        return MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP;
    return strcmp(mode, "NOSYNC") == 0 ? MDB_NOSUBDIR | MDB_NOSYNC : MDB_NOSUBDIR;
}

static void *lmdb_open(const char *name, bool create)
{
    struct store *store = calloc(1, sizeof(*store));
    char *path = lmdb_path(name);
    MDB_txn *txn = NULL;

    (void)create;
    bench_check(store, "out of memory");
    lmdb_check(mdb_env_create(&store->env));
    lmdb_check(mdb_env_set_mapsize(store->env, MAP_BYTES));
    lmdb_check(mdb_env_open(store->env, path, lmdb_flags(), 0600));
    lmdb_check(mdb_txn_begin(store->env, NULL, 0, &txn));
    lmdb_check(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &store->dbi));
    lmdb_check(mdb_txn_commit(txn));
    free(path);
    return store;
}

static void lmdb_close(void *handle)
{
    struct store *store = handle;

    if (store->reader)
        mdb_txn_abort(store->reader);
    mdb_env_close(store->env);
    free(store);
}

static void lmdb_remove(const char *name)
{
    char *path = lmdb_path(name);
    char lock[4096];

    snprintf(lock, sizeof(lock), "%s-lock", path);
    unlink(path); /* both may be missing */
    unlink(lock);
    free(path);
}

static void lmdb_append(void *handle, const struct view *messages, uint32_t n)
{
    struct store *store = handle;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    uint64_t last = 0;

    lmdb_check(mdb_txn_begin(store->env, NULL, 0, &txn));
    lmdb_check(mdb_cursor_open(txn, store->dbi, &cursor));
    const int r = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    bench_check(r == 0 || r == MDB_NOTFOUND, "MDB_LAST: %s", mdb_strerror(r));
    if (r == 0)
        memcpy(&last, key.mv_data, sizeof(last));
    for (uint32_t i = 0; i < n; i++) {
        last++;
        key = (MDB_val){sizeof(last), &last};
        value.mv_size = messages[i].len;
        memcpy(&value.mv_data, &messages[i].data, sizeof(value.mv_data));
        lmdb_check(mdb_cursor_put(cursor, &key, &value, MDB_APPEND));
    }
    mdb_cursor_close(cursor);
    lmdb_check(mdb_txn_commit(txn));
}

static void lmdb_scan(void *handle, peer_see *see, void *context)
{
    struct store *store = handle;
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    int r;

    lmdb_check(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));
    lmdb_check(mdb_cursor_open(txn, store->dbi, &cursor));
    for (r = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); r == 0;
         r = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        see(context, view_of(value.mv_data, value.mv_size));
    bench_check(r == MDB_NOTFOUND, "scan: %s", mdb_strerror(r));
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
}

static void lmdb_fetch(void *handle, uint64_t i, uint8_t *out, size_t size)
{
    struct store *store = handle;
    uint64_t number = i + 1;
    MDB_val key = {sizeof(number), &number};
    MDB_val value;

    if (store->reader)
        lmdb_check(mdb_txn_renew(store->reader));
    else
        lmdb_check(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader));
    lmdb_check(mdb_get(store->reader, store->dbi, &key, &value));
    bench_check(value.mv_size == size, "a message of another size");
    memcpy(out, value.mv_data, size);
    mdb_txn_reset(store->reader);
}

const struct peer peer = {
    .open = lmdb_open,
    .close = lmdb_close,
    .remove = lmdb_remove,
    .append = lmdb_append,
    .scan = lmdb_scan,
    .fetch = lmdb_fetch,
};

/* bench_sqlite: a table in write-ahead-log mode; mode=OFF, NORMAL or FULL (synchronous). */
#include "bench/bench.h"
#include "bench/peer.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct store {
    sqlite3 *db;
    sqlite3_stmt *begin, *insert, *commit, *scan, *fetch;
};

static char *sqlite_path(const char *name)
{
    char file[64];

    snprintf(file, sizeof(file), "sqlite-%s.db", name);
    return bench_path(file);
}

static void sqlite_execute(sqlite3 *db, const char *sql)
{
    bench_check(
        sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3_stmt *sqlite_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    bench_check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
        sqlite3_errmsg(db));
    return statement;
}

static void *sqlite_store_open(const char *name, bool create)
{
    struct store *store = calloc(1, sizeof(*store));
    char *path = sqlite_path(name);
    char pragma[64];

    bench_check(store, "out of memory");
    bench_check(
        sqlite3_open(path, &store->db) == SQLITE_OK, "%s: %s", path, sqlite3_errmsg(store->db));
    free(path);
    sqlite3_busy_timeout(store->db, 20000);
    if (create) {
        sqlite_execute(store->db, "PRAGMA journal_mode=WAL");
        sqlite_execute(store->db,
            "CREATE TABLE IF NOT EXISTS m(seq INTEGER PRIMARY KEY, time INTEGER, data BLOB)");
    }
    snprintf(pragma, sizeof(pragma), "PRAGMA synchronous=%s", arg_text("mode", "NORMAL"));
    sqlite_execute(store->db, pragma);
    store->begin = sqlite_prepare(store->db, "BEGIN IMMEDIATE");
    store->commit = sqlite_prepare(store->db, "COMMIT");
    store->insert = sqlite_prepare(store->db, "INSERT INTO m(time,data) VALUES(?,?)");
    store->scan = sqlite_prepare(store->db, "SELECT data FROM m ORDER BY seq");
    store->fetch = sqlite_prepare(store->db, "SELECT data FROM m WHERE seq=?");
    return store;
}

static void sqlite_store_close(void *handle)
{
    struct store *store = handle;

    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->insert);
    sqlite3_finalize(store->scan);
    sqlite3_finalize(store->fetch);
    bench_check(sqlite3_close(store->db) == SQLITE_OK, "close: %s", sqlite3_errmsg(store->db));
    free(store);
}

static void sqlite_store_remove(const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char *path = sqlite_path(name);

    for (int i = 0; i < 3; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
        unlink(file); /* it may be missing */
    }
    free(path);
}

static void sqlite_run(struct store *store, sqlite3_stmt *statement)
{
    bench_check(sqlite3_step(statement) == SQLITE_DONE, "%s: %s", sqlite3_sql(statement),
        sqlite3_errmsg(store->db));
    sqlite3_reset(statement);
}

static void sqlite_append(void *handle, const struct view *messages, uint32_t n)
{
    struct store *store = handle;

    if (n > 1)
        sqlite_run(store, store->begin);
    for (uint32_t i = 0; i < n; i++) {
        sqlite3_bind_int64(store->insert, 1, (sqlite3_int64)now_ns());
        sqlite3_bind_blob(store->insert, 2, messages[i].data, (int)messages[i].len, SQLITE_STATIC);
        sqlite_run(store, store->insert);
    }
    if (n > 1)
        sqlite_run(store, store->commit);
}

static void sqlite_scan(void *handle, peer_see *see, void *context)
{
    struct store *store = handle;
    int r;

    while ((r = sqlite3_step(store->scan)) == SQLITE_ROW)
        see(context, view_of(sqlite3_column_blob(store->scan, 0),
                         (size_t)sqlite3_column_bytes(store->scan, 0)));
    bench_check(r == SQLITE_DONE, "scan: %s", sqlite3_errmsg(store->db));
    sqlite3_reset(store->scan);
}

static void sqlite_fetch(void *handle, uint64_t i, uint8_t *out, size_t size)
{
    struct store *store = handle;

    sqlite3_bind_int64(store->fetch, 1, (sqlite3_int64)i + 1);
    bench_check(sqlite3_step(store->fetch) == SQLITE_ROW, "fetch: %s", sqlite3_errmsg(store->db));
    bench_check(sqlite3_column_bytes(store->fetch, 0) == (int)size, "a message of another size");
    memcpy(out, sqlite3_column_blob(store->fetch, 0), size);
    sqlite3_reset(store->fetch);
}

const struct peer peer = {
    .open = sqlite_store_open,
    .close = sqlite_store_close,
    .remove = sqlite_store_remove,
    .append = sqlite_append,
    .scan = sqlite_scan,
    .fetch = sqlite_fetch,
};

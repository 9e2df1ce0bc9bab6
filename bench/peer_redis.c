/* bench_redis: a stream (XADD, XRANGE, XREAD BLOCK) over a unix socket, socket=PATH; nothing is
 * written to the disk. Message number i has the id i+1-0. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000 /* messages in one answer of a scan */

struct store {
    redisContext *redis;
    char stream[64];
    char last_id[64];
};

static redisContext *redis_connect(void)
{
    redisContext *redis = redisConnectUnix(arg_need("socket"));

    bench_check(redis && redis->err == 0, "redis: %s", redis ? redis->errstr : "out of memory");
    return redis;
}

static redisReply *redis_reply(struct store *store, void *reply, int type)
{
    redisReply *r = reply;

    bench_check(r, "redis: %s", store->redis->errstr);
    bench_check(r->type == type, "redis: %s", r->str ? r->str : "an answer of another type");
    return r;
}

static void *redis_open(const char *name, bool create)
{
    struct store *store = calloc(1, sizeof(*store));

    (void)create; /* the first message makes it */
    bench_check(store, "out of memory");
    store->redis = redis_connect();
    snprintf(store->stream, sizeof(store->stream), "%s", name);
    return store;
}

static void redis_close(void *handle)
{
    struct store *store = handle;

    redisFree(store->redis);
    free(store);
}

static void redis_remove(const char *name)
{
    redisContext *redis = redis_connect();

    freeReplyObject(redisCommand(redis, "DEL %s", name));
    redisFree(redis);
}

static void redis_append(void *handle, const struct view *messages, uint32_t n)
{
    struct store *store = handle;
    redisReply *reply = NULL;

    for (uint32_t i = 0; i < n; i++)
        bench_check(redisAppendCommand(store->redis, "XADD %s * d %b", store->stream,
                        messages[i].data, messages[i].len) == REDIS_OK,
            "redis: %s", store->redis->errstr);
    for (uint32_t i = 0; i < n; i++) {
        bench_check(redisGetReply(store->redis, (void **)&reply) == REDIS_OK, "redis: %s",
            store->redis->errstr);
        freeReplyObject(redis_reply(store, reply, REDIS_REPLY_STRING));
    }
}

/* An entry of a stream is [id, [field, value]]. */
static struct view redis_entry(struct store *store, const redisReply *entry)
{
    const redisReply *id = entry->element[0];
    const redisReply *value = entry->element[1]->element[1];

    snprintf(store->last_id, sizeof(store->last_id), "%s", id->str);
    return view_of(value->str, value->len);
}

static void redis_scan(void *handle, peer_see *see, void *context)
{
    struct store *store = handle;
    size_t n = PAGE;

    snprintf(store->last_id, sizeof(store->last_id), "0-0");
    while (n == PAGE) {
        redisReply *reply = redis_reply(store,
            redisCommand(
                store->redis, "XRANGE %s (%s + COUNT %d", store->stream, store->last_id, PAGE),
            REDIS_REPLY_ARRAY);
        n = reply->elements;
        for (size_t i = 0; i < n; i++)
            see(context, redis_entry(store, reply->element[i]));
        freeReplyObject(reply);
    }
}

/* The id of a message is the moment it came, so number i is found as people do who know an id:
 * the ids are read once, outside what is timed. */
static char (*redis_ids)[32];

static void redis_read_ids(struct store *store)
{
    redisReply *reply = redis_reply(
        store, redisCommand(store->redis, "XRANGE %s - +", store->stream), REDIS_REPLY_ARRAY);

    redis_ids = calloc(reply->elements, sizeof(redis_ids[0]));
    bench_check(redis_ids, "out of memory");
    for (size_t i = 0; i < reply->elements; i++)
        snprintf(redis_ids[i], sizeof(redis_ids[0]), "%s", reply->element[i]->element[0]->str);
    freeReplyObject(reply);
}

static void redis_fetch(void *handle, uint64_t i, uint8_t *out, size_t size)
{
    struct store *store = handle;

    if (!redis_ids)
        redis_read_ids(store);
    redisReply *reply = redis_reply(store,
        redisCommand(store->redis, "XRANGE %s %s %s", store->stream, redis_ids[i], redis_ids[i]),
        REDIS_REPLY_ARRAY);
    bench_check(reply->elements == 1, "message %llu is missing", (unsigned long long)i);
    const struct view message = redis_entry(store, reply->element[0]);
    bench_check(message.len == size, "a message of another size");
    memcpy(out, message.data, size);
    freeReplyObject(reply);
}

static void redis_subscribe(void *handle)
{
    struct store *store = handle;

    snprintf(store->last_id, sizeof(store->last_id), "0-0");
}

static void redis_receive(void *handle, char *out, size_t size)
{
    struct store *store = handle;
    redisReply *reply = redis_reply(store,
        redisCommand(
            store->redis, "XREAD COUNT 1 BLOCK 0 STREAMS %s %s", store->stream, store->last_id),
        REDIS_REPLY_ARRAY);
    const struct view message = redis_entry(store, reply->element[0]->element[1]->element[0]);

    bench_check(message.len == size, "a message of another size");
    memcpy(out, message.data, size);
    freeReplyObject(reply);
}

const struct peer peer = {
    .open = redis_open,
    .close = redis_close,
    .remove = redis_remove,
    .append = redis_append,
    .scan = redis_scan,
    .fetch = redis_fetch,
    .subscribe = redis_subscribe,
    .receive = redis_receive,
};

/* bench_nats: a JetStream stream with file storage, through its client library; url=URL. */
#include "bench/bench.h"
#include "bench/peer.h"

#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 20000

#define nats_check(call)                                                                           \
    do {                                                                                           \
        const natsStatus nats_result = (call);                                                     \
        bench_check(nats_result == NATS_OK, "%s: %s", #call, natsStatus_GetText(nats_result));     \
    } while (0)

struct store {
    natsConnection *connection;
    jsCtx *js;
    natsSubscription *subscription;
    char name[64];
};

static void *nats_store_open(const char *name, bool create)
{
    struct store *store = calloc(1, sizeof(*store));
    jsStreamConfig config;
    const char *subject = NULL;

    bench_check(store, "out of memory");
    snprintf(store->name, sizeof(store->name), "%s", name);
    nats_check(natsConnection_ConnectTo(&store->connection, arg_need("url")));
    nats_check(natsConnection_JetStream(&store->js, store->connection, NULL));
    if (create) {
        subject = store->name;
        nats_check(jsStreamConfig_Init(&config));
        config.Name = store->name;
        config.Subjects = &subject;
        config.SubjectsLen = 1;
        config.Storage = js_FileStorage;
        config.AllowDirect = true;
        nats_check(js_AddStream(NULL, store->js, &config, NULL, NULL));
    }
    return store;
}

static void nats_store_close(void *handle)
{
    struct store *store = handle;

    natsSubscription_Destroy(store->subscription);
    jsCtx_Destroy(store->js);
    natsConnection_Destroy(store->connection);
    free(store);
}

static void nats_store_remove(const char *name)
{
    struct store *store = nats_store_open(name, false);
    const natsStatus r = js_DeleteStream(store->js, name, NULL, NULL);

    bench_check(r == NATS_OK || r == NATS_NOT_FOUND, "delete: %s", natsStatus_GetText(r));
    nats_store_close(store);
}

/* One message: wait for its acknowledgement. Several: send all, wait for all. */
static void nats_append(void *handle, const struct view *messages, uint32_t n)
{
    struct store *store = handle;

    if (n == 1) {
        nats_check(js_Publish(
            NULL, store->js, store->name, messages[0].data, (int)messages[0].len, NULL, NULL));
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        nats_check(
            js_PublishAsync(store->js, store->name, messages[i].data, (int)messages[i].len, NULL));
    nats_check(js_PublishAsyncComplete(store->js, NULL));
}

static void nats_subscribe_from(struct store *store, jsDeliverPolicy policy)
{
    jsSubOptions options;

    nats_check(jsSubOptions_Init(&options));
    options.Ordered = true;
    options.Config.DeliverPolicy = policy;
    nats_check(
        js_SubscribeSync(&store->subscription, store->js, store->name, NULL, &options, NULL));
    nats_check(natsSubscription_SetPendingLimits(store->subscription, -1, -1));
}

static natsMsg *nats_next(struct store *store)
{
    natsMsg *message = NULL;

    nats_check(natsSubscription_NextMsg(&message, store->subscription, TIMEOUT_MS));
    return message;
}

static void nats_scan(void *handle, peer_see *see, void *context)
{
    struct store *store = handle;
    jsStreamInfo *info = NULL;

    nats_check(js_GetStreamInfo(&info, store->js, store->name, NULL, NULL));
    const uint64_t n = info->State.Msgs;
    jsStreamInfo_Destroy(info);
    nats_subscribe_from(store, js_DeliverAll);
    for (uint64_t i = 0; i < n; i++) {
        natsMsg *message = nats_next(store);
        see(context, view_of(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message)));
        natsMsg_Destroy(message);
    }
    natsSubscription_Destroy(store->subscription);
    store->subscription = NULL;
}

static void nats_fetch(void *handle, uint64_t i, uint8_t *out, size_t size)
{
    struct store *store = handle;
    jsDirectGetMsgOptions options;
    natsMsg *message = NULL;

    nats_check(jsDirectGetMsgOptions_Init(&options));
    options.Sequence = i + 1;
    nats_check(js_DirectGetMsg(&message, store->js, store->name, NULL, &options));
    bench_check((size_t)natsMsg_GetDataLength(message) == size, "a message of another size");
    memcpy(out, natsMsg_GetData(message), size);
    natsMsg_Destroy(message);
}

static void nats_subscribe(void *handle)
{
    nats_subscribe_from(handle, js_DeliverAll);
}

static void nats_receive(void *handle, char *out, size_t size)
{
    natsMsg *message = nats_next(handle);

    bench_check((size_t)natsMsg_GetDataLength(message) == size, "a message of another size");
    memcpy(out, natsMsg_GetData(message), size);
    natsMsg_Destroy(message);
}

const struct peer peer = {
    .open = nats_store_open,
    .close = nats_store_close,
    .remove = nats_store_remove,
    .append = nats_append,
    .scan = nats_scan,
    .fetch = nats_fetch,
    .subscribe = nats_subscribe,
    .receive = nats_receive,
};

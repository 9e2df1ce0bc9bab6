/* The addon: what the files of this folder share.
 *
 * Each environment of JavaScript (the main thread, and each worker) has its own struct addon. An
 * object of a class of ours has a struct box, which holds the handle of the library; NULL once it
 * is closed. V8 itself sees to it that a method is called on objects of its own class alone. */
#ifndef BINDINGS_NODE_SRC_ADDON_H
#define BINDINGS_NODE_SRC_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>

#include "bindings/node/src/library.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch;

enum addon_class { CLASS_CLIENT, CLASS_POOL, CLASS_STREAM, CLASS_LITE3_STREAM, N_CLASSES };

struct addon {
    napi_ref classes[N_CLASSES];
    char *scratch; /* the text of one call */
    size_t scratch_capacity;
    napi_ref receipt; /* a BigUint64Array for the seq and the time of the last append */
    uint64_t *receipt_words;
    napi_ref slab; /* an ArrayBuffer in which small Buffers are made */
    size_t slab_used;
    napi_ref buffer; /* the function Buffer, and its from() */
    napi_ref buffer_from;
};

struct box {
    void *handle;
    enum addon_class class; /* of the handle */
    struct watch *watch;    /* of a stream that was waited for */
};

/* A call of a method: at most five arguments, undefined where there are fewer. */
struct call {
    napi_env env;
    struct addon *addon;
    napi_value self;
    napi_value args[5];
    struct box *box;
    void *handle; /* what the box holds */
};

/* Reads a call. False: an exception is pending; with a name, also when the handle is closed. */
bool call_read(napi_env env, napi_callback_info info, const char *name, struct call *out_call);

/* A new object of a class, with a handle of the library; NULL: failed, and the handle is freed. */
napi_value box_new(struct call *call, enum addon_class class, void *handle);

/* Puts a handle into a box that has none. */
void box_fill(struct box *box, enum addon_class class, void *handle);

/* Constructor of a class whose objects only this addon can make: the handle is put in later. */
napi_value box_construct(napi_env env, napi_callback_info info);

/* The method close() of every class, which may be called again. */
napi_value box_close(napi_env env, napi_callback_info info);

/* A method, if it exists: a class is defined from those whose function in the library is there. */
struct method {
    const char *name;
    napi_callback function;
    bool exists;
};

/* Defines a class and puts it into exports. */
bool class_define(napi_env env, napi_value exports, enum addon_class class, const char *name,
    napi_callback constructor, const struct method *methods, size_t n_methods);

bool client_define(napi_env env, napi_value exports);
bool pool_define(napi_env env, napi_value exports);
bool stream_define(napi_env env, napi_value exports);
bool lite3_stream_define(napi_env env, napi_value exports);

/* Throws what the library said, and frees it; returns NULL. */
napi_value error_throw(napi_env env, plsm_error_t *error);

/* Throws a Usage error in the form of the library's own. */
napi_value error_usage(napi_env env, const char *message);

/* Throws a TypeError: the name of an argument, and what it should have been. */
bool error_argument(napi_env env, const char *name, const char *expectation);

/* The numbers of durabilities and kinds of error, by name. */
bool constants_define(napi_env env, napi_value exports);

#endif

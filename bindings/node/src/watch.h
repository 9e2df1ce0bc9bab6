/* Waiting without a thread: the loop of libuv, which Node runs anyway, polls the descriptor of a
 * stream, and calls a function of JavaScript once when it becomes readable. */
#ifndef BINDINGS_NODE_SRC_WATCH_H
#define BINDINGS_NODE_SRC_WATCH_H

#include "bindings/node/src/addon.h"

#include <stdbool.h>

/* Calls function once, from the loop, when fd is readable; the loop lives on until then. A watch
 * that is there already is used again: *in_out_watch is the stream's, NULL at first, and set to
 * NULL when the environment ends. False: an exception is pending. */
bool watch_start(napi_env env, int fd, napi_value function, struct watch **in_out_watch);

/* Calls nothing any more; the loop no longer lives for it. Accepts NULL. */
void watch_stop(struct watch *watch);

/* Gives the descriptor back, which may be closed right after. Accepts NULL. */
void watch_close(struct watch *watch);

#endif

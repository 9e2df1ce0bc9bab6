/* One run of duplex: a follower, and beside it a thread that reads and appends. */
#ifndef CLI_DUPLEX_H
#define CLI_DUPLEX_H

#include "base/view.h"
#include "cli/feed.h"

/* Lines typed at the terminal that is standard input, each one message
 * {"from": me, "msg": line}, until Ctrl-D. 0 or -1. */
int duplex_type(struct feed *feed, struct view me, plsm_error_t **err);

#endif

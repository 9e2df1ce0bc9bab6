/* Prints the messages of a pool as `follow --jsonl` does, with the engine alone: built for other
 * word sizes, to see that they read the same. */
#include "base/clock.h"
#include "engine/pool.h"

#include <inttypes.h>
#include <stdio.h>

static int print(struct pool *pool)
{
    char time[CLOCK_TEXT_MAX];
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    int r;

    cursor_oldest(&cursor, pool);
    while ((r = cursor_next(&cursor, &frame, &gap, NULL)) == CURSOR_FRAME)
        printf("{\"seq\":%" PRIu64 ",\"time\":\"%.*s\",\"meta\":{\"tags\":%.*s},\"data\":%.*s}\n",
            frame.seq, (int)clock_format(frame.time_ns, time), time,
            frame.tags.len > 0 ? (int)frame.tags.len : 2,
            frame.tags.len > 0 ? (const char *)frame.tags.data : "[]", (int)frame.data.len,
            (const char *)frame.data.data);
    return r == CURSOR_EMPTY ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct pool *pool = NULL;
    int r = 1;

    if (argc == 2 && pool_open(argv[1], POOL_READ, NULL, &pool, NULL) == 0)
        r = print(pool);
    pool_close(pool);
    return r;
}

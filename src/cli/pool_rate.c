#include "cli/pool_rate.h"

#include "base/clock.h"
#include "cli/human.h"

#define RATE_WINDOW_NS (60 * NS_PER_SECOND)

/* Without an index a time is found by walking: so many messages are done in a blink. */
#define RATE_WALK_MAX 1000000u

/* A reader that writers overtake looks again so often. */
#define RATE_TRIES 8

/* The first message that is no older than this. CURSOR_FRAME, CURSOR_EMPTY or -1. */
static int rate_first(struct pool *pool, uint64_t since_ns, struct frame *out_frame)
{
    scoped(plsm_error_free) plsm_error_t *damage = NULL; /* others report it */
    struct cursor cursor;
    struct gap gap;
    int r = CURSOR_GAP;

    if (cursor_seek_time(&cursor, pool, since_ns, &damage) < 0)
        return -1;
    for (int i = 0; i < RATE_TRIES && r == CURSOR_GAP; i++)
        r = cursor_next(&cursor, out_frame, &gap, &damage);
    return r == CURSOR_GAP ? -1 : r;
}

void pool_rate(
    struct pool *pool, const struct pool_info *info, uint64_t now_ns, struct pool_rate *out_rate)
{
    const uint64_t since_ns = now_ns > RATE_WINDOW_NS ? now_ns - RATE_WINDOW_NS : 0;
    struct cursor end;
    struct frame first;

    *out_rate = (struct pool_rate){.window_ns = RATE_WINDOW_NS};
    if (info->n_messages == 0 || (info->index_capacity == 0 && info->n_messages > RATE_WALK_MAX))
        return;
    const int r = rate_first(pool, since_ns, &first);
    out_rate->known = r >= 0;
    if (r != CURSOR_FRAME)
        return;
    cursor_newest(&end, pool);
    if (end.expected_seq <= first.seq) /* damaged meanwhile, or messages from the future */
        return;
    out_rate->n_messages = end.expected_seq - first.seq;
    out_rate->bytes = end.pos - first.pos;
    if (first.seq == 1 || first.seq > info->oldest_seq)
        return;
    /* older ones may have been within the minute, too, but are overwritten */
    const uint64_t age_ns = now_ns > first.time_ns ? now_ns - first.time_ns : 0;
    out_rate->window_ns = age_ns < NS_PER_SECOND ? NS_PER_SECOND : age_ns;
}

void pool_rate_text(struct text *text, const struct pool_rate *rate)
{
    const double seconds = (double)rate->window_ns / (double)NS_PER_SECOND;

    if (!rate->known) {
        text_str(text, "—");
        return;
    }
    if (rate->n_messages == 0) {
        text_str(text, "nothing in the last minute");
        return;
    }
    human_si(text, (double)rate->n_messages / seconds, "/s");
    text_str(text, ", ");
    human_bytes(text, (uint64_t)((double)rate->bytes / seconds));
    text_str(text, "/s over the last ");
    if (rate->window_ns == RATE_WINDOW_NS)
        text_str(text, "minute");
    else
        human_seconds(text, seconds);
}

void pool_bar(struct text *text, double part, size_t width, bool utf8)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const size_t all = width * 8;
    size_t filled = part <= 0 ? 0 : part >= 1 ? all : (size_t)(part * (double)all);

    if (!utf8) {
        filled /= 8;
        text_str(text, "[");
        for (size_t i = 0; i < width; i++)
            text_str(text, i < filled ? "#" : ".");
        text_str(text, "]");
        return;
    }
    for (size_t i = 0; i < filled / 8; i++)
        text_str(text, "█");
    text_str(text, eighths[filled % 8]);
    for (size_t i = (filled + 7) / 8; i < width; i++)
        text_str(text, "░");
}

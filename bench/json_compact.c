/* How fast json_compact() is: generated messages of several sizes, already compact and lightly
 * spaced, beside a memcpy of the same bytes in the same rounds.
 *
 *     json_compact [rounds]
 *
 * Prints one line a lane: the fastest and the median round, in ns a message and GB/s of input.
 * Each set holds different messages, so that no branch predictor learns them by heart. */
#include "base/clock.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_MESSAGES   256
#define MESSAGE_MAX  8192
#define ROUND_BYTES  4000000
#define N_ROUNDS_MAX 1000

struct set {
    size_t n_bytes;
    size_t len[N_MESSAGES];
    uint8_t text[N_MESSAGES][MESSAGE_MAX];
};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * n >> 32);
}

static const char *random_of(const char *const *words, uint32_t n)
{
    return words[random_below(n)];
}

#define RANDOM_OF(...)                                                                             \
    random_of((const char *const[]){__VA_ARGS__},                                                  \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* One member of an event as programs log them; c and s are the comma's and the colon's blank. */
static int member(char *out, size_t room, const char *s)
{
    switch (random_below(9)) {
    case 0:
        return snprintf(out, room, "\"level\":%s\"%s\"", s,
            RANDOM_OF("info", "warning", "error", "debug"));
    case 1:
        return snprintf(out, room, "\"duration_ms\":%s%u.%u", s, random_below(10000),
            random_below(1000));
    case 2:
        return snprintf(out, room, "\"user\":%s{\"id\":%s%u,%s\"name\":%s\"%s\",%s\"admin\":%s%s}", s,
            s, random_below(1000000), s, s, RANDOM_OF("Ada", "Grace", "Jos\xc3\xa9", "Zo\xc3\xab"),
            s, s, RANDOM_OF("true", "false", "null"));
    case 3:
        return snprintf(out, room, "\"path\":%s\"/srv/%s/%u/index.html\"", s,
            RANDOM_OF("a", "images", "video/long"), random_below(100000));
    case 4:
        return snprintf(out, room, "\"msg\":%s\"%s %u%s\"", s,
            RANDOM_OF("connection reset by peer after", "queue drained in", "\xe2\x9c\x93 built",
                "retrying in a moment, attempt"),
            random_below(100), RANDOM_OF("", "", "\\n", " (\\\"quoted\\\")"));
    case 5:
        return snprintf(out, room, "\"tags\":%s[\"%s\",%s\"%s\"]", s,
            RANDOM_OF("web", "db", "batch"), s, RANDOM_OF("eu-west", "us", "ap-south-1"));
    case 6:
        return snprintf(out, room, "\"temp\":%s%s%u.%u", s, RANDOM_OF("-", ""), random_below(60),
            random_below(10));
    case 7: return snprintf(out, room, "\"ok\":%s%s", s, RANDOM_OF("true", "false"));
    default:
        return snprintf(out, room, "\"id\":%s\"%08x%08x\"", s, random_below(UINT32_MAX),
            random_below(UINT32_MAX));
    }
}

/* An event of `len` bytes: members as long as they fit, then one that fills up. */
static void message(uint8_t *out, size_t len, bool spaced)
{
    const char *s = spaced ? " " : "";
    char text[MESSAGE_MAX];
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"ts\":%s17%08u", s, random_below(100000000));
    for (;;) {
        char one[256];
        const size_t one_len = (size_t)member(one, sizeof(one), s);
        if (n + one_len + 16 > len)
            break;
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",%s%s", s, one);
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, ",%s\"pad\":%s\"", s, s);
    while (n < len - 2)
        text[n++] = 'x';
    memcpy(text + n, "\"}", 2);
    memcpy(out, text, len);
}

static struct set *set_new(size_t len, bool spaced)
{
    struct set *set = calloc(1, sizeof(*set));
    if (set == NULL)
        abort();
    for (int i = 0; i < N_MESSAGES; i++) {
        message(set->text[i], len, spaced);
        set->len[i] = len;
        set->n_bytes += len;
    }
    return set;
}

static uint64_t checksum;

/* Nanoseconds for n_passes over the set. */
static uint64_t run_compact(const struct set *set, unsigned n_passes)
{
    static uint8_t out[MESSAGE_MAX + JSON_SLACK];
    const uint64_t begin = clock_monotonic_ns();
    for (unsigned pass = 0; pass < n_passes; pass++) {
        for (int i = 0; i < N_MESSAGES; i++) {
            size_t out_len = 0;
            if (!json_compact(set->text[i], set->len[i], out, &out_len, NULL))
                abort();
            checksum += out[out_len / 2];
        }
    }
    return clock_monotonic_ns() - begin;
}

static uint64_t run_memcpy(const struct set *set, unsigned n_passes)
{
    static uint8_t out[MESSAGE_MAX];
    const uint64_t begin = clock_monotonic_ns();
    for (unsigned pass = 0; pass < n_passes; pass++) {
        for (int i = 0; i < N_MESSAGES; i++) {
            memcpy(out, set->text[i], set->len[i]);
            __asm__ volatile("" : : "r"(out) : "memory");
            checksum += out[set->len[i] / 2];
        }
    }
    return clock_monotonic_ns() - begin;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, size_t len, const char *kind, uint64_t *times,
    unsigned n_rounds, const struct set *set, unsigned n_passes)
{
    qsort(times, n_rounds, sizeof(*times), compare);
    const double best = (double)times[0] / n_passes;
    const double median = (double)times[n_rounds / 2] / n_passes;
    printf("%-12s %5zuB %-8s best %7.1f ns %6.2f GB/s   median %7.1f ns %6.2f GB/s\n", name, len,
        kind, best / N_MESSAGES, (double)set->n_bytes / best, median / N_MESSAGES,
        (double)set->n_bytes / median);
}

int main(int argc, char **argv)
{
    unsigned n_rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 21;
    if (n_rounds < 1 || n_rounds > N_ROUNDS_MAX)
        n_rounds = 21;
    static uint64_t compact_ns[N_ROUNDS_MAX];
    static uint64_t memcpy_ns[N_ROUNDS_MAX];
    static const size_t lens[] = {64, 240, 1024, 4096};

    for (size_t i = 0; i < 2 * sizeof(lens) / sizeof(lens[0]); i++) {
        const size_t len = lens[i / 2];
        const char *kind = i % 2 == 0 ? "compact" : "spaced";
        struct set *set = set_new(len, i % 2 != 0);
        const unsigned n_passes = (unsigned)(ROUND_BYTES / set->n_bytes);
        for (unsigned round = 0; round < n_rounds; round++) {
            compact_ns[round] = run_compact(set, n_passes);
            memcpy_ns[round] = run_memcpy(set, n_passes);
        }
        report("json_compact", len, kind, compact_ns, n_rounds, set, n_passes);
        report("memcpy", len, kind, memcpy_ns, n_rounds, set, n_passes);
        free(set);
    }
    return checksum == 1; /* keeps the work from being optimised away */
}

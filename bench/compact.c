/* json_compact: validating and compacting JSON text, beside memcpy of the same bytes, in turns.
 * size=, spaced=1 for text with a blank after each comma and colon. */
#include "bench/common.h"

#include "json/json.h"

#include <string.h>

#define TURNS 8u

static uint64_t compact_turn(const struct payloads *payloads, uint64_t deadline_ns, uint8_t *out)
{
    struct json_error error;
    uint64_t n = 0;

    do {
        for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++, n++) {
            const struct view text = payload_at(payloads, i);
            size_t len = 0;
            bench_check(json_compact(text.data, text.len, out, &len, &error), "not JSON: %s",
                error.problem);
        }
    } while (now_ns() < deadline_ns);
    return n;
}

static uint64_t copy_turn(const struct payloads *payloads, uint64_t deadline_ns, uint8_t *out)
{
    uint64_t n = 0;

    do {
        for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++, n++) {
            memcpy(out, payload_at(payloads, i).data, payloads->size);
            __asm__ volatile("" : : "r"(out) : "memory"); /* the copy is wanted */
        }
    } while (now_ns() < deadline_ns);
    return n;
}

static size_t compact_one(struct view text, uint8_t *out)
{
    struct json_error error;
    size_t len = 0;

    bench_check(
        json_compact(text.data, text.len, out, &len, &error), "not JSON: %s", error.problem);
    return len;
}

/* What is compact must come out as it was, and blanks must go. */
static void compact_check(const struct payloads *payloads, bool spaced)
{
    static uint8_t once[PAYLOAD_MAX + JSON_SLACK];
    static uint8_t twice[PAYLOAD_MAX + JSON_SLACK];

    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++) {
        const struct view text = payload_at(payloads, i);
        const struct view compact = view_of(once, compact_one(text, once));
        bench_check(spaced ? compact.len < text.len : view_equal(text, compact), "wrong blanks");
        bench_check(view_equal(compact, view_of(twice, compact_one(compact, twice))),
            "compact text was changed");
    }
}

void bench_compact(void)
{
    static uint8_t out[PAYLOAD_MAX + JSON_SLACK];
    const size_t size = arg_number("size", 256);
    const bool spaced = arg_number("spaced", 0) != 0;
    const struct payloads *payloads = spaced ? payloads_new_spaced(size, 0) : payloads_new(size, 0);
    uint64_t elapsed[2] = {0, 0};
    uint64_t n[2] = {0, 0};

    compact_check(payloads, spaced);
    for (uint32_t turn = 0; turn < 2 * TURNS; turn++) {
        const uint64_t start = now_ns();
        const uint64_t deadline = start + bench_duration_ns() / TURNS / 2;
        n[turn % 2] += turn % 2 == 0 ? compact_turn(payloads, deadline, out)
                                     : copy_turn(payloads, deadline, out);
        elapsed[turn % 2] += now_ns() - start;
    }
    report_rate("compact", n[0] * size, elapsed[0]);
    report_rate("memcpy", n[1] * size, elapsed[1]);
}

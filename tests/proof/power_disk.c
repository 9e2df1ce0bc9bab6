#include "tests/proof/power_disk.h"

#include <string.h>

enum draw_mode {
    DRAW_OLD,         /* nothing was written since the last sync */
    DRAW_NEW,         /* everything was */
    DRAW_ONE_OLD,     /* everything but one unit */
    DRAW_ONE_NEW,     /* one unit */
    DRAW_ANY,         /* each unit in any of its versions */
    DRAW_COIN,        /* each unit old or new */
    DRAW_MOSTLY_OLD,  /* nine of ten */
    DRAW_MOSTLY_NEW,  /* nine of ten */
    DRAW_MOMENT,      /* as memory was at some moment */
    DRAW_SWEEP,       /* written in the order of the file while the stores went on */
    DRAW_SWEEP_BACK,  /* the other way round */
    DRAW_HEADER_OLD,  /* the first page old, the others in any version */
    DRAW_HEADER_NEW,  /* the first page new, the others in any version */
    DRAW_HEADER_ONLY, /* the first page in any version, the others new */
    DRAW_MODES,
};

void disk_start(struct disk *disk, const uint8_t *bytes)
{
    memset(disk, 0, sizeof(*disk));
    memcpy(disk->live, bytes, record.n_bytes);
    memcpy(disk->synced, bytes, record.n_bytes);
}

static void disk_sync_begin(struct disk *disk, uint32_t number)
{
    must(disk->n_syncs < DISK_SYNCS_MAX);
    struct disk_sync *sync = &disk->syncs[disk->n_syncs++];
    sync->number = number;
    sync->at = disk->at;
    memcpy(sync->words, disk->live, record.n_bytes);
    memcpy(sync->dirty, disk->dirty, sizeof(sync->dirty));
    /* what another one is about to write, this one waits for */
    for (size_t i = 0; i + 1 < disk->n_syncs; i++)
        for (size_t page = 0; page < RECORD_PAGES; page++)
            sync->dirty[page] |= disk->syncs[i].dirty[page];
    memset(disk->dirty, 0, sizeof(disk->dirty));
}

/* A sync that fails leaves the pages it was to write clean: no later one writes them before they
 * are stored to again. */
static void disk_sync_end(struct disk *disk, uint32_t number, bool good)
{
    size_t i = 0;
    while (disk->syncs[i].number != number)
        must(++i < disk->n_syncs);
    const struct disk_sync *sync = &disk->syncs[i];
    for (size_t page = 0; good && page < record.n_bytes / RECORD_PAGE; page++) {
        const size_t first = page * RECORD_PAGE / 8;
        if (!sync->dirty[page] || disk->since[page] > sync->at)
            continue;
        memcpy(disk->synced + first, sync->words + first, RECORD_PAGE);
        disk->since[page] = sync->at;
    }
    disk->syncs[i] = disk->syncs[--disk->n_syncs];
}

void disk_advance(struct disk *disk, size_t to)
{
    must(to <= record.n_log);
    for (; disk->at < to; disk->at++) {
        const struct record_entry *entry = &record.log[disk->at];
        switch ((enum record_kind)entry->kind) {
        case RECORD_STORE:
            disk->live[entry->at] = entry->value;
            disk->dirty[entry->at * 8 / RECORD_PAGE] = true;
            break;
        case RECORD_TOUCH: disk->dirty[entry->at] = true; break;
        case RECORD_SYNC: disk_sync_begin(disk, entry->at); break;
        case RECORD_SYNC_DONE: disk_sync_end(disk, entry->at, true); break;
        case RECORD_SYNC_FAILED: disk_sync_end(disk, entry->at, false); break;
        case RECORD_OPENED:
        case RECORD_FLUSHED: break;
        }
    }
}

/* The units of one drawing: which stores each has seen, and how many of them it keeps. */
static struct {
    uint32_t n_stores[2 * RECORD_WORDS];
    uint32_t n_kept[2 * RECORD_WORDS];
    uint32_t touched[2 * RECORD_WORDS];
    size_t n_touched;
    size_t first; /* entry of the log */
} units;

static size_t unit_of(const struct draw *draw, uint32_t word)
{
    if (word < RECORD_PAGE / 8)
        return word >> (draw->header_shift - 3);
    return RECORD_WORDS + (word >> (draw->ring_shift - 3));
}

static bool unit_is_header(size_t unit)
{
    return unit < RECORD_WORDS;
}

/* Whether this entry is a store that the disk need not have. */
static bool is_loose(const struct disk *disk, size_t i)
{
    return record.log[i].kind == RECORD_STORE &&
           i >= disk->since[record.log[i].at * 8 / RECORD_PAGE];
}

static void units_count(const struct disk *disk, const struct draw *draw)
{
    for (size_t i = 0; i < units.n_touched; i++)
        units.n_stores[units.touched[i]] = units.n_kept[units.touched[i]] = 0;
    units.n_touched = 0;
    units.first = disk->at;
    for (size_t page = 0; page < record.n_bytes / RECORD_PAGE; page++)
        if (disk->since[page] < units.first)
            units.first = disk->since[page];
    for (size_t i = units.first; i < disk->at; i++) {
        if (!is_loose(disk, i))
            continue;
        const size_t unit = unit_of(draw, record.log[i].at);
        if (units.n_stores[unit]++ == 0)
            units.touched[units.n_touched++] = (uint32_t)unit;
    }
}

/* When the unit was written, for the modes that think in time. */
static size_t unit_moment(
    const struct disk *disk, unsigned mode, const size_t times[2], uint32_t word)
{
    if (mode == DRAW_MOMENT)
        return times[0];
    const size_t n_words = record.n_bytes / 8;
    const size_t from = times[0] < times[1] ? times[0] : times[1];
    const size_t to = times[0] + times[1] - from;
    (void)disk;
    return from + (to - from) * (mode == DRAW_SWEEP ? word : n_words - word) / n_words;
}

static void units_keep_by_time(const struct disk *disk, const struct draw *draw, struct rng *rng)
{
    const size_t n = disk->at - units.first;
    const size_t times[2] = {
        units.first + rng_below(rng, n + 1), units.first + rng_below(rng, n + 1)};
    for (size_t i = units.first; i < disk->at; i++) {
        if (!is_loose(disk, i))
            continue;
        const uint32_t unit_word = record.log[i].at & ~((1u << (draw->ring_shift - 3)) - 1);
        if (i < unit_moment(disk, draw->mode, times, unit_word))
            units.n_kept[unit_of(draw, record.log[i].at)]++;
    }
}

static uint32_t unit_keep(const struct draw *draw, struct rng *rng, size_t unit)
{
    const uint32_t n = units.n_stores[unit];
    const uint32_t any = (uint32_t)rng_below(rng, n + 1);
    switch ((enum draw_mode)draw->mode) {
    case DRAW_OLD:
    case DRAW_ONE_NEW: return 0;
    case DRAW_NEW:
    case DRAW_ONE_OLD: return n;
    case DRAW_COIN: return rng_below(rng, 2) == 0 ? 0 : n;
    case DRAW_MOSTLY_OLD: return rng_below(rng, 10) == 0 ? any : 0;
    case DRAW_MOSTLY_NEW: return rng_below(rng, 10) == 0 ? any : n;
    case DRAW_HEADER_OLD: return unit_is_header(unit) ? 0 : any;
    case DRAW_HEADER_NEW: return unit_is_header(unit) ? n : any;
    case DRAW_HEADER_ONLY: return unit_is_header(unit) ? any : n;
    case DRAW_ANY:
    case DRAW_MOMENT:
    case DRAW_SWEEP:
    case DRAW_SWEEP_BACK:
    case DRAW_MODES: break;
    }
    return any;
}

static void units_keep(const struct disk *disk, const struct draw *draw, struct rng *rng)
{
    if (draw->mode == DRAW_MOMENT || draw->mode == DRAW_SWEEP || draw->mode == DRAW_SWEEP_BACK) {
        units_keep_by_time(disk, draw, rng);
        return;
    }
    for (size_t i = 0; i < units.n_touched; i++)
        units.n_kept[units.touched[i]] = unit_keep(draw, rng, units.touched[i]);
    if (units.n_touched > 0 && (draw->mode == DRAW_ONE_NEW || draw->mode == DRAW_ONE_OLD)) {
        const size_t unit = units.touched[rng_below(rng, units.n_touched)];
        units.n_kept[unit] = (uint32_t)rng_below(rng, units.n_stores[unit] + 1);
    }
}

struct draw disk_draw(const struct disk *disk, struct rng *rng, uint8_t *image)
{
    static const uint8_t shifts[] = {12, 12, 12, 9, 9, 9, 6, 6};
    struct draw draw = {
        .mode = (unsigned)rng_below(rng, DRAW_MODES),
        .header_shift = shifts[rng_below(rng, sizeof(shifts))],
        .ring_shift = shifts[rng_below(rng, sizeof(shifts))],
    };
    if (rng_below(rng, 20) == 0) /* hardly any machine tears words that lie in one line */
        draw.header_shift = 3;
    if (rng_below(rng, 20) == 0)
        draw.ring_shift = 3;

    units_count(disk, &draw);
    units_keep(disk, &draw, rng);
    memcpy(image, disk->synced, record.n_bytes);
    for (size_t i = units.first; i < disk->at; i++) {
        if (!is_loose(disk, i))
            continue;
        const size_t unit = unit_of(&draw, record.log[i].at);
        if (units.n_kept[unit] == 0)
            continue;
        units.n_kept[unit]--;
        memcpy(image + (size_t)record.log[i].at * 8, &record.log[i].value, 8);
    }
    return draw;
}

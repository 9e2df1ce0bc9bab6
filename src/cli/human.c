#include "cli/human.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE UINT64_C(60)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define WEEK   (7 * DAY)

void human_bytes(struct text *text, uint64_t bytes)
{
    static const struct {
        uint64_t size;
        char letter;
    } units[] = {{UINT64_C(1) << 30, 'G'}, {UINT64_C(1) << 20, 'M'}, {UINT64_C(1) << 10, 'K'}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes < units[i].size)
            continue;
        if (bytes % units[i].size == 0) {
            text_u64(text, bytes / units[i].size);
        } else {
            const uint64_t size = units[i].size, rest = bytes % size;
            const uint64_t tenths = bytes / size * 10 + (rest * 10 + size / 2) / size;
            text_printf(
                text, "%llu.%u", (unsigned long long)(tenths / 10), (unsigned)(tenths % 10));
        }
        text_put(text, &units[i].letter, 1);
        return;
    }
    text_u64(text, bytes);
}

void human_age(struct text *text, uint64_t age_ns)
{
    const uint64_t seconds = age_ns / NS_PER_SECOND;
    uint64_t number = seconds == 0 ? 1 : seconds;
    char unit = 's';

    if (seconds >= WEEK) {
        number = seconds / WEEK;
        unit = 'w';
    } else if (seconds >= DAY) {
        number = seconds / DAY;
        unit = 'd';
    } else if (seconds >= HOUR) {
        number = seconds / HOUR;
        unit = 'h';
    } else if (seconds >= MINUTE) {
        number = seconds / MINUTE;
        unit = 'm';
    }
    text_printf(text, "%llu%c ago", (unsigned long long)number, unit);
}

void human_count(struct text *text, uint64_t number)
{
    char digits[24];
    const int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text_str(text, " ");
        text_put(text, &digits[i], 1);
    }
}

void human_si(struct text *text, double number, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t i = 0;
    for (; number >= 999.5 && i + 1 < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        number /= 1000;
    const bool rate = unit[0] == '/';
    const int digits = rate && i == 0 && number < 0.995   ? 2
                       : number < 9.95 && (rate || i > 0) ? 1
                                                          : 0;
    text_printf(text, "%.*f%s%s%s", digits, number, i == 0 && rate ? "" : " ", prefixes[i], unit);
}

void human_seconds(struct text *text, double seconds)
{
    const unsigned long long whole = (unsigned long long)(seconds + 0.5);
    if (seconds < 9.95)
        text_printf(text, "%.1f s", seconds);
    else if (seconds < 59.5)
        text_printf(text, "%.0f s", seconds);
    else if (whole < HOUR)
        text_printf(text, "%llu m %02llu s", whole / MINUTE, whole % MINUTE);
    else
        text_printf(text, "%llu h %02llu m", whole / HOUR, whole % HOUR / MINUTE);
}

const char *human_short_path(const char *path, const char *directory)
{
    const size_t len = strlen(directory);
    if (strncmp(path, directory, len) == 0 && path[len] == '/')
        return path + len + 1;
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* What directory adds to base: "" if they are the same, NULL if it does not lie in it. */
static const char *human_under(const char *directory, const char *base)
{
    const size_t len = strlen(base);
    if (len < 2 || strncmp(directory, base, len) != 0)
        return NULL;
    if (directory[len] == '\0')
        return "";
    return directory[len] == '/' ? directory + len + 1 : NULL;
}

static void human_relative(struct text *text, const char *start, const char *rest)
{
    text_str(text, start);
    text_printable(text, view_str(rest));
    if (rest[0] != '\0')
        text_str(text, "/");
}

void human_directory(struct text *text, const char *directory)
{
    char cwd[4096];
    const char *home = getenv("HOME");
    const char *rest = getcwd(cwd, sizeof(cwd)) == NULL ? NULL : human_under(directory, cwd);

    if (rest != NULL) {
        human_relative(text, "./", rest);
        return;
    }
    rest = home == NULL ? NULL : human_under(directory, home);
    if (rest != NULL) {
        human_relative(text, "~/", rest);
        return;
    }
    text_printable(text, view_str(directory));
    if (directory[0] != '\0' && directory[strlen(directory) - 1] != '/')
        text_str(text, "/");
}

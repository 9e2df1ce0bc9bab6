#include "cli/similar.h"

#include "client/ref.h"

#include <dirent.h>
#include <string.h>

#define SIMILAR_EDITS 2

/* A directory with more entries is not searched to its end. */
#define SIMILAR_ENTRIES_MAX 100000

void similar_init(struct similar *similar, const char *word, size_t len)
{
    *similar = (struct similar){.limit = 0};
    if (len == 0 || len >= SIMILAR_WORD_MAX)
        return;
    memcpy(similar->word, word, len);
    const size_t edits = (len - 1) / 2; /* fewer than half */
    similar->limit = 1 + (edits < SIMILAR_EDITS ? edits : SIMILAR_EDITS);
}

static size_t similar_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The edits that turn one word into the other, row by row: rows[i % 3][j] are those between the
 * first i letters of a and the first j of b. */
static size_t similar_distance(const char *a, const char *b)
{
    size_t rows[3][SIMILAR_WORD_MAX];
    const size_t n_a = strlen(a), n_b = strlen(b);

    for (size_t i = 0; i <= n_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            if (i == 0) {
                row[j] = j;
                continue;
            }
            row[j] = similar_min(above[j], row[j - 1]) + 1;
            row[j] = similar_min(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = similar_min(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

void similar_offer(struct similar *similar, const char *candidate)
{
    const size_t len = strlen(candidate);
    if (similar->limit == 0 || len >= SIMILAR_WORD_MAX)
        return;
    const size_t distance = similar_distance(similar->word, candidate);
    if (distance == 0 || distance > similar->limit)
        return;
    if (distance == similar->limit &&
        (similar->best[0] == '\0' || strcmp(candidate, similar->best) >= 0))
        return; /* of two that are equally like it the first by name, in whatever order they come */
    similar->limit = distance;
    memcpy(similar->best, candidate, len + 1);
}

void similar_pools(struct similar *similar, const char *path)
{
    const size_t suffix = strlen(REF_SUFFIX);
    const char *slash = strrchr(path, '/');
    const char *file = slash == NULL ? path : slash + 1;
    const size_t len = strlen(file);
    char directory[4096] = ".";

    *similar = (struct similar){.limit = 0};
    const size_t directory_len = slash == path ? 1 : (size_t)(file - path);
    if (len <= suffix || directory_len >= sizeof(directory))
        return;
    if (slash != NULL) {
        memcpy(directory, path, directory_len);
        directory[directory_len] = '\0';
    }
    similar_init(similar, file, len - suffix);

    DIR *listing = opendir(directory);
    if (listing == NULL)
        return; /* then there is nothing to suggest */
    const struct dirent *entry;
    for (int i = 0; i < SIMILAR_ENTRIES_MAX && (entry = readdir(listing)) != NULL; i++) {
        char name[sizeof(entry->d_name)];
        const size_t name_len = strlen(entry->d_name);
        if (name_len <= suffix || strcmp(entry->d_name + name_len - suffix, REF_SUFFIX) != 0)
            continue;
        memcpy(name, entry->d_name, name_len - suffix);
        name[name_len - suffix] = '\0';
        similar_offer(similar, name);
    }
    closedir(listing);
}

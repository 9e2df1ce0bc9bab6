/* "Did you mean": which of the words there are is most like the one that was typed.
 *
 * A word is like another if at most two letters were left out, added, exchanged or swapped with
 * their neighbour, and fewer than half of those typed. */
#ifndef CLI_SIMILAR_H
#define CLI_SIMILAR_H

#include <stddef.h>

/* Longer words have no other word like them. With the NUL. */
#define SIMILAR_WORD_MAX 64

struct similar {
    char word[SIMILAR_WORD_MAX]; /* as typed */
    char best[SIMILAR_WORD_MAX]; /* so far; "" if none is like it */
    size_t limit;                /* edits from which on a candidate is worse than best */
};

void similar_init(struct similar *similar, const char *word, size_t len);

/* Takes the candidate if it is more like the word than those before it were. */
void similar_offer(struct similar *similar, const char *candidate);

/* Offers the pools that lie beside this path, which ends with the name that was typed and the
 * suffix of pools. */
void similar_pools(struct similar *similar, const char *path);

#endif

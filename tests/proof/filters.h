#ifndef PROOF_FILTERS_H
#define PROOF_FILTERS_H

#include <stddef.h>

enum hostile_kind {
    ANY,     /* may end by itself, soon or late */
    ENDLESS, /* never does, or not while anybody waits */
    DEADLY,  /* may end the process that it runs in */
};

struct hostile_filter {
    enum hostile_kind kind;
    const char *expression;
};

extern const struct hostile_filter hostile_filters[];
extern const size_t n_hostile_filters;

#endif

#ifndef PROOF_JSON_H
#define PROOF_JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_verdict {
    PASS,    /* JSON */
    FAIL,    /* no JSON */
    TAKEN,   /* may be either; we take it as it is */
    REFUSED, /* may be either; we refuse it */
    MARKED,  /* begins with a byte order mark: the scanners refuse it, the program takes that off */
};

struct json_case {
    enum json_verdict verdict;
    bool whole; /* else it is the value of a member */
    size_t len;
    const char *text;
};

extern const struct json_case json_cases[];
extern const size_t n_json_cases;

#endif

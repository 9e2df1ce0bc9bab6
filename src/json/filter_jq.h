/* The filters that are not simple: libjq, in a module that is loaded when one is needed. */
#ifndef JSON_FILTER_JQ_H
#define JSON_FILTER_JQ_H

#include "base/buf.h"
#include "base/error.h"
#include "json/jq_module.h"

/* Finds what is wrong with an expression without libjq: what is not even made of tokens, and
 * what filters do not offer (input, env, import, ...). 0, or -1: Usage. */
int filter_check(const char *expression, plsm_error_t **err);

/* Appends the definitions that an expression needs in front of it. -1: out of memory. */
int filter_prelude(const char *expression, struct buf *out_text);

/* Compiles an expression with libjq. *out_module is the module to use the program with.
 * Errors: Usage (the expression), Internal (no module). */
int filter_jq_compile(const char *expression, const struct jq_module **out_module,
    struct jq_program **out_program, plsm_error_t **err);

#endif

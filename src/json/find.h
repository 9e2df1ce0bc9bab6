/* Finding a member without reading those before it one by one. */
#ifndef JSON_FIND_H
#define JSON_FIND_H

#include "base/view.h"

enum {
    FIND_NONE, /* there is no such member */
    FIND_ONE,  /* *out_value is where its value begins: the last one's, if there are several */
    FIND_ASK,  /* not found out: read the members one by one */
};

/* With vector instructions, where the CPU has them; otherwise always FIND_ASK. object begins
 * with a brace. */
int find_accelerated(struct view object, struct view name, const uint8_t **out_value);

#endif

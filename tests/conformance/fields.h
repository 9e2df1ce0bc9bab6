/* Reading the fields of a manifest's objects, and comparing JSON. */
#ifndef CONFORMANCE_FIELDS_H
#define CONFORMANCE_FIELDS_H

#include "tests/conformance/run.h"
#include "json/span.h"

/* Whether the object has the field; null counts as a value. */
bool field(struct view object, const char *name, struct json_value *out_value);

/* These return 1 if the field is there, 0 if it is not, or null (the output is untouched then), and
 * -1 (unmet) if it is something else. Texts are to be freed. */
int field_u64(struct run *run, struct view object, const char *name, uint64_t *out_value);
int field_text(struct run *run, struct view object, const char *name, char **out_text);
int field_bool(struct run *run, struct view object, const char *name, bool *out_value);

/* The object of this name; where there is none, an empty one. */
int field_object(struct run *run, struct view object, const char *name, struct view *out_object);

/* A list of tags; without the field, none. */
struct tags {
    const char **items; /* point into text */
    size_t n;
    struct buf text;
};

int tags_read(struct run *run, struct view object, struct tags *out_tags);
void tags_fini(struct tags *tags);

static inline void tags_fini_scoped(struct tags *tags)
{
    tags_fini(tags);
}

/* Whether two texts are the same JSON: objects whatever the order of their keys (of a key that
 * comes twice, the last one counts), strings by content, numbers by value. */
bool json_same(struct view a, struct view b);

#endif

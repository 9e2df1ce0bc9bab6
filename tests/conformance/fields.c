#include "tests/conformance/fields.h"

#include <string.h>

bool field(struct view object, const char *name, struct json_value *out_value)
{
    return json_find(object, view_str(name), out_value);
}

/* Of a field that may be left out: null is the same as nothing. */
static bool field_given(struct view object, const char *name, struct json_value *out_value)
{
    return field(object, name, out_value) && out_value->kind != JSON_NULL;
}

int field_u64(struct run *run, struct view object, const char *name, uint64_t *out_value)
{
    struct json_value value;
    if (!field_given(object, name, &value))
        return 0;
    if (value.kind != JSON_NUMBER || !json_u64(value.text, out_value))
        return unmet(run, "%s is not a whole number", name);
    return 1;
}

/* The content of a string with a NUL behind it, which no other may come before. */
static int text_append(struct run *run, const char *name, struct json_value string, struct buf *buf)
{
    const size_t begin = buf->len;
    if (string.kind != JSON_STRING)
        return unmet(run, "%s is not a string", name);
    if (json_unescape(string, buf) < 0 || buf_append(buf, "", 1) < 0)
        return unmet(run, "out of memory");
    if (strlen((const char *)buf->data + begin) + 1 != buf->len - begin)
        return unmet(run, "%s has a NUL in it", name);
    return 0;
}

int field_text(struct run *run, struct view object, const char *name, char **out_text)
{
    scoped(buf_fini) struct buf buf = {0};
    struct json_value value;
    if (!field_given(object, name, &value))
        return 0;
    if (text_append(run, name, value, &buf) < 0)
        return -1;
    *out_text = (char *)buf.data;
    buf = (struct buf){0}; /* the caller owns it now */
    return 1;
}

int field_bool(struct run *run, struct view object, const char *name, bool *out_value)
{
    struct json_value value;
    if (!field_given(object, name, &value))
        return 0;
    if (value.kind != JSON_TRUE && value.kind != JSON_FALSE)
        return unmet(run, "%s is not a boolean", name);
    *out_value = value.kind == JSON_TRUE;
    return 1;
}

int field_object(struct run *run, struct view object, const char *name, struct view *out_object)
{
    struct json_value value;
    *out_object = view_str("{}");
    if (!field_given(object, name, &value))
        return 0;
    if (value.kind != JSON_OBJECT)
        return unmet(run, "%s is not an object", name);
    *out_object = value.text;
    return 1;
}

int tags_read(struct run *run, struct view object, struct tags *out_tags)
{
    struct json_value list, tag;
    if (!field_given(object, "tags", &list))
        return 0;
    if (list.kind != JSON_ARRAY)
        return unmet(run, "tags is not an array");

    const size_t n = json_count(list.text);
    out_tags->items = calloc(n + 1, sizeof(*out_tags->items));
    if (out_tags->items == NULL)
        return unmet(run, "out of memory");
    struct json_walk walk = json_walk(list.text);
    while (json_next_element(&walk, &tag)) {
        if (text_append(run, "a tag", tag, &out_tags->text) < 0)
            return -1;
    }

    const char *at = (const char *)out_tags->text.data;
    for (; out_tags->n < n; out_tags->n++) {
        out_tags->items[out_tags->n] = at;
        at += strlen(at) + 1;
    }
    return 0;
}

void tags_fini(struct tags *tags)
{
    free((void *)tags->items);
    buf_fini(&tags->text);
    *tags = (struct tags){0};
}

static bool is_integer(struct view number)
{
    for (size_t i = 0; i < number.len; i++) {
        if (strchr(".eE", number.data[i]) != NULL)
            return false;
    }
    return true;
}

/* Integers of any length are compared exactly: there is only one way to write each, but for 0. */
static bool same_number(struct view a, struct view b)
{
    double x = 0, y = 0;
    if (view_equal(a, b))
        return true;
    if (!json_double(a, &x) || !json_double(b, &y))
        return false;
    if (is_integer(a) && is_integer(b))
        return x == 0 && y == 0;
    return x == y;
}

static bool same_array(struct view a, struct view b)
{
    struct json_walk walk_a = json_walk(a), walk_b = json_walk(b);
    struct json_value x, y;
    if (json_count(a) != json_count(b))
        return false;
    while (json_next_element(&walk_a, &x)) {
        if (!json_next_element(&walk_b, &y) || !json_same(x.text, y.text))
            return false;
    }
    return !walk_a.damaged && !walk_b.damaged;
}

/* Whether b has all keys of a; with values, also the same under each. */
static bool has_keys(struct view a, struct view b, bool values)
{
    struct json_walk walk = json_walk(a);
    struct json_value key, value, x, y;
    while (json_next_member(&walk, &key, &value)) {
        scoped(buf_fini) struct buf name = {0};
        if (json_unescape(key, &name) < 0)
            return false;
        if (!json_find(a, buf_view(&name), &x) || !json_find(b, buf_view(&name), &y))
            return false;
        if (values && !json_same(x.text, y.text))
            return false;
    }
    return !walk.damaged;
}

bool json_same(struct view a, struct view b)
{
    const struct json_value x = json_value_of(a), y = json_value_of(b);
    if (x.kind != y.kind)
        return false;
    switch (x.kind) {
    case JSON_NUMBER: return same_number(a, b);
    case JSON_STRING: return json_string_compare(x, y) == 0;
    case JSON_ARRAY: return same_array(a, b);
    case JSON_OBJECT: return has_keys(a, b, true) && has_keys(b, a, false);
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE: return true;
    case JSON_DAMAGED: break;
    }
    return false;
}

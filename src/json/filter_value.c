/* Values and how jq compares them. */
#include "base/limits.h"
#include "json/filter_native.h"

#include <math.h>

struct value value_literal(const char *json)
{
    return value_json(json_value_of(view_str(json)));
}

struct value value_number(double number)
{
    return (struct value){.json.kind = JSON_NUMBER, .has_number = true, .number = number};
}

static double value_double(const struct value *value)
{
    double number = 0;

    if (value->has_number)
        return value->number;
    return json_double(value->json.text, &number) ? number : 0; /* 0: damaged text */
}

/* --- members --- */

struct member *members_at(struct native *native, size_t mark)
{
    /* The buffer holds nothing else and comes from malloc. */
    return (struct member *)(void *)(native->members.data + mark);
}

#define DISTINCT_MAX 24

bool members_are_distinct(struct view object)
{
    struct json_walk walk = json_walk(object);
    struct view names[DISTINCT_MAX];
    struct json_value key, value;
    size_t n = 0;

    for (; json_next_member(&walk, &key, &value); n++) {
        if (key.escaped || n == DISTINCT_MAX)
            return false;
        names[n] = key.text;
        for (size_t i = 0; i < n; i++) {
            if (view_equal(names[i], names[n]))
                return false;
        }
    }
    return true;
}

static bool member_before(const struct member *a, const struct member *b, bool by_order)
{
    const int r = by_order ? 0 : json_string_compare(a->key, b->key);
    return r != 0 ? r < 0 : a->order < b->order;
}

/* Sifts the member at root down in a heap of n. Heap sort, because objects come from outside:
 * no input makes it slow, and it needs no memory. */
static void members_sift(struct member *members, size_t root, size_t n, bool by_order)
{
    for (size_t child = 2 * root + 1; child < n; root = child, child = 2 * root + 1) {
        if (child + 1 < n && member_before(&members[child], &members[child + 1], by_order))
            child++;
        if (!member_before(&members[root], &members[child], by_order))
            return;
        const struct member moved = members[root];
        members[root] = members[child];
        members[child] = moved;
    }
}

static void members_sort(struct member *members, size_t n, bool by_order)
{
    for (size_t i = n / 2; i > 0; i--)
        members_sift(members, i - 1, n, by_order);
    for (size_t i = n; i > 1; i--) {
        const struct member last = members[i - 1];
        members[i - 1] = members[0];
        members[0] = last;
        members_sift(members, 0, i - 1, by_order);
    }
}

void members_sort_by_order(struct member *members, size_t n)
{
    members_sort(members, n, true);
}

/* Of equal names the first gives the place and the last the value. */
static size_t members_unique(struct member *members, size_t n)
{
    size_t n_unique = 0;

    for (size_t i = 0; i < n; i++) {
        if (n_unique > 0 && json_string_compare(members[n_unique - 1].key, members[i].key) == 0)
            members[n_unique - 1].value = members[i].value;
        else
            members[n_unique++] = members[i];
    }
    return n_unique;
}

size_t members_push(struct native *native, struct view object)
{
    const size_t mark = native->members.len;
    struct json_walk walk = json_walk(object);
    struct member member = {0};
    size_t n = 0;

    while (json_next_member(&walk, &member.key, &member.value)) {
        member.order = n++;
        if (buf_append(&native->members, &member, sizeof(member)) < 0) {
            native->out_of_memory = true;
            native->members.len = mark;
            return 0;
        }
    }
    if (n == 0)
        return 0;
    members_sort(members_at(native, mark), n, false);
    n = members_unique(members_at(native, mark), n);
    native->members.len = mark + n * sizeof(member);
    return n;
}

/* --- comparison --- */

static int json_compare(struct native *native, struct json_value a, struct json_value b);

static int compare_arrays(struct native *native, struct view a, struct view b)
{
    struct json_walk walk_a = json_walk(a);
    struct json_walk walk_b = json_walk(b);
    struct json_value element_a, element_b;

    for (;;) {
        const bool more_a = json_next_element(&walk_a, &element_a);
        const bool more_b = json_next_element(&walk_b, &element_b);
        if (!more_a || !more_b)
            return more_a - more_b;
        const int r = json_compare(native, element_a, element_b);
        if (r != 0)
            return r;
    }
}

/* First the sorted names as arrays, then the values in that order. */
static int compare_objects(struct native *native, struct view a, struct view b)
{
    const size_t mark_a = native->members.len;
    const size_t n_a = members_push(native, a);
    const size_t mark_b = native->members.len;
    const size_t n_b = members_push(native, b);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n_a && i < n_b; i++)
        r = json_string_compare(
            members_at(native, mark_a)[i].key, members_at(native, mark_b)[i].key);
    if (r == 0)
        r = (n_a > n_b) - (n_a < n_b);
    for (size_t i = 0; r == 0 && i < n_a; i++)
        r = json_compare(
            native, members_at(native, mark_a)[i].value, members_at(native, mark_b)[i].value);
    native->members.len = mark_a;
    return r;
}

int value_compare(struct native *native, const struct value *a, const struct value *b)
{
    if (a->json.kind != b->json.kind)
        return a->json.kind < b->json.kind ? -1 : 1;
    switch (a->json.kind) {
    case JSON_NUMBER: {
        const double number_a = value_double(a), number_b = value_double(b);
        return number_a < number_b ? -1 : number_a == number_b ? 0 : 1;
    }
    case JSON_STRING: return json_string_compare(a->json, b->json);
    case JSON_ARRAY: return compare_arrays(native, a->json.text, b->json.text);
    case JSON_OBJECT: return compare_objects(native, a->json.text, b->json.text);
    case JSON_DAMAGED:
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE: break;
    }
    return 0;
}

/* Text that is nested deeper than JSON may be is damaged: whatever it is, it is the same. */
static bool compare_descend(struct native *native)
{
    return native->depth++ < LIMIT_JSON_DEPTH;
}

static int json_compare(struct native *native, struct json_value a, struct json_value b)
{
    const struct value value_a = value_json(a), value_b = value_json(b);
    const int r = compare_descend(native) ? value_compare(native, &value_a, &value_b) : 0;

    native->depth--;
    return r;
}

/* --- length --- */

static size_t object_length(struct native *native, struct view object)
{
    if (members_are_distinct(object))
        return json_count(object);
    const size_t mark = native->members.len;
    const size_t length = members_push(native, object);
    native->members.len = mark;
    return length;
}

bool value_length(struct native *native, const struct value *value, struct value *out)
{
    size_t length = 0;

    switch (value->json.kind) {
    case JSON_NULL: break;
    case JSON_NUMBER: *out = value_number(fabs(value_double(value))); return true;
    case JSON_STRING: length = json_string_length(value->json); break;
    case JSON_ARRAY: length = json_count(value->json.text); break;
    case JSON_OBJECT: length = object_length(native, value->json.text); break;
    case JSON_DAMAGED:
    case JSON_FALSE:
    case JSON_TRUE: return false;
    }
    *out = value_number((double)length);
    return true;
}

/* --- strings in strings --- */

/* The content of a string: in place, or unescaped into one of the two buffers. */
static struct view string_content(struct native *native, struct json_value string, size_t which)
{
    struct buf *const buf = &native->strings[which];

    if (!string.escaped)
        return json_inner(string);
    buf->len = 0;
    if (json_unescape(string, buf) < 0)
        native->out_of_memory = true;
    return buf_view(buf);
}

static bool view_has(struct view all, struct view part, enum string_part where)
{
    if (part.len > all.len)
        return false;
    switch (where) {
    case STRING_AT_START: return view_equal(view_of(all.data, part.len), part);
    case STRING_AT_END: return view_equal(view_of(all.data + all.len - part.len, part.len), part);
    case STRING_ANYWHERE: break;
    }
    return part.len == 0 || memmem(all.data, all.len, part.data, part.len) != NULL;
}

static bool string_has(
    struct native *native, struct json_value string, struct json_value part, enum string_part where)
{
    return view_has(string_content(native, string, 0), string_content(native, part, 1), where);
}

bool string_contains(struct native *native, struct json_value string, struct view part)
{
    return view_has(string_content(native, string, 0), part, STRING_ANYWHERE);
}

bool value_has_string(struct native *native, const struct value *value, const struct value *part,
    enum string_part where, bool *out_found)
{
    if (value->json.kind != JSON_STRING || part->json.kind != JSON_STRING)
        return false;
    *out_found = string_has(native, value->json, part->json, where);
    return true;
}

/* --- contains --- */

static bool json_contains(struct native *native, struct json_value a, struct json_value b);

/* Each element of b is contained in some element of a. */
static bool array_contains(struct native *native, struct view a, struct view b)
{
    struct json_walk walk_b = json_walk(b);
    struct json_value element_a, element_b;

    while (json_next_element(&walk_b, &element_b)) {
        struct json_walk walk_a = json_walk(a);
        bool found = false;
        while (!found && json_next_element(&walk_a, &element_a))
            found = json_contains(native, element_a, element_b);
        if (!found)
            return false;
    }
    return true;
}

static bool object_contains(struct native *native, struct view a, struct view b)
{
    const size_t mark_a = native->members.len;
    const size_t n_a = members_push(native, a);
    const size_t mark_b = native->members.len;
    const size_t n_b = members_push(native, b);
    size_t i_a = 0, i_b = 0;

    for (; i_b < n_b && i_a < n_a; i_a++) {
        const struct member member_a = members_at(native, mark_a)[i_a];
        const struct member member_b = members_at(native, mark_b)[i_b];
        const int r = json_string_compare(member_a.key, member_b.key);
        if (r < 0)
            continue;
        if (r > 0 || !json_contains(native, member_a.value, member_b.value))
            break;
        i_b++;
    }
    native->members.len = mark_a;
    return i_b == n_b;
}

static bool contains_below(struct native *native, struct json_value a, struct json_value b)
{
    if (a.kind == JSON_OBJECT && b.kind == JSON_OBJECT)
        return object_contains(native, a.text, b.text);
    if (a.kind == JSON_ARRAY && b.kind == JSON_ARRAY)
        return array_contains(native, a.text, b.text);
    if (a.kind == JSON_STRING && b.kind == JSON_STRING)
        return string_has(native, a, b, STRING_ANYWHERE);
    return json_compare(native, a, b) == 0;
}

static bool json_contains(struct native *native, struct json_value a, struct json_value b)
{
    const bool r = compare_descend(native) && contains_below(native, a, b);

    native->depth--;
    return r;
}

bool value_contains(
    struct native *native, const struct value *value, const struct value *part, bool *out_found)
{
    if (value->json.kind != part->json.kind)
        return false;
    if (value->has_number || part->has_number)
        *out_found = value_compare(native, value, part) == 0;
    else
        *out_found = json_contains(native, value->json, part->json);
    return true;
}

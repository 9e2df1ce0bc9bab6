#include "tests/conformance/expect.h"

#include "tests/conformance/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int expect_presence(struct run *run, struct view wanted, const char *name, bool present)
{
    bool want = present;
    if (field_bool(run, wanted, name, &want) < 0)
        return -1;
    if (want != present)
        return unmet(
            run, "expected %s to be %s (%s)", name, want ? "true" : "false", run->failure->message);
    return 0;
}

int expect_error(struct run *run, struct view wanted)
{
    scoped(text_free) char *kind = NULL;
    scoped(text_free) char *part = NULL;
    const int has_kind = field_text(run, wanted, "kind", &kind);
    const int has_part = field_text(run, wanted, "message_contains", &part);
    if (has_kind < 0 || has_part < 0)
        return -1;
    if (!has_kind)
        return unmet(run, "expect.error.kind is required");

    const plsm_error_t *failure = run->failure;
    if (failure == NULL)
        return unmet(run, "expected %s, but it succeeded", kind);
    const char *is = plsm_error_kind_name(failure->kind);
    if (strcmp(kind, is) != 0)
        return unmet(run, "expected %s, got %s: %s", kind, is, failure->message);
    if (has_part && strstr(failure->message, part) == NULL)
        return unmet(run, "expected a message with \"%s\", got \"%s\"", part, failure->message);
    if (expect_presence(run, wanted, "has_path", failure->path != NULL) < 0 ||
        expect_presence(run, wanted, "has_seq", failure->has_seq) < 0 ||
        expect_presence(run, wanted, "has_offset", failure->has_offset) < 0)
        return -1;
    return 0;
}

int expect_number(
    struct run *run, struct view wanted, const char *name, bool known, uint64_t number)
{
    struct json_value value;
    double wanted_number = 0;
    if (!field(wanted, name, &value))
        return 0;
    if (value.kind == JSON_NULL)
        return known ? unmet(run, "%s is %" PRIu64 ", not null", name, number) : 0;
    if (value.kind != JSON_NUMBER || !json_double(value.text, &wanted_number))
        return unmet(run, "%s is not a number", name);

    char text[24];
    const int len = snprintf(text, sizeof(text), "%" PRIu64, number);
    if (!known || !json_same(value.text, view_of(text, (size_t)len)))
        return unmet(run, "%s is %s, not %.*s", name, known ? text : "null", (int)value.text.len,
            (const char *)value.text.data);
    return 0;
}

int message_read(struct run *run, const plsm_buf_t *text, struct message *out_message)
{
    const struct view whole = view_of(text->data, text->len);
    struct json_value seq, meta, tags, data;
    if (!field(whole, "seq", &seq) || !json_u64(seq.text, &out_message->seq) ||
        !field(whole, "meta", &meta) || !field(meta.text, "tags", &tags) ||
        tags.kind != JSON_ARRAY || !field(whole, "data", &data))
        return unmet(run, "not a message: %.*s", (int)whole.len, (const char *)whole.data);
    out_message->tags = tags.text;
    out_message->data = data.text;
    out_message->text = whole;
    return 0;
}

static bool message_fits(const struct message *message, struct view wanted)
{
    struct json_value data, tags;
    if (field(wanted, "data", &data) && !json_same(message->data, data.text))
        return false;
    return !field(wanted, "tags", &tags) || json_same(message->tags, tags.text);
}

int expect_message(struct run *run, const struct message *message, struct view wanted)
{
    if (message_fits(message, wanted))
        return 0;
    return unmet(run, "message is not as expected: %.*s", (int)message->text.len,
        (const char *)message->text.data);
}

int expected_begin(struct run *run, struct view wanted, struct expected *out_expected)
{
    struct json_value ordered, unordered, item, data;
    const bool is_ordered = field(wanted, "messages", &ordered);
    if (is_ordered == field(wanted, "messages_unordered", &unordered))
        return unmet(run, "expect needs either messages or messages_unordered");
    const struct json_value list = is_ordered ? ordered : unordered;
    if (list.kind != JSON_ARRAY)
        return unmet(run, "the messages to expect are not an array");

    struct json_walk walk = json_walk(list.text);
    while (json_next_element(&walk, &item)) {
        if (!field(item.text, "data", &data))
            return unmet(run, "a message to expect has no data");
    }
    *out_expected = (struct expected){
        .list = list.text,
        .n = json_count(list.text),
        .ordered = is_ordered,
    };
    out_expected->found = calloc(out_expected->n + 1, sizeof(*out_expected->found));
    return out_expected->found == NULL ? unmet(run, "out of memory") : 0;
}

/* Takes an item that fits out of the list. Those with tags come first: whatever fits one of them
 * fits one without tags, too, but not the other way round. */
static bool take_item(struct expected *expected, const struct message *message, bool with_tags)
{
    struct json_walk walk = json_walk(expected->list);
    struct json_value item, tags;
    for (size_t i = 0; json_next_element(&walk, &item); i++) {
        if (expected->found[i] || field(item.text, "tags", &tags) != with_tags ||
            !message_fits(message, item.text))
            continue;
        expected->found[i] = true;
        return true;
    }
    return false;
}

int expected_next(struct run *run, struct expected *expected, const struct message *message)
{
    if (expected->n_found > 0 && message->seq <= expected->seq)
        return unmet(run, "seq %" PRIu64 " comes after %" PRIu64, message->seq, expected->seq);
    if (expected->n_found == expected->n)
        return unmet(run, "more than %zu messages", expected->n);
    expected->seq = message->seq;
    expected->n_found++;
    if (expected->ordered) {
        struct json_value item;
        json_element(expected->list, (int64_t)expected->n_found - 1, &item);
        return expect_message(run, message, item.text);
    }
    if (take_item(expected, message, true) || take_item(expected, message, false))
        return 0;
    return unmet(run, "message is not expected: %.*s", (int)message->text.len,
        (const char *)message->text.data);
}

int expected_end(struct run *run, const struct expected *expected)
{
    if (expected->n_found == expected->n)
        return 0;
    return unmet(run, "expected %zu messages, got %zu", expected->n, expected->n_found);
}

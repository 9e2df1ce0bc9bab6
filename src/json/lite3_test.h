/* What the tests of Lite3 share: messages as people write them, to and from payloads. */
#ifndef JSON_LITE3_TEST_H
#define JSON_LITE3_TEST_H

#include "base/test.h"
#include "json/lite3_node.h"

static inline struct buf lite3_of(const char *tags, const char *data)
{
    struct buf payload = {0};
    struct lite3_fault fault = {0};
    const int r = lite3_from_json(view_str(tags), view_str(data), &payload, &fault);
    if (r != LITE3_OK)
        fail_msg("%s gave %d: %s", data, r, fault.problem != NULL ? fault.problem : "-");
    return payload;
}

static inline struct buf lite3_of_document(const char *json)
{
    struct buf payload = {0};
    struct lite3_fault fault = {0};
    assert_int_equal(lite3_encode(view_str(json), &payload, &fault), LITE3_OK);
    return payload;
}

/* The payload is a message with these tags and this data. */
static inline void expect_message(struct view payload, const char *tags, const char *data)
{
    struct lite3_fault fault = {0};
    struct buf text = {0};

    if (lite3_check(payload, &fault) != LITE3_OK)
        fail_msg("refused at %zu: %s", fault.offset, fault.problem);
    assert_int_equal(lite3_message_tags(payload, &text, &fault), LITE3_OK);
    assert_int_equal(text.len, strlen(tags));
    assert_memory_equal(text.data, tags, text.len);
    text.len = 0;
    assert_int_equal(lite3_message_data(payload, &text, &fault), LITE3_OK);
    if (text.len != strlen(data) || memcmp(text.data, data, text.len) != 0)
        fail_msg("%.*s\nis not\n%s", (int)text.len, (const char *)text.data, data);
    buf_fini(&text);
}

#endif

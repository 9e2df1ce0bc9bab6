/* Lite3: what is made of any bytes, as a payload and as JSON to be made one.
 *
 * Whatever the bytes: nothing is read beyond them (the sanitizers see to that), what is accepted
 * becomes JSON that is compact and valid, and that JSON becomes a sound payload that says the same
 * again, unless it is refused for a reason that JSON can have. */
#include "json/json.h"
#include "json/lite3.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_compact(struct view text)
{
    uint8_t *compact = malloc(text.len + JSON_SLACK);
    size_t len = 0;
    if (compact == NULL)
        abort();
    assert(json_compact(text.data, text.len, compact, &len, NULL));
    assert(len == text.len && memcmp(compact, text.data, len) == 0);
    free(compact);
}

/* Makes a payload of a message and a message of that; false: Lite3 cannot hold it. */
static bool there_and_back(struct view tags, struct view data, struct buf *again)
{
    struct lite3_fault fault = {0};
    struct buf payload = {0};
    struct buf tags_again = {0};

    const int r = lite3_from_json(tags, data, &payload, &fault);
    if (r != LITE3_OK) {
        assert(r == LITE3_FAULT && fault.problem != NULL);
        buf_fini(&payload);
        return false;
    }
    const struct view view = buf_view(&payload);
    assert(lite3_check(view, &fault) == LITE3_OK);
    assert(lite3_message_tags(view, &tags_again, &fault) == LITE3_OK);
    assert(lite3_message_data(view, again, &fault) == LITE3_OK);
    assert(view_equal(buf_view(&tags_again), tags.len > 0 ? tags : view_str("[]")));
    check_compact(buf_view(again));
    buf_fini(&payload);
    buf_fini(&tags_again);
    return true;
}

/* The second time nothing changes any more. */
static void check_message(struct view tags, struct view data)
{
    struct buf once = {0};
    struct buf twice = {0};

    if (there_and_back(tags, data, &once)) {
        assert(there_and_back(tags, buf_view(&once), &twice));
        assert(view_equal(buf_view(&once), buf_view(&twice)));
    }
    buf_fini(&once);
    buf_fini(&twice);
}

static void check_payload(struct view payload)
{
    struct lite3_fault fault = {0};
    struct buf tags = {0};
    struct buf data = {0};

    const int r = lite3_check(payload, &fault);
    assert(r == LITE3_OK || (r == LITE3_FAULT && fault.problem != NULL));
    const int tags_r = lite3_message_tags(payload, &tags, &fault);
    const int data_r = lite3_message_data(payload, &data, &fault);
    assert(r != LITE3_OK || (tags_r == LITE3_OK && data_r == LITE3_OK));
    if (r == LITE3_OK) {
        check_compact(buf_view(&tags));
        check_compact(buf_view(&data));
        check_message(buf_view(&tags), buf_view(&data));
    }
    buf_fini(&tags);
    buf_fini(&data);
}

static void check_json(const uint8_t *text, size_t len)
{
    uint8_t *compact = malloc(len + JSON_SLACK);
    size_t compact_len = 0;
    if (compact == NULL)
        abort();
    if (json_compact(text, len, compact, &compact_len, NULL) && compact[0] == '{')
        check_message(view_of(NULL, 0), view_of(compact, compact_len));
    free(compact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (data == NULL)
        data = (const uint8_t *)"";
    check_payload(view_of(data, size));
    check_json(data, size);
    return 0;
}

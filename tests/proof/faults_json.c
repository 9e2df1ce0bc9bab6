/* Scenes of JSON: what asks for memory while filters are made, messages matched, text written.
 *
 * Buffers grow at powers of two, so a call asks for memory only where it meets such a length:
 * each scene goes through the lengths around the first ones. */
#include "base/buf.h"
#include "tests/proof/faults.h"
#include "json/filter_budget.h"
#include "json/lite3_node.h"
#include "json/span.h"
#include "json/write.h"

#define STEP 13 /* no multiple of what the lengths are made of */

static const char filler[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaa"
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* Makes the filter, which must be simple, and matches the data. */
static int match(const char *expression, struct view data, int expected, plsm_error_t **err)
{
    scoped(filter_free) struct filter *filter = NULL;
    const struct filter_message message = {
        .seq = 7, .time_ns = 1, .tags = view_str("[\"a\"]"), .data = data};

    if (filter_new_bounded(expression, &filter, err) < 0)
        return -1;
    if (filter == NULL && filter_new(expression, &filter, err) < 0)
        return -1;
    must(filter_is_native(filter));
    const int r = filter_match(filter, &message, err);
    return r < 0 ? -1 : r == expected ? POOL_OK : 99;
}

int run_filter_constants(struct stage *stage, plsm_error_t **err)
{
    static const struct {
        const char *head, *tail;
        int expected;
    } forms[] = {
        {".data.v == [\"", "\",1,-2.5,null]", FILTER_NO_MATCH},
        {".data.v == {", ":[]}", FILTER_NO_MATCH},
        {".data.v == {\"", "\":true,b:{\"c\":\"\\u0062\"}}", FILTER_NO_MATCH},
        {"(.data | has(\"", "\")) == (1 == 2)", FILTER_MATCH},
        {".data.v == \"", "\\n\"", FILTER_NO_MATCH},
        {".data.v == [\"", "\"]", FILTER_NO_MATCH},
        {".data.v == [\"", "\",false]", FILTER_NO_MATCH},
        {".data.v == [\"", "\",{}]", FILTER_NO_MATCH},
        {".data.v == [\"", "\",[]]", FILTER_NO_MATCH},
        {".data.v == {a:\"", "\",b:1}", FILTER_NO_MATCH},
    };
    char expression[300];

    (void)stage;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        for (int len = 54; len < 64; len++) {
            snprintf(expression, sizeof(expression), "%s%.*s%s", forms[i].head, len, filler,
                forms[i].tail);
            const int r = match(expression, view_str("{\"v\":1}"), forms[i].expected, err);
            if (r != POOL_OK)
                return r;
        }
    }
    return POOL_OK;
}

/* Objects are sorted to be compared, strings unescaped to be searched. */
int run_filter_values(struct stage *stage, plsm_error_t **err)
{
    static const char data[] =
        "{\"a\":{\"x\":1,\"y\":2,\"x\":3},\"b\":{\"y\":2,\"x\":3},\"s\":\"\\u0061bc\","
        "\"l\":[{\"k\":\"\\u0076w\"},{\"x\":1,\"x\":2}]}";
    static const char *const expressions[] = {
        ".data.a == .data.b",
        ".data.a | contains({x:3})",
        "(.data.a | length) == 2",
        ".data.s | startswith(\"a\\u0062\")",
        ".data.s | endswith(\"bc\") and contains(\"b\") and test(\"abc\")",
        ".data.l | contains([{k:\"v\"}])",
        "any(.data.a[]; . == 3)",
        "all(.data.l[]; length > 0)",
        ".data.a < .data or .data.l[1] == {x:2}",
        ".data | has(\"a\")",
    };

    (void)stage;
    for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
        const int r = match(expressions[i], view_str(data), FILTER_MATCH, err);
        if (r != POOL_OK)
            return r;
    }
    return POOL_OK;
}

static int write_all(size_t len, plsm_error_t **err)
{
    scoped(buf_fini) struct buf buf = {0};
    scoped(buf_fini) struct buf pretty = {0};
    struct json_writer writer = json_writer(&buf);
    const struct view text = view_of(filler, len);

    json_object_begin(&writer);
    json_key_view(&writer, text);
    json_array_begin(&writer);
    json_string(&writer, text);
    json_str(&writer, "\"\n\x01");
    json_string_lossy(&writer, view_str("a\xff\xc3\xa4"));
    json_uint(&writer, 7);
    json_int(&writer, -7);
    json_number(&writer, 0.1);
    json_bool(&writer, true);
    json_null(&writer);
    json_array_end(&writer);
    json_key(&writer, "b");
    json_raw(&writer, view_str("{}"));
    json_object_end(&writer);
    if (json_writer_failed(&writer) || json_pretty(buf_view(&buf), len % 2 == 0, &pretty) < 0)
        return error_oom(err);
    return pretty.len > buf.len ? POOL_OK : 99;
}

int run_json_write(struct stage *stage, plsm_error_t **err)
{
    (void)stage;
    for (size_t len = 0; len < 2 * sizeof(filler) / 3; len += STEP) {
        const int r = write_all(len, err);
        if (r != POOL_OK)
            return r;
    }
    return POOL_OK;
}

/* One string, quoted and back, into buffers with little room left. */
static int quote(const char *text, size_t used, plsm_error_t **err)
{
    scoped(buf_fini) struct buf quoted = {0};
    scoped(buf_fini) struct buf content = {0};

    if (buf_append(&quoted, filler, used) < 0 || json_quote(&quoted, view_str(text)) < 0)
        return error_oom(err);
    const struct view json = view_of(quoted.data + used, quoted.len - used);
    if (buf_append(&content, filler, used) < 0 || json_unescape(json_value_of(json), &content) < 0)
        return error_oom(err);
    return view_equal(view_of(content.data + used, content.len - used), view_str(text)) ? POOL_OK
                                                                                        : 99;
}

int run_json_quote(struct stage *stage, plsm_error_t **err)
{
    static const char *const texts[] = {"", "a", "\001", "abc\n", "\"\\", "\001a\002", "ab\177"};

    (void)stage;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        for (size_t used = 54; used <= 64; used++) {
            const int r = quote(texts[i], used, err);
            if (r != POOL_OK)
                return r;
        }
    }
    return POOL_OK;
}

/* A message to Lite3 and back: with escapes, more members than a node has, and bytes. */
static int lite3_there_and_back(size_t len, plsm_error_t **err)
{
    scoped(buf_fini) struct buf payload = {0};
    scoped(buf_fini) struct buf text = {0};
    struct lite3_fault fault;
    struct lite3_value data, bytes;
    char json[600];

    snprintf(json, sizeof(json),
        "{\"b\":\"%.*s\",\"\\u0061%.*s\":\"\\n%.*s\",\"l\":[1,2,3,4,5,6,7,8,[]],"
        "\"o\":{\"c\":1,\"d\":2,\"e\":3,\"f\":4,\"g\":5,\"h\":6,\"i\":7,\"j\":{}}}",
        (int)len, filler, (int)len, filler, (int)len, filler);
    if (lite3_encode(view_str(json), &text, &fault) < 0)
        return error_oom(err);
    text.len = 0;
    if (lite3_from_json(view_str("[\"\\u0061\"]"), view_str(json), &payload, &fault) < 0)
        return error_oom(err);
    must(lite3_find(buf_view(&payload), 0, "data", &data));
    must(lite3_find(buf_view(&payload), data.at, "b", &bytes));
    payload.data[bytes.at] = LITE3_BYTES;
    if (lite3_check(buf_view(&payload), &fault) < 0 ||
        lite3_message_tags(buf_view(&payload), &text, &fault) < 0 ||
        lite3_message_data(buf_view(&payload), &text, &fault) < 0)
        return error_oom(err);
    return text.len > 3 * len ? POOL_OK : 99;
}

int run_lite3(struct stage *stage, plsm_error_t **err)
{
    (void)stage;
    for (size_t len = 1; len < 120; len += STEP) {
        const int r = lite3_there_and_back(len, err);
        if (r != POOL_OK)
            return r;
    }
    return POOL_OK;
}

/* A filter in a process of its own: started, asked, ended. */
int run_filter_budget(struct stage *stage, plsm_error_t **err)
{
    const struct filter_budget budget = {.time_ms = 5000, .memory_bytes = UINT64_C(1) << 40};
    scoped(budgeted_filter_free) struct budgeted_filter *filter = NULL;
    const struct filter_message message = {
        .seq = 7, .time_ns = 1, .tags = view_str("[\"a\"]"), .data = view_str("{\"l\":[1,2]}")};

    (void)stage;
    if (budgeted_filter_new(".data.l[] == .data.l[]", &budget, &filter, err) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        const int r = budgeted_filter_match(filter, &message, err);
        if (r < 0)
            return -1;
        must(budgeted_filter_pid(filter) > 0);
        if (r != FILTER_MATCH)
            return 99;
    }
    return POOL_OK;
}

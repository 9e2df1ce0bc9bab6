/* plasmite-filter: matches messages for a budgeted filter and takes no more than it is allowed.
 *
 * Its stdin is a stream to the process that started it; json/filter_wire.h says what goes over
 * it. It trusts that process, but not the expression: it is killed by the limits it sets itself
 * before it looks at that. */
#include "json/filter_wire.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "os/helper.h"
#include "json/filter.h"

#include <stdlib.h>
#include <unistd.h>

/* What functions return: 0 to go on, else the code with which the process ends. */
enum { GO_ON = 0 };

static const struct helper other = {.fd = STDIN_FILENO};

static int transfer_end(int r)
{
    if (r == HELPER_OK)
        return GO_ON;
    return r == HELPER_GONE ? WIRE_EXIT_DONE : WIRE_EXIT_PROTOCOL;
}

static int take(void *out, size_t len)
{
    return transfer_end(helper_receive(&other, out, len, DEADLINE_NEVER));
}

static int give(const void *bytes, size_t len)
{
    return transfer_end(helper_send(&other, bytes, len, DEADLINE_NEVER));
}

static int text_add(struct buf *text, const char *part)
{
    const char *const string = part == NULL ? "" : part;
    const size_t len = strnlen(string, WIRE_TEXT_MAX / 3 - 1);

    return buf_append(text, string, len) < 0 || buf_append(text, "", 1) < 0 ? WIRE_EXIT_MEMORY
                                                                            : GO_ON;
}

static int answer(int result, const plsm_error_t *err)
{
    scoped(buf_fini) struct buf text = {0};
    struct wire_answer reply = {.result = result};
    int r = GO_ON;

    if (result < 0) {
        reply.kind = (int32_t)err->kind;
        r = text_add(&text, err->message);
        if (r == GO_ON)
            r = text_add(&text, error_cause_of(err));
        if (r == GO_ON)
            r = text_add(&text, error_hint_of(err));
        reply.text_len = (uint32_t)text.len;
    }
    if (r == GO_ON)
        r = give(&reply, sizeof(reply));
    return r == GO_ON ? give(text.data, text.len) : r;
}

/* Limits itself, then compiles the expression. */
static int worker_begin(struct filter **out_filter, uint32_t *out_time_ms)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(buf_fini) struct buf expression = {0};
    struct wire_start start;

    int r = take(&start, sizeof(start));
    if (r != GO_ON)
        return r;
    if (start.version != WIRE_VERSION || start.expression_len > LIMIT_RECORD_BYTES)
        return WIRE_EXIT_PROTOCOL;
    helper_limit_memory(start.memory_bytes);
    if (buf_reserve(&expression, (size_t)start.expression_len + 1) < 0)
        return WIRE_EXIT_MEMORY;
    r = take(expression.data, start.expression_len);
    if (r != GO_ON)
        return r;
    expression.data[start.expression_len] = 0;
    helper_limit_cpu(start.time_ms);
    const int result = filter_new((const char *)expression.data, out_filter, &err);
    helper_limit_cpu(0);
    *out_time_ms = start.time_ms;
    r = answer(result, err);
    return result < 0 ? WIRE_EXIT_DONE : r;
}

/* One message; its bytes are kept in `bytes` from one to the next. */
static int worker_match(struct filter *filter, uint32_t time_ms, struct buf *bytes)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    struct wire_message header;

    int r = take(&header, sizeof(header));
    if (r != GO_ON)
        return r;
    if (header.tags_len > LIMIT_TAGS_BYTES || header.data_len > LIMIT_MESSAGE_BYTES)
        return WIRE_EXIT_PROTOCOL;
    bytes->len = 0;
    if (buf_reserve(bytes, (size_t)(header.tags_len + header.data_len)) < 0)
        return WIRE_EXIT_MEMORY;
    r = take(bytes->data, (size_t)(header.tags_len + header.data_len));
    if (r != GO_ON)
        return r;
    const struct filter_message message = {
        .seq = header.seq,
        .time_ns = header.time_ns,
        .tags = view_of(bytes->data, (size_t)header.tags_len),
        .data = view_of(bytes->data + header.tags_len, (size_t)header.data_len),
    };
    helper_limit_cpu(time_ms);
    const int result = filter_match(filter, &message, &err);
    helper_limit_cpu(0);
    return answer(result, err);
}

int main(void)
{
    scoped(filter_free) struct filter *filter = NULL;
    scoped(buf_fini) struct buf bytes = {0};
    uint32_t time_ms = 0;

    int r = worker_begin(&filter, &time_ms);
    while (r == GO_ON)
        r = worker_match(filter, time_ms, &bytes);
    return r == WIRE_EXIT_DONE ? 0 : r;
}

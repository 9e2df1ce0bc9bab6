/* What people type, line by line. */
#include "cli/duplex.h"

#include "base/limits.h"
#include "cli/args.h"
#include "json/write.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TYPE_BLOCK 4096u

static bool type_is_blank(struct view line)
{
    for (size_t i = 0; i < line.len; i++)
        if (strchr(" \t\v\f", line.data[i]) == NULL || line.data[i] == '\0')
            return false;
    return true;
}

static int type_send(struct feed *feed, struct view me, struct view line, plsm_error_t **err)
{
    scoped(buf_fini) struct buf data = {0};
    struct json_writer writer = json_writer(&data);

    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (type_is_blank(line))
        return 0;
    json_object_begin(&writer);
    json_key(&writer, "from");
    json_string(&writer, me);
    json_key(&writer, "msg");
    json_string_lossy(&writer, line);
    json_object_end(&writer);
    if (json_writer_failed(&writer))
        return error_oom(err);
    return feed_message(feed, buf_view(&data), err);
}

/* Sends the lines that are whole; at the end of the input also the one that is not. */
static int type_send_lines(
    struct feed *feed, struct view me, struct buf *input, bool ended, plsm_error_t **err)
{
    size_t at = 0;
    while (at < input->len) {
        const uint8_t *start = input->data + at;
        const uint8_t *end = memchr(start, '\n', input->len - at);
        if (end == NULL && !ended)
            break;
        const size_t len = end == NULL ? input->len - at : (size_t)(end - start) + 1;
        if (type_send(feed, me, view_of(start, len), err) < 0)
            return -1;
        at += len;
    }
    memmove(input->data, input->data + at, input->len - at);
    input->len -= at;
    if (input->len <= LIMIT_RECORD_BYTES)
        return 0;
    return args_refuse(err, "record exceeds size limit", "A line may have 1 MiB.");
}

int duplex_type(struct feed *feed, struct view me, plsm_error_t **err)
{
    scoped(buf_fini) struct buf input = {0};

    for (;;) {
        if (buf_reserve(&input, TYPE_BLOCK) < 0)
            return error_oom(err);
        pthread_mutex_t *gate = feed_gate_open(feed);
        const ssize_t n = read(STDIN_FILENO, input.data + input.len, TYPE_BLOCK);
        const int errnum = errno;
        feed_gate_close(gate);
        if (n < 0 && errnum == EINTR)
            continue;
        if (n < 0)
            return error_io(err, errnum, "failed to read stdin");
        input.len += (size_t)n;
        if (feed_check_pool(feed, err) < 0 || type_send_lines(feed, me, &input, n == 0, err) < 0)
            return -1;
        if (n == 0)
            return 0;
    }
}

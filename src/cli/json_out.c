#include "cli/json_out.h"

#include "json/write.h"

#include <unistd.h>

/* Control characters stand in strings only, and those below 0x20 are escaped already. */
static int json_out_escape(struct view text, struct buf *out)
{
    size_t plain = 0; /* bytes at the front that stay as they are */
    while (plain < text.len) {
        unsigned code = 0;
        const struct view rest = view_of(text.data + plain, text.len - plain);
        const size_t len = text_control(rest, &code);
        if (len == 0) {
            plain++;
            continue;
        }
        if (buf_append(out, text.data, plain) < 0 || buf_appendf(out, "\\u%04x", code) < 0)
            return -1;
        text = view_of(rest.data + len, rest.len - len);
        plain = 0;
    }
    return buf_append(out, text.data, text.len);
}

int json_out_render(
    const struct context *context, struct view document, bool pretty, struct buf *out)
{
    scoped(buf_fini) struct buf escaped = {0};

    if (context->stdout_tty) {
        if (json_out_escape(document, &escaped) < 0)
            return -1;
        document = buf_view(&escaped);
    }
    const int r = pretty ? json_pretty(document, context->color, out)
                         : buf_append(out, document.data, document.len);
    return r < 0 ? -1 : buf_append(out, "\n", 1);
}

int json_out_document(const struct context *context, const struct text *text, plsm_error_t **err)
{
    scoped(text_fini) struct text shown = {.failed = text->failed};
    if (json_out_render(context, buf_view(&text->buf), json_out_is_pretty(context), &shown.buf) < 0)
        return error_oom(err);
    return text_write(&shown, STDOUT_FILENO, err);
}

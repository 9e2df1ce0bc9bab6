#include "cli/json_out.h"

#include "json/write.h"

#include <unistd.h>

int json_out_document(const struct context *context, const struct text *text, plsm_error_t **err)
{
    scoped(text_fini) struct text shown = {0};
    shown.failed = text->failed;
    if (!json_out_is_pretty(context))
        text_put(&shown, text->buf.data, text->buf.len);
    else if (json_pretty(buf_view(&text->buf), context->color, &shown.buf) < 0)
        return error_oom(err);
    text_str(&shown, "\n");
    return text_write(&shown, STDOUT_FILENO, err);
}

#include "cli/options.h"

#include "base/limits.h"
#include "client/value.h"
#include "json/write.h"

#include <string.h>

int options_durability(const char *text, bool *out_flush, plsm_error_t **err)
{
    *out_flush = strcmp(text, "flush") == 0;
    if (*out_flush || strcmp(text, "fast") == 0)
        return 0;
    error_set(err, PLSM_ERROR_USAGE, "invalid durability");
    return error_hint(err, "Use --durability fast or --durability flush.");
}

int options_tags(const struct args *args, size_t option, struct buf *out_tags, plsm_error_t **err)
{
    const char *tag;
    size_t at = 0;

    if (!args_has(args, option))
        return 0;
    struct json_writer writer = json_writer(out_tags);
    json_array_begin(&writer);
    while ((tag = args_next(args, (uint8_t)option, &at)) != NULL)
        json_string_lossy(&writer, view_str(tag));
    json_array_end(&writer);
    if (json_writer_failed(&writer))
        return error_oom(err);
    if (out_tags->len <= LIMIT_TAGS_BYTES)
        return 0;
    error_set(err, PLSM_ERROR_USAGE, "too many tags");
    return error_hint(err, "The tags of a message may have 64 KiB in all.");
}

int options_create_size(const struct args *args, size_t create_size, size_t create,
    uint64_t *out_bytes, plsm_error_t **err)
{
    if (!args_has(args, create_size))
        return 0;
    if (args_has(args, create)) {
        const int r = value_size(args_text(args, create_size, NULL), out_bytes, err);
        if (r == 0 && *out_bytes == 0)
            *out_bytes = 1; /* as much too small, and not the word for the default */
        return r;
    }
    error_set(err, PLSM_ERROR_USAGE, "--create-size requires --create");
    return error_hint(err, "Add --create, or drop --create-size.");
}

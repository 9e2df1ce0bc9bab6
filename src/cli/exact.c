#include "cli/exact.h"

#include <string.h>

static bool exact_is_plain(const char *token)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-_./:=";
    return token[0] != '\0' && strspn(token, plain) == strlen(token);
}

void exact_token(struct text *text, const char *token)
{
    text_str(text, " ");
    if (exact_is_plain(token))
        text_str(text, token);
    else
        text_json_str(text, token);
}

void exact_create(struct text *text, const struct args *args, const char *pool)
{
    text_printf(text, "plasmite %s", args->command->path);
    exact_token(text, pool);
    text_str(text, " --create");
}

static void exact_name(struct text *text, const struct option *option)
{
    text_printf(text, " --%s", option->name);
}

void exact_option(struct text *text, const struct args *args, size_t id)
{
    const struct option *option = &args->command->options[id];
    if (!args_has(args, id))
        return;
    if (option->kind == ARG_FLAG) {
        exact_name(text, option);
        return;
    }
    if (!option->repeatable) {
        exact_name(text, option);
        exact_token(text, args->options[id].text);
        return;
    }
    size_t at = 0;
    for (const char *value; (value = args_next(args, (uint8_t)id, &at)) != NULL;) {
        exact_name(text, option);
        exact_token(text, value);
    }
}

const char *exact_finish(struct text *text)
{
    text_put(text, "", 1);
    return text->failed ? NULL : (const char *)text->buf.data;
}

/* No expression and no message may crash the matcher of simple filters, or make it hang.
 *
 * An input is three lines: the expression, the tags, and the message's data (which may have more
 * line breaks). Neither tags nor data need be JSON: text from a damaged file may be anything.
 * libjq is left out; it is not ours, and takes milliseconds to compile an expression. */
#include "json/filter_jq.h"
#include "json/filter_native.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, in memory of exactly its size, so that reading beyond it is seen. */
static struct view take_line(struct view *rest, bool all)
{
    const uint8_t *end = all || rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    const size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    uint8_t *line = malloc(len > 0 ? len : 1);

    if (line == NULL)
        abort();
    if (len > 0)
        memcpy(line, rest->data, len);
    const size_t used = end == NULL ? len : len + 1;
    *rest = view_of(rest->data + used, rest->len - used);
    return view_of(line, len);
}

static void free_line(struct view line)
{
    uint8_t *data;

    memcpy(&data, &line.data, sizeof(data)); /* it came from malloc in take_line() */
    free(data);
}

static void match_twice(struct view expression, struct view tags, struct view data)
{
    scoped(native_free) struct native *native = NULL;
    const struct filter_message message = {.seq = 7, .time_ns = 1, .tags = tags, .data = data};

    if (native_new(expression, &native) < 0 || native == NULL)
        return;
    const int first = native_match(native, &message);
    if (native_match(native, &message) != first)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view rest = view_of(data, size);
    const struct view expression = take_line(&rest, false);
    const struct view tags = take_line(&rest, false);
    const struct view message = take_line(&rest, true);
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    char *text = strndup((const char *)expression.data, expression.len);

    if (text == NULL)
        abort();
    if (filter_check(text, &err) == 0)
        match_twice(view_str(text), tags, message);
    free(text);
    free_line(expression);
    free_line(tags);
    free_line(message);
    return 0;
}

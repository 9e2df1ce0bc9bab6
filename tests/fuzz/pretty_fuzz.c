/* Pretty text: of JSON it is the same JSON, with one item a line; colours add nothing but
 * themselves; and other bytes do no harm. */
#include "json/json.h"
#include "json/write.h"

#include "base/limits.h"
#include "base/scoped.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 4096 };

/* Takes "ESC [ digits m" away. */
static void strip_colours(const struct buf *from, struct buf *out)
{
    for (size_t i = 0; i < from->len; i++) {
        if (from->data[i] == 0x1b) {
            while (i < from->len && from->data[i] != 'm')
                i++;
            continue;
        }
        check(buf_append(out, &from->data[i], 1) == 0);
    }
}

static void check_colours(struct view text, const struct buf *plain)
{
    scoped(buf_fini) struct buf colour = {0};
    scoped(buf_fini) struct buf stripped = {0};

    check(json_pretty(text, true, &colour) == 0);
    if (text.len > 0 && memchr(text.data, 0x1b, text.len) != NULL)
        return;
    strip_colours(&colour, &stripped);
    check(view_equal(buf_view(&stripped), buf_view(plain)));
}

/* How many more brackets open in these bytes than close, and how many close at their beginning. */
static long count_brackets(struct view line, long *out_n_closing)
{
    bool in_string = false;
    long depth = 0;

    *out_n_closing = line.data[0] == ']' || line.data[0] == '}';
    for (size_t i = 0; i < line.len; i++) {
        const uint8_t c = line.data[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else
            depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    }
    return depth;
}

/* Each line is indented by two blanks for each bracket that is open. */
static void check_lines(const struct buf *pretty)
{
    struct view rest = buf_view(pretty);
    long depth = 0;

    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        const size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);
        const struct view line = input_bytes(&rest, len);
        size_t n_blanks = 0;
        long n_closing = 0;
        while (n_blanks < line.len && line.data[n_blanks] == ' ')
            n_blanks++;
        check(n_blanks < line.len); /* no empty lines */
        const struct view text = view_of(line.data + n_blanks, line.len - n_blanks);
        const long change = count_brackets(text, &n_closing);
        check(n_blanks == 2 * (size_t)(depth - n_closing));
        depth += change;
        check(depth >= 0 && depth <= LIMIT_JSON_DEPTH);
        (void)input_bytes(&rest, 1);
    }
    check(depth == 0);
}

static void check_same(struct view compact, const struct buf *pretty)
{
    uint8_t *again = malloc(pretty->len + JSON_SLACK);
    size_t len = 0;

    check(again != NULL);
    check(json_compact(pretty->data, pretty->len, again, &len, NULL));
    check(view_equal(view_of(again, len), compact));
    free(again);
    check_lines(pretty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(buf_fini) struct buf any = {0};
    size_t len = 0;

    if (size > TEXT_MAX)
        return 0;
    check(json_pretty(view_of(data, size), false, &any) == 0);
    check_colours(view_of(data, size), &any);

    uint8_t *compact = malloc(size + JSON_SLACK);
    check(compact != NULL);
    if (json_compact(data, size, compact, &len, NULL)) {
        scoped(buf_fini) struct buf pretty = {0};
        const struct view copy = bytes_copy(view_of(compact, len));
        check(json_pretty(copy, false, &pretty) == 0);
        check_same(copy, &pretty);
        check_colours(copy, &pretty);
        bytes_free(copy);
    }
    free(compact);
    return 0;
}

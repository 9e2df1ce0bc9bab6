/* A message as it is shown: whatever was stored, the envelope is compact JSON with these very parts.
 * An input is a seq, a time, options, and two lines: tags and data. */
#include "client/envelope.h"

#include "base/scoped.h"
#include "json/json.h"
#include "json/span.h"
#include "json/write.h"

#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 2048 };

/* Compact JSON of this kind in memory of its own; else the fallback. */
static struct view compact_or(struct view text, enum json_kind kind, const char *fallback)
{
    uint8_t out[TEXT_MAX + JSON_SLACK];
    size_t len = 0;

    if (json_compact(text.data, text.len, out, &len, NULL) &&
        json_value_of(view_of(out, len)).kind == kind)
        return bytes_copy(view_of(out, len));
    return bytes_copy(view_str(fallback));
}

static bool is_compact(struct view text)
{
    uint8_t *out = malloc(text.len + JSON_SLACK);
    size_t len = 0;

    check(out != NULL);
    const bool compact =
        json_compact(text.data, text.len, out, &len, NULL) && view_equal(view_of(out, len), text);
    free(out);
    return compact;
}

static struct view part_of(struct view object, const char *name)
{
    struct json_value value;
    check(json_find(object, view_str(name), &value));
    return value.text;
}

static void check_envelope(const struct envelope *form, const struct frame *frame, struct view text)
{
    const char *tags_name = form->descrips ? "descrips" : "tags";
    uint64_t seq = 0, time_ns = 0;

    check(is_compact(text));
    check(json_u64(part_of(text, "seq"), &seq) && seq == frame->seq);
    const struct view time = part_of(text, "time");
    check(clock_parse((const char *)time.data + 1, time.len - 2, &time_ns));
    check(
        time_ns == frame->time_ns || frame->time_ns / NS_PER_SECOND >= UINT64_MAX / NS_PER_SECOND);
    const struct view tags = part_of(part_of(text, "meta"), tags_name);
    check(view_equal(tags, frame->tags.len == 0 ? view_str("[]") : frame->tags));
    check(view_equal(part_of(text, "data"), frame->data));
    check(json_count(text) == 4);
}

/* The same in the pieces of a writer's calls. */
static void check_writer(const struct frame *frame, struct view expected, const char *time)
{
    scoped(buf_fini) struct buf text = {0};
    struct json_writer writer = json_writer(&text);

    json_object_begin(&writer);
    json_key(&writer, "seq");
    json_uint(&writer, frame->seq);
    json_key_view(&writer, view_str("time"));
    json_str(&writer, time);
    json_key(&writer, "meta");
    json_object_begin(&writer);
    json_key(&writer, "tags");
    json_array_begin(&writer);
    struct json_walk walk = json_walk(frame->tags);
    for (struct json_value tag; json_next_element(&walk, &tag);)
        json_raw(&writer, tag.text);
    json_array_end(&writer);
    json_object_end(&writer);
    json_key(&writer, "data");
    json_raw(&writer, frame->data);
    json_object_end(&writer);
    check(!json_writer_failed(&writer));
    check(view_equal(buf_view(&text), expected));
}

static void check_shown(struct envelope *form, const struct frame *frame)
{
    uint8_t *out = malloc(envelope_size(frame));
    char time[CLOCK_TEXT_MAX + 1];

    check(out != NULL);
    const size_t len = envelope_put(form, frame, out);
    check(len <= envelope_size(frame));
    if (form->data_only) {
        check(view_equal(view_of(out, len), frame->data));
    } else {
        check_envelope(form, frame, view_of(out, len));
        time[clock_format(frame->time_ns, time)] = '\0';
        if (!form->descrips)
            check_writer(frame, view_of(out, len), time);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view input = view_of(data, size);

    if (size > TEXT_MAX)
        return 0;
    struct frame frame = {.seq = input_number(&input, 8), .time_ns = input_number(&input, 8)};
    const uint8_t options = input_u8(&input);
    struct envelope form = {.data_only = (options & 1) != 0, .descrips = (options & 2) != 0};
    const uint8_t *end = input.len == 0 ? NULL : memchr(input.data, '\n', input.len);
    const size_t n = end == NULL ? input.len : (size_t)(end - input.data);
    frame.tags = compact_or(input_bytes(&input, n), JSON_ARRAY, "");
    (void)input_bytes(&input, 1);
    frame.data = compact_or(input, JSON_OBJECT, "{}");

    check_shown(&form, &frame);
    frame.seq ^= options; /* the time's text is kept from one message to the next */
    check_shown(&form, &frame);
    frame.time_ns += options;
    check_shown(&form, &frame);
    bytes_free(frame.tags);
    bytes_free(frame.data);
    return 0;
}

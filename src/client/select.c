#include "client/select.h"

#include "client/envelope.h"
#include "json/span.h"

#include <stdlib.h>

void select_fini(struct select *select)
{
    for (size_t i = 0; i < select->n_filters; i++)
        filter_free(select->filters[i]);
    free(select->filters);
    free(select->tags);
    buf_fini(&select->data);
    *select = (struct select){0};
}

static bool select_has_tag(struct view tags, const char *tag)
{
    struct json_value value;
    struct json_walk walk = json_walk(tags);
    while (json_next_element(&walk, &value))
        if (json_string_is(value, view_str(tag)))
            return true;
    return false;
}

static bool select_is_from(struct view data, struct view from)
{
    struct json_value value;
    return json_find(data, view_str("from"), &value) && value.kind == JSON_STRING &&
           json_string_is(value, from);
}

static bool select_has_tags(const struct select *select, struct view tags)
{
    for (size_t i = 0; i < select->n_tags; i++)
        if (tags.len == 0 || !select_has_tag(tags, select->tags[i]))
            return false;
    return true;
}

static int select_match_rendered(struct select *select, struct frame frame, plsm_error_t **err)
{
    if (envelope_render(&frame, &select->data, err) < 0)
        return -1;
    return select_match(select, &frame, err);
}

int select_match(struct select *select, const struct frame *frame, plsm_error_t **err)
{
    if (!select_has_tags(select, frame->tags))
        return 0;
    if (frame->encoding != ENCODING_JSON && (select->others_only || select->n_filters > 0))
        return select_match_rendered(select, *frame, err);
    if (select->others_only && select_is_from(frame->data, select->from))
        return 0;

    const struct filter_message message = {
        .seq = frame->seq, .time_ns = frame->time_ns, .tags = frame->tags, .data = frame->data};
    for (size_t i = 0; i < select->n_filters; i++) {
        const int r = filter_match(select->filters[i], &message, err);
        if (r != FILTER_MATCH)
            return r;
    }
    return 1;
}

/* Literals of expressions as JSON text. */
#include "json/filter_parse.h"

#include "json/write.h"

#include <assert.h>

/* Room for names and literals was made for the longest they can be: a string of control
 * characters in an array, each of which becomes six bytes of JSON, kept once for the string and
 * once for the array. */
struct view text_keep(struct native *native, struct view text)
{
    assert(text.len <= native->text_size - native->text_len);
    uint8_t *const kept = native->text + native->text_len;
    if (text.len > 0)
        memcpy(kept, text.data, text.len);
    native->text_len += text.len;
    return view_of(kept, text.len);
}

/* The content of a string token, in native->text. Not simple: a string that is no JSON string
 * but for line breaks and other control characters, which jq takes as they are. */
bool parse_string(struct parser *parser, struct json_value *out_json, struct view *out_content)
{
    scoped(buf_fini) struct buf content = {0};
    scoped(buf_fini) struct buf quoted = {0};
    struct view raw = parser->token.text;
    struct json_value json = {
        .kind = JSON_STRING, .escaped = true, .text = view_of(raw.data - 1, raw.len + 2)};

    if (buf_reserve(&content, raw.len + 1) < 0)
        return false;
    struct json_bytes bytes = json_bytes(json);
    for (int c = json_next_byte(&bytes); c >= 0; c = json_next_byte(&bytes)) {
        const uint8_t byte = (uint8_t)c;
        if (buf_append(&content, &byte, 1) < 0)
            return false;
    }
    /* Bad UTF-8 and lone surrogates both end as U+FFFD in jq. */
    if (bytes.damaged || memmem(content.data, content.len, "\xef\xbf\xbd", 3) != NULL ||
        !json_is_utf8(buf_view(&content)) || json_quote(&quoted, buf_view(&content)) < 0)
        return false;
    if (out_content != NULL)
        *out_content = text_keep(parser->native, buf_view(&content));
    if (out_json != NULL)
        *out_json = json_value_of(text_keep(parser->native, buf_view(&quoted)));
    parser_advance(parser);
    return true;
}

/* A number that is one in JSON too (jq also takes "1." and ".5" and "01"). */
static bool number_is_json(struct view text)
{
    const uint8_t *const dot = memchr(text.data, '.', text.len);
    double value;

    if (text.len > 1 && text.data[0] == '0' && text.data[1] >= '0' && text.data[1] <= '9')
        return false;
    if (dot != NULL && (dot + 1 == text.data + text.len || dot[1] < '0' || dot[1] > '9'))
        return false;
    return json_double(text, &value);
}

/* A number, with its sign if `negative`, as JSON text. */
bool parse_number(struct parser *parser, bool negative, struct json_value *out_json)
{
    const struct view digits = parser->token.text;

    if (parser->token.kind != TOKEN_NUMBER || !number_is_json(digits))
        return false;
    const struct view sign = text_keep(parser->native, view_of("-", negative));
    const struct view kept = text_keep(parser->native, digits);
    *out_json = json_value_of(view_of(kept.data - sign.len, kept.len + sign.len));
    parser_advance(parser);
    return true;
}

static bool constant_append(struct parser *parser, struct buf *buf);

static bool constant_scalar(struct parser *parser, struct buf *buf)
{
    static const char *const names[] = {"null", "true", "false"};
    struct json_value json;

    for (size_t i = 0; i < 3; i++) {
        if (parser_accept_name(parser, names[i]))
            return buf_append_str(buf, names[i]) == 0;
    }
    const bool negative = parser_accept(parser, "-");
    if (parser->token.kind == TOKEN_STRING && !negative)
        return parse_string(parser, &json, NULL) &&
               buf_append(buf, json.text.data, json.text.len) == 0;
    return parse_number(parser, negative, &json) &&
           buf_append(buf, json.text.data, json.text.len) == 0;
}

/* name: or "name": in front of a member. */
static bool constant_key(struct parser *parser, struct buf *buf)
{
    struct json_value json;

    if (parser->token.kind == TOKEN_STRING) {
        if (!parse_string(parser, &json, NULL) ||
            buf_append(buf, json.text.data, json.text.len) < 0)
            return false;
    } else if (parser->token.kind == TOKEN_NAME &&
               memchr(parser->token.text.data, ':', parser->token.text.len) == NULL) {
        if (json_quote(buf, parser->token.text) < 0)
            return false;
        parser_advance(parser);
    } else {
        return false;
    }
    return parser_accept(parser, ":") && buf_append(buf, ":", 1) == 0;
}

static bool constant_container(struct parser *parser, struct buf *buf, bool is_object)
{
    const char *const close = is_object ? "}" : "]";

    if (buf_append(buf, is_object ? "{" : "[", 1) < 0)
        return false;
    if (!parser_accept(parser, close)) {
        do {
            if ((is_object && !constant_key(parser, buf)) || !constant_append(parser, buf) ||
                buf_append(buf, ",", 1) < 0)
                return false;
        } while (parser_accept(parser, ","));
        if (!parser_accept(parser, close))
            return false;
        buf->len--; /* the last comma */
    }
    return buf_append(buf, close, 1) == 0;
}

/* Appends a constant as JSON text: a literal, or an array or object of such. */
static bool constant_append(struct parser *parser, struct buf *buf)
{
    bool done;

    if (parser->depth >= PARSE_DEPTH_MAX)
        return false;
    parser->depth++;
    if (parser_accept(parser, "["))
        done = constant_container(parser, buf, false);
    else if (parser_accept(parser, "{"))
        done = constant_container(parser, buf, true);
    else
        done = constant_scalar(parser, buf);
    parser->depth--;
    return done;
}

const struct node *parse_constant(struct parser *parser)
{
    scoped(buf_fini) struct buf buf = {0};

    if (!constant_append(parser, &buf))
        return NULL;
    return node_literal(parser, json_value_of(text_keep(parser->native, buf_view(&buf))));
}

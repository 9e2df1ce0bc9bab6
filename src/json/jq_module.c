/* The module that holds libjq.
 *
 * Values for libjq are built from the message's text here, not by libjq's own parser: that one
 * gives up at 256 levels (1.6), keeps decimal numbers in newer versions, and would need the
 * envelope as text first.
 *
 * libjq aborts the process when memory is out; there is no way round that. */
#include "json/jq_module.h"

#include "base/buf.h"
#include "base/limits.h"
#include "json/span.h"

#include <jq.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Names of members, kept from message to message: they save most of the allocations. They also
 * bound a leak of libjq 1.6, which loses a reference to a name whenever an error or a break leaves
 * the iteration of an object: with a name of its own for each message that would be memory. */
#define NAMES         256
#define NAME_LEN_MAX  32
#define NAME_USES_MAX 1000000 /* then it is made anew: references are counted with 32 bits */

struct name {
    jv string;
    unsigned n_uses; /* 0: the slot is free */
};

struct jq_program {
    jq_state *jq;
    struct name names[NAMES];
    bool with_descrips;
    atomic_bool interrupted;
    struct buf string; /* the one being unescaped */
    char *problem;     /* while compiling: where messages go */
    size_t problem_size;
};

extern const struct jq_module plasmite_jq_module;

/* --- building values --- */

static bool value_build(
    struct jq_program *program, struct json_value value, unsigned depth, jv *out);

static bool string_build(struct jq_program *program, struct json_value string, jv *out)
{
    struct view content = json_inner(string);

    if (string.escaped) {
        program->string.len = 0;
        if (json_unescape(string, &program->string) < 0)
            return false;
        content = buf_view(&program->string);
    }
    if (content.len > INT_MAX)
        return false;
    *out = jv_string_sized(content.len > 0 ? (const char *)content.data : "", (int)content.len);
    return true;
}

/* FNV-1a */
static size_t name_hash(struct view name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ name.data[i]) * 16777619u;
    return hash % NAMES;
}

static void name_drop(struct name *name)
{
    if (name->n_uses > 0)
        jv_free(name->string);
    name->n_uses = 0;
}

static bool name_build(struct jq_program *program, struct json_value string, jv *out)
{
    const struct view content = json_inner(string);

    if (string.escaped || content.len > NAME_LEN_MAX)
        return string_build(program, string, out);
    struct name *const name = &program->names[name_hash(content)];
    const bool known =
        name->n_uses > 0 && name->n_uses < NAME_USES_MAX &&
        view_equal(content, view_of(jv_string_value(name->string),
                                (size_t)jv_string_length_bytes(jv_copy(name->string))));
    if (!known) {
        name_drop(name);
        if (!string_build(program, string, &name->string))
            return false;
    }
    name->n_uses++;
    *out = jv_copy(name->string);
    return true;
}

static bool array_build(struct jq_program *program, struct view text, unsigned depth, jv *out)
{
    struct json_walk walk = json_walk(text);
    struct json_value element;
    jv array = jv_array();
    jv value;

    while (json_next_element(&walk, &element)) {
        if (!value_build(program, element, depth, &value)) {
            jv_free(array);
            return false;
        }
        array = jv_array_append(array, value);
    }
    *out = array;
    return true;
}

static bool object_build(struct jq_program *program, struct view text, unsigned depth, jv *out)
{
    struct json_walk walk = json_walk(text);
    struct json_value name, member;
    jv object = jv_object();
    jv key, value;

    while (json_next_member(&walk, &name, &member)) {
        if (!name_build(program, name, &key)) {
            jv_free(object);
            return false;
        }
        if (!value_build(program, member, depth, &value)) {
            jv_free(key);
            jv_free(object);
            return false;
        }
        object = jv_object_set(object, key, value);
    }
    *out = object;
    return true;
}

static bool value_build(
    struct jq_program *program, struct json_value value, unsigned depth, jv *out)
{
    double number;

    if (depth > LIMIT_JSON_DEPTH)
        return false;
    switch (value.kind) {
    case JSON_NULL: *out = jv_null(); return true;
    case JSON_FALSE: *out = jv_false(); return true;
    case JSON_TRUE: *out = jv_true(); return true;
    case JSON_NUMBER:
        if (!json_double(value.text, &number))
            return false;
        *out = jv_number(number);
        return true;
    case JSON_STRING: return string_build(program, value, out);
    case JSON_ARRAY: return array_build(program, value.text, depth + 1, out);
    case JSON_OBJECT: return object_build(program, value.text, depth + 1, out);
    case JSON_DAMAGED: break;
    }
    return false;
}

static bool envelope_build(struct jq_program *program, const struct jq_message *message, jv *out)
{
    jv tags = jv_array();
    jv data;

    if (message->tags.len > 0) {
        jv_free(tags);
        if (!value_build(program, json_value_of(message->tags), 0, &tags))
            return false;
    }
    if (!value_build(program, json_value_of(message->data), 0, &data)) {
        jv_free(tags);
        return false;
    }
    jv meta = jv_object_set(jv_object(), jv_string("tags"), jv_copy(tags));
    if (program->with_descrips)
        meta = jv_object_set(meta, jv_string("descrips"), jv_copy(tags));
    jv_free(tags);
    jv envelope = jv_object_set(jv_object(), jv_string("seq"), jv_number((double)message->seq));
    envelope = jv_object_set(envelope, jv_string("time"),
        jv_string_sized((const char *)message->time.data, (int)message->time.len));
    envelope = jv_object_set(envelope, jv_string("meta"), meta);
    *out = jv_object_set(envelope, jv_string("data"), data);
    return true;
}

/* --- the table --- */

/* Takes the first line of the first message; without this, libjq prints to stderr. */
static void take_problem(void *context, jv message)
{
    struct jq_program *program = context;

    if (program->problem != NULL && program->problem[0] == 0 &&
        jv_get_kind(message) == JV_KIND_STRING) {
        const char *text = jv_string_value(message);
        snprintf(program->problem, program->problem_size, "%.*s", (int)strcspn(text, "\n"), text);
    }
    jv_free(message);
}

static void program_free(struct jq_program *program)
{
    if (program == NULL)
        return;
    if (program->jq != NULL)
        jq_teardown(&program->jq);
    for (size_t i = 0; i < NAMES; i++)
        name_drop(&program->names[i]);
    buf_fini(&program->string);
    free(program);
}

static struct jq_program *program_compile(
    const char *expression, bool with_descrips, char *out_problem, size_t problem_size)
{
    struct jq_program *program = calloc(1, sizeof(*program));

    out_problem[0] = 0;
    if (program != NULL)
        program->jq = jq_init();
    if (program == NULL || program->jq == NULL) {
        snprintf(out_problem, problem_size, "out of memory");
        program_free(program);
        return NULL;
    }
    program->with_descrips = with_descrips;
    program->problem = out_problem;
    program->problem_size = problem_size;
    jq_set_error_cb(program->jq, take_problem, program);
    const bool done = jq_compile(program->jq, expression);
    program->problem = NULL;
    if (!done) {
        program_free(program);
        return NULL;
    }
    return program;
}

/* Takes outputs until an error, the end, or one that is no boolean. */
static int program_outputs(struct jq_program *program)
{
    bool matched = false;

    for (;;) {
        jv output = jq_next(program->jq);
        const jv_kind kind = jv_get_kind(output);
        if (kind == JV_KIND_INVALID) {
            const bool raised = jv_invalid_has_msg(output);
            return matched && !raised ? JQ_MATCH : JQ_NO_MATCH;
        }
        jv_free(output);
        if (kind != JV_KIND_TRUE && kind != JV_KIND_FALSE)
            return JQ_NOT_BOOLEAN;
        matched = matched || kind == JV_KIND_TRUE;
    }
}

static int program_match(struct jq_program *program, const struct jq_message *message)
{
    jv envelope;

    if (!envelope_build(program, message, &envelope))
        return JQ_NO_MATCH; /* damaged text matches nothing */
    jq_start(program->jq, envelope, 0);
    int r = JQ_NO_MATCH;
    if (!atomic_load(&program->interrupted))
        r = program_outputs(program);
    /* The second question catches an interrupt that came late for the match before. */
    if (atomic_exchange(&program->interrupted, false) || jq_halted(program->jq))
        return JQ_INTERRUPTED;
    return r;
}

static void program_interrupt(struct jq_program *program)
{
    /* jq_halt only sets fields, and must not be called twice. */
    if (!atomic_exchange(&program->interrupted, true) && !jq_halted(program->jq))
        jq_halt(program->jq, jv_null(), jv_null());
}

__attribute__((visibility("default"))) const struct jq_module plasmite_jq_module = {
    .version = JQ_MODULE_VERSION,
    .compile = program_compile,
    .match = program_match,
    .interrupt = program_interrupt,
    .free = program_free,
};

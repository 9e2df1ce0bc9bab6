/* What libjq lacks or gets wrong, put right in jq itself.
 *
 * Definitions are put in front of an expression that mentions one of their names: compiling
 * them costs time. They serve all versions from 1.6 on, so some repeat what newer ones have. */
#include "json/filter_jq.h"
#include "json/filter_lex.h"

/* A definition may use those before it. A function that wraps the one it replaces keeps that
 * under a name of ours: within its own definition a name means the new one. */
static const struct {
    const char *names; /* or operators, with a blank behind each */
    const char *definition;
} prelude[] = {
    /* Since 1.7. */
    {"ltrim ", "def ltrim: if type == \"string\" then sub(\"\\\\A\\\\s+\"; \"\") "
               "else error(\"\\(type) cannot be trimmed\") end; "},
    {"rtrim ", "def rtrim: if type == \"string\" then sub(\"\\\\s+\\\\z\"; \"\") "
               "else error(\"\\(type) cannot be trimmed\") end; "},
    {"trim ", "def trim: if type == \"string\" then sub(\"\\\\A\\\\s+\"; \"\") | "
              "sub(\"\\\\s+\\\\z\"; \"\") else error(\"\\(type) cannot be trimmed\") end; "},
    {"abs ", "def abs: if type == \"number\" then if . < 0 then -. else . end "
             "else error(\"\\(type) has no absolute value\") end; "},
    {"toarray ", "def toarray: if type == \"array\" then . else [.] end; "},
    {"pick ", "def pick(f): . as $whole | reduce path(f) as $path "
              "(null; setpath($path; $whole | getpath($path))); "},
    {"skip ", "def skip($n; f): foreach f as $item ($n + 1; if . > 0 then . - 1 else . end; "
              "if . == 0 then $item else empty end); "},
    {"ascii ", "def ascii: [.] | implode; "},
    {"reverse ", "def plasmite_reverse: reverse; def reverse: if type == \"string\" "
                 "then explode | plasmite_reverse | implode else plasmite_reverse end; "},

    /* 1.6 lets one output through when none is wanted. */
    {"limit ", "def limit($n; f): if $n > 0 then label $done | foreach f as $item "
               "(0; . + 1; $item, if . >= $n then break $done else empty end) "
               "elif $n == 0 then empty else f end; "},

    /* 1.6 never ends where the expression matches the empty string. */
    {"sub gsub ",
        "def sub($re; f; $flags): . as $in | [match($re; $flags)] as $found | "
        "def rest($i; $from): if $i == ($found | length) then $in[$from:] else $found[$i] as $m | "
        "($m.captures | map(select(.name != null) | {(.name): .string}) | add // {}) as $named | "
        "($named | f) as $new | $in[$from:$m.offset] + $new + "
        "rest($i + 1; $m.offset + $m.length) end; rest(0; 0); "
        "def sub($re; f): sub($re; f; \"\"); "
        "def gsub($re; f; $flags): sub($re; f; $flags + \"g\"); "
        "def gsub($re; f): sub($re; f; \"g\"); "},
    {"index rindex indices ",
        "def plasmite_indices($i): indices($i); "
        "def indices($i): if $i == \"\" then null else plasmite_indices($i) end; "
        "def index($i): indices($i) | .[0]; def rindex($i): indices($i) | .[-1:][0]; "},

    /* 1.6 ends the process when a number is no time or a format is no string. */
    {"strftime todate todateiso8601 dateadd datesub date ",
        "def plasmite_strftime($f): strftime($f); def strftime($f): "
        "if ($f | type) != \"string\" then error(\"strftime needs a string\") "
        "elif type == \"number\" and ((. > -1e15 and . < 1e15) | not) then error(\"no such time\") "
        "else plasmite_strftime($f) end; "
        "def todateiso8601: strftime(\"%Y-%m-%dT%H:%M:%SZ\"); def todate: todateiso8601; "
        "def date: todate; "},
    {"strflocaltime ",
        "def plasmite_strflocaltime($f): strflocaltime($f); def strflocaltime($f): "
        "if ($f | type) != \"string\" then error(\"strflocaltime needs a string\") "
        "elif type == \"number\" and ((. > -1e15 and . < 1e15) | not) then error(\"no such time\") "
        "else plasmite_strflocaltime($f) end; "},

    /* 1.6 divides the smallest integer, or what is none, by -1, which ends the process. */
    {"% %= ", "def plasmite_mod(a; b): _mod(a; b); def _mod(a; b): b as $b | a as $a | "
              "if ($a | type) == \"number\" and ($b | type) == \"number\" and $b <= -1 and $b > -2 "
              "then 0 else plasmite_mod($a; $b) end; "},
};

static bool names_have(const char *names, struct view name)
{
    for (size_t len; (len = strcspn(names, " ")) > 0; names += len + 1) {
        if (view_equal(view_of(names, len), name))
            return true;
    }
    return false;
}

static bool expression_mentions(const char *expression, const char *names)
{
    struct lexer lexer;

    lexer_init(&lexer, view_str(expression));
    for (;;) {
        const struct token token = lexer_next(&lexer);
        if (token.kind == TOKEN_END || token.kind == TOKEN_ERROR)
            return false;
        if ((token.kind == TOKEN_NAME || token.kind == TOKEN_OPERATOR) &&
            names_have(names, token.text))
            return true;
    }
}

int filter_prelude(const char *expression, struct buf *out_text)
{
    for (size_t i = 0; i < sizeof(prelude) / sizeof(*prelude); i++) {
        if (expression_mentions(expression, prelude[i].names) &&
            buf_append_str(out_text, prelude[i].definition) < 0)
            return -1;
    }
    return 0;
}

"""--tag and --where: contract section 13. That the native matcher and jq agree is tested where they
are; here, that the commands use them rightly."""

import pytest


def matching(cli, *where, tags=()):
    flags = [word for expression in where for word in ("--where", expression)]
    flags += [word for tag in tags for word in ("--tag", tag)]
    return [message["seq"] for message in cli.backlog("a", *flags)]


@pytest.fixture
def logs(cli):
    cli.create("a")
    cli.feed("a", {"level": "info", "n": 1})
    cli.feed("a", {"level": "error", "n": 2, "user": {"id": 7}}, tags=["sensor"])
    cli.feed("a", {"n": None, "list": [1, 2, 3], "ok": True}, tags=["sensor", "alert"])
    cli.feed("a", {"level": "error", "n": 12345678901234567890, "MESSAGE": "kernel panic: x"})
    return cli


@pytest.mark.parametrize("expression,expected", [
    ('.data.level == "error"', [2, 4]),
    ('.data.level != "error"', [1, 3]),  # a missing key is null, as in jq
    (".data.n == null", [3]),
    (".data.missing == null", [1, 2, 3, 4]),
    (".data.n > 1", [2, 4]),
    (".data.n == 0", []),
    (".data.user.id == 7", [2]),
    ('.data.["level"] == "error"', [2, 4]),
    ('.data.["user"]?.["id"] == 7', [2]),
    (".data.list?.[-1] == 3", [3]),
    (".data.user.id.x == 7", []),  # an error is no match
    (".seq >= 3", [3, 4]),
    (".data.ok", []),  # jq's null of the others is no boolean: see below
    ('.data.MESSAGE? // "" | test("panic")', [4]),
    ('.data.MESSAGE | test("panic")', [4]),
    ('.meta.tags[]? == "sensor"', [2, 3]),
    ('any(.meta.tags[]; . == "alert")', [3]),
    ('.meta.tags | contains(["sensor"])', [2, 3]),
    ('.data | has("list")', [3]),
    (".data.list | length == 3", [3]),
    ("true", [1, 2, 3, 4]),
    ("false", []),
    ("empty", []),
    ("false, true", [1, 2, 3, 4]),
    ("true, error(\"x\")", []),
    ("(.data.list | add) == 6", [3]),
    ("[.data.list[]?] | length > 0", [3]),
    ('.data.level == "error" and .data.n < 10', [2]),
    ('(.data.level == "error" or .data.ok == true) and (.data.n == 2 | not)', [3, 4]),
    ("try error(\"x\") catch true", [1, 2, 3, 4]),
    ("reduce .data.list[]? as $x (0; . + $x) | . == 6", [3]),
])
def test_where(logs, expression, expected):
    if expression == ".data.ok":
        error = logs.run("follow", "a", "--tail", "9", "--replay", "0", "--where", expression).usage()
        assert error["message"] == "filter expression must yield booleans"
        return
    assert matching(logs, expression) == expected


@pytest.mark.parametrize("expression", ["(", ".data.x ==", "nosuchfunction(1)", "", "input", "env", "$ENV.HOME", 'import "x" as y; true'])
def test_bad_expressions(cli, expression):
    """Told before the pool is opened."""
    error = cli.run("follow", "missing", "--where", expression).usage()
    assert error["message"] == "invalid filter expression"
    assert expression in error["hint"]


@pytest.mark.parametrize("expression", [".data", ".data.n", '"x"', "null", "1, true", "true, null"])
def test_outputs_must_be_booleans(logs, expression):
    done = logs.run("follow", "a", "--tail", "1", "--where", expression)
    assert done.usage()["message"] == "filter expression must yield booleans"


def test_all_filters_must_match(logs):
    assert matching(logs, '.data.level == "error"', ".data.n > 2") == [4]
    assert matching(logs, '.data.level == "error"', tags=["sensor"]) == [2]
    assert matching(logs, tags=["sensor"]) == [2, 3]
    assert matching(logs, tags=["sensor", "alert"]) == [3]
    assert matching(logs, tags=["alert", "nope"]) == []
    assert matching(logs, tags=["sens"]) == []


def test_tags_come_first(logs):
    """An expression that is no predicate is not noticed where the tags exclude everything."""
    assert matching(logs, ".data", tags=["nope"]) == []
    assert matching(logs, "false", ".data") == []


def test_live_filters(logs):
    follower = logs.start("follow", "a", "--jsonl", "--tail", "1", "--where", '.data.level == "error"')
    assert follower.json()["seq"] == 4
    logs.feed("a", {"level": "info"}, {"level": "error", "n": 6}, {"level": "info"})
    assert follower.json()["seq"] == 6


def test_filters_see_the_envelope_with_data_only(logs):
    done = logs.run("follow", "a", "--tail", "9", "--replay", "0", "--jsonl", "--data-only",
                    "--where", '.meta.tags[]? == "alert"').ok()
    assert done.lines == [{"n": None, "list": [1, 2, 3], "ok": True}]


# --- the language

RICH = {
    "s": "Hello World", "n": 7, "f": 2.5, "neg": -3, "list": [3, 1, 2], "nul": None, "t": True, "csv": "a,b,c", "pad": "  x  ",
    "objs": [{"k": "b", "v": 2}, {"k": "a", "v": 1}, {"k": "b", "v": 3}], "o": {"x": 1, "y": {"z": [10, 20]}},
    "date": "2015-03-05T23:51:47Z", "big": 12345678901234567890, "uni": "é",
}

# What must work, by topic; each of these is true of a message with the data above.
LANGUAGE = {
    "paths": r'''
        .data.n == 7;; .data."n" == 7;; .data["n"] == 7;; .["data"]["n"] == 7;; ."data"."n" == 7;; .data.list[0] == 3
        .data.list[-1] == 2;; .data.list[1:] == [1,2];; .data.list[:1] == [3];; .data.list[-2:] == [1,2]
        .data.list[1:2] == [1];; .data.s[0:5] == "Hello";; .data.s[6:] == "World";; [.data.list[]] == [3,1,2]
        any(.data.list[] == 2; .);; ([.data.n.x?] == []);; ([.data.n[]?] == []);; ([..] | length) > 5
        (.data | .o | .y | .z[1]) == 20;; .data?.n? == 7;; (.data | .["n"]) == 7;; .data.missing == null
        .data.["n"] == 7;; .data.list.[0] == 3;; .data.["objs"].[1].["k"] == "a";; [.data.list.[]] == [3,1,2]
        .data?.["o"]?.["x"] == 1;; (.data | .o.["y"] | .["z"].[1:]) == [20];; (.data as $d | $d.["n"]) == 7
        (if .data.n == 7 then .["seq"] else 0 end) == 1;; "a.[0]" == "a.[0]";; ("\(.data.list.[1])" == "1")
        .data.list[9] == null;; .data.nul == null;; .data.nul.x.y == null;; .data.objs[1]["k"] == "a"''',
    "literals and operators": r'''
        [.data.n, .data.f] == [7, 2.5];; (.data.n + 1) * 2 == 16;; "n is \(.data.n)" == "n is 7"
        {"a": .data.n, b: 2, (.data.csv): 3, "x\(1)": 4} == {"a":7,"b":2,"a,b,c":3,"x1":4}
        (.data | {n, f}) == {"n":7,"f":2.5};; .data.n - 2 == 5;; .data.n * 2 == 14;; .data.n / 2 == 3.5;; .data.n % 4 == 3
        -.data.n == -7;; -(1) == -1;; .data.n != 8;; .data.n < 8;; .data.n <= 7;; .data.n > 6;; .data.n >= 7
        (.data.n == 7 and .data.t);; (.data.n == 8 or .data.t);; (.data.missing // "d") == "d";; (.data.nul // 1) == 1
        (false // 1) == 1;; (empty // 1) == 1;; (.data.n.x? // 1) == 1;; ([1,2] | . == [1,2]);; (.data.n == 7 # comment
        );; "\u00e9" == .data.uni;; ("a" + "b") == "ab";; ([1] + [2]) == [1,2];; ({"a":1} * {"a":{"b":2}}) == {"a":{"b":2}}
        ("a,b" / ",") == ["a","b"];; ([1,2,1] - [1]) == [2];; (null + 1) == 1''',
    "truth": r'''
        (null | not);; (false | not);; ([0, "", [], {}] | all);; ((null or false) | not);; (0 and "");; (1 | not) == false
        null < false;; false < true;; true < 0;; 0 < "";; "" < [];; [] < {};; [1,2] < [1,3];; {"a":1} < {"a":2}
        .data.big > 1e19;; .data.big != 0;; .data.big == 12345678901234567890;; .data.big == 12345678901234567891''',
    "control": r'''
        if .data.n > 5 then true elif .data.n > 3 then false else false end;; (if null then 1 else 2 end) == 2
        (try error("x") catch .) == "x";; (try error({a:1}) catch .a) == 1;; (try .data.n.x catch "no") == "no"
        ([.data.list[] | try error("x") catch 1]) == [1,1,1];; (reduce .data.list[] as $x (0; . + $x)) == 6
        [foreach .data.list[] as $x (0; . + $x)] == [3,4,6];; ([foreach .data.list[] as $x (0; . + $x; [$x, .])] | length) == 3
        (.data.n as $n | $n == 7);; (.data.list as [$a, $b] | $a == 3 and $b == 1)
        (.data.o as {x: $x, y: {z: [$z]}} | $x == 1 and $z == 10);; any(.data.objs[] as {k: $k} | $k == "a"; .)
        (def f: . + 1; (.data.n | f) == 8);; (def f(g): g * 2; (.data | f(.n)) == 14);; (def f($a; $b): $a + $b; f(1; 2) == 3)
        (def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; (.data.n | fac) == 5040)
        [label $f | .data.list[] | if . == 1 then break $f else . end] == [3]''',
    "assignment": r'''
        (.data.n = 9 | .data.n) == 9;; (.data.n |= . + 1 | .data.n) == 8;; (.data.n += 2 | .data.n) == 9
        (.data.n -= 2 | .data.n) == 5;; (.data.n *= 2 | .data.n) == 14;; (.data.n /= 2 | .data.n) == 3.5
        (.data.n %= 4 | .data.n) == 3;; (.data.missing //= 4 | .data.missing) == 4;; (.data.list[1:] = [] | .data.list) == [3]''',
    "numbers": r'''
        (.data.f | floor) == 2;; (.data.f | round) == 3;; (.data.f | ceil) == 3;; (.data.neg | abs) == 3;; (16 | sqrt) == 4
        pow(2; 3) == 8;; (1 | log) == 0;; [range(3)] == [0,1,2];; [range(1;3)] == [1,2];; [range(0; 6; 2)] == [0,2,4]
        [range(3;0;-1)] == [3,2,1];; (.data.n | tostring) == "7";; ("7" | tonumber) == 7;; (infinite > 1e308);; (nan < nan)''',
    "strings": r'''
        (.data.s | startswith("Hel"));; (.data.s | endswith("ld"));; (.data.s | ltrimstr("Hello ")) == "World"
        (.data.s | rtrimstr(" World")) == "Hello";; (.data.pad | trim) == "x";; (.data.pad | ltrim) == "x  "
        (.data.pad | rtrim) == "  x";; (.data.s | ascii_downcase) == "hello world";; (.data.s | ascii_upcase) == "HELLO WORLD"
        ("ab" | explode) == [97,98];; ([97,98] | implode) == "ab";; (65 | ascii) == "A";; (.data.uni | utf8bytelength) == 2
        (.data.uni | length) == 1;; (.data.csv | split(",")) == ["a","b","c"];; (["a","b"] | join("-")) == "a-b"
        ("a,b,a" | index("a")) == 0;; ("a,b,a" | rindex("a")) == 4;; ("a,b,a" | indices("a")) == [0,4]
        (.data.s | contains("World"));; ("World" | inside("Hello World"));; (.data.list | @text) == "[3,1,2]"
        (.data.list | @json) == "[3,1,2]";; ("ab" | @base64) == "YWI=";; @json "x\(.data.csv)" == "x\"a,b,c\""
        (.data.list | tojson) == "[3,1,2]";; ("[1]" | fromjson) == [1];; ("abc" | reverse) == "cba"''',
    "regular expressions": r'''
        (.data.s | test("World"));; (.data.s | test("WORLD"; "i"));; (.data.s | test(["WORLD", "i"]));; (.data.s | test("^x") | not)
        (.data.s | match("o") | .offset) == 4;; [.data.s | match("o"; "g") | .offset] == [4,7]
        (.data.s | capture("(?<a>[A-Z])(?<b>[a-z]+)")) == {"a":"H","b":"ello"};; [.data.s | scan("o")] == ["o","o"]
        (.data.csv | split(", *"; null)) == ["a","b","c"];; [.data.csv | splits(",")] == ["a","b","c"]
        (.data.s | sub("o"; "0")) == "Hell0 World";; (.data.s | gsub("o"; "0")) == "Hell0 W0rld"
        (.data.s | gsub("O"; "0"; "i")) == "Hell0 W0rld"''',
    "arrays": r'''
        (.data.list | reverse) == [2,1,3];; (.data.list | sort) == [1,2,3];; (.data.objs | sort_by(.v) | .[0].k) == "a"
        (.data.objs | sort_by(.k, .v) | map(.v)) == [1,2,3];; (.data.objs | group_by(.k) | length) == 2
        (.data.list | length) == 3;; (.data.list | add) == 6;; ([1,2,1] | unique) == [1,2];; (.data.objs | unique_by(.k) | length) == 2
        (.data.list | min) == 1;; (.data.list | max) == 3;; (.data.objs | min_by(.v) | .v) == 1;; (.data.objs | max_by(.v) | .v) == 3
        (.data.list | map(. + 1)) == [4,2,3];; ([1,[2,[3]]] | flatten) == [1,2,3];; ([1,[2,[3]]] | flatten(1)) == [1,2,[3]]
        (.data.list | has(2));; (2 | in([0,1,2]));; (.data.list | contains([1]));; (.data.list | index(1)) == 1
        ([1,2,1] | indices(1)) == [0,2];; (.data.list | first) == 3;; (.data.list | last) == 2;; (.data.list | nth(1)) == 1''',
    "objects": r'''
        (.data | has("n"));; ("n" | in({"n":1}));; (.data.o | keys) == ["x","y"];; (.data | contains({n: 7}));; (.data.o | length) == 2
        ({"a":1} | to_entries) == [{"key":"a","value":1}];; ([{"key":"a","value":1}] | from_entries) == {"a":1}
        ({"a":1} | with_entries(.value += 1)) == {"a":2};; (.data | del(.n) | has("n")) == false
        (.data.list | del(.[0])) == [1,2];; (.data | getpath(["o","x"])) == 1;; ([.data.o | paths] | length) == 5
        (.data.n | type) == "number";; (.data.nul | length) == 0''',
    "streams": r'''
        first(.data.list[]) == 3;; last(.data.list[]) == 2;; nth(1; .data.list[]) == 1;; [limit(2; .data.list[])] == [3,1]
        isempty(empty);; ([] | isempty(.[]));; (.data.n | IN(5,6,7));; IN(.data.list[]; 1, 9);; any(.data.list[]; . == 1)
        all(.data.list[]; . > 0);; (.data.list | any(. == 1));; (.data.list | all(. > 0));; ([true, true] | all)
        ([.data.list[] | select(. > 1)] | length) == 2;; (try error("m") catch .) == "m";; [empty] == []
        ([.data.list[] | if . == 1 then empty else . end]) == [3,2]''',
    "times": r'''
        now > 1700000000;; (1425599507 | todate) == "2015-03-05T23:51:47Z";; (.data.date | fromdate) == 1425599507
        (.data.date | strptime("%Y-%m-%dT%H:%M:%SZ") | mktime) == 1425599507;; (1425599507 | strftime("%A, %B %d, %Y")) == "Thursday, March 05, 2015"
        (.time | startswith("20"))''',
    "the envelope": r'''
        .seq == 1;; .meta.tags == ["t1","t2"];; (.meta.tags | index("t2")) == 1;; (keys == ["data","meta","seq","time"])
        (.meta | keys) == ["tags"];; (.time | type) == "string";; (.seq | type) == "number"''',
}


def language(topic):
    return [part.strip() + ("\n)" if "#" in part else "") for line in LANGUAGE[topic].replace("# comment\n        )", "# comment")
            .splitlines() for part in line.split(";;") if part.strip()]


@pytest.fixture
def rich(cli):
    cli.create("a")
    cli.feed("a", RICH, tags=["t1", "t2"])
    return cli


@pytest.mark.parametrize("topic", LANGUAGE)
def test_language(rich, topic):
    """All of a topic at once: starting jq for each would take long. Where one fails, all are tried."""
    expressions = language(topic)
    together = ",\n".join(f"({expression})" for expression in expressions)
    if matching(rich, f"[{together}] == [range({len(expressions)}) | true]") == [1]:
        return
    wrong = [expression for expression in expressions
             if rich.run("follow", "a", "--tail", "1", "--replay", "0", "--jsonl", f"--where={expression}").out == b""]
    assert wrong == []


@pytest.mark.parametrize("expression", [
    "input", "inputs", "[inputs]", "first(inputs)", "limit(1; input)", "env", "env.HOME", "$ENV", '$ENV.HOME == "x"',
    "input_filename", "input_line_number", 'import "x" as y; true', 'include "x"; true', "$__prog_args", "modulemeta",
    "get_search_list", "debug", "stderr", "halt", "halt_error", '"\\(env)" == "x"',
])
def test_what_filters_do_not_have(rich, expression):
    error = rich.run("follow", "a", "--tail", "1", "--replay", "0", "--where", expression).usage()
    assert error["message"] == "invalid filter expression" and expression in error["hint"]


@pytest.mark.parametrize("expression", ['.data.input == 1', '{input: 1} == {"input": 1}', '"env" == "env"', '.env == null'])
def test_names_of_what_filters_do_not_have_are_words_elsewhere(rich, expression):
    rich.run("follow", "a", "--tail", "1", "--replay", "0", "--where", expression).ok()


@pytest.mark.parametrize("expression", [
    "", " ", "(", ")", "[", "{a", '"abc', "1 +", ".data.n ==", ".data..n", "if true then true", "reduce . as $x", "try", "$foo",
    "foo", "foo(1)", "break $x", "true false", "and true", ".data.n === 7", "!true", "true && true", "'x'", "#", '"\\(1"',
    "# comment only", "@", "%",
])
def test_syntax_errors(cli, expression):
    error = cli.run("follow", "missing", "--where", expression).usage()
    assert error["message"] == "invalid filter expression" and expression in error["hint"] and error["causes"]


@pytest.mark.parametrize("expression", [
    "true, error(1)", "error(1), true", ".data.n.x == 1", ".data.s[0]", ".data.list.x", "(.data.n, true) | .x", '"x" | tonumber',
    "empty", "false", "false, false", ".data.n > 7", "[true] | .[1:][]",
])
def test_errors_and_nothing_do_not_match(rich, expression):
    assert rich.run("follow", "a", "--tail", "1", "--replay", "0", "--where", expression).ok().out == b""
    done = rich.run("follow", "a", "--tail", "1", "--timeout", "0ms", "--where", expression)
    assert done.code == 124 and done.out == b"" and done.err == b""


@pytest.mark.parametrize("expression", ["1", ".data", '"true"', "null", "[]", "true, 1", "1, true", "false, null", "true, {}"])
def test_what_is_no_boolean(rich, expression):
    for end in (["--replay", "0"], ["--timeout", "0ms"], ["--one"]):
        error = rich.run("follow", "a", "--tail", "1", *end, "--where", expression).usage()
        assert error["message"] == "filter expression must yield booleans" and expression in error["hint"]


def test_no_boolean_in_a_live_message(rich):
    """Told when the message comes, and not before."""
    follower = rich.start("follow", "a", "--tail", "2", "--jsonl", "--where", "if .seq == 2 then 1 else true end")
    assert follower.json()["seq"] == 1
    rich.feed("a", {"n": 2})
    follower.finish().usage("filter expression must yield booleans")


def test_several_true_outputs_are_one_match(rich):
    assert matching(rich, "true, true, false, true") == [1]
    assert matching(rich, ".data.list[] > 0") == [1]

"""pool create, list, info, delete; pool references; sizes: contract sections 2, 3, 4, 6.4 and 8."""

import os
import re

import pytest

MIB = 1 << 20
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")


# --- references and directories

def test_default_directory_is_under_home(cli):
    cli.bare("pool", "create", "chat").ok()
    path = cli.home / ".plasmite" / "pools" / "chat.plasmite"
    assert path.stat().st_size == MIB
    assert path.stat().st_mode & 0o777 == 0o600
    assert (cli.home / ".plasmite").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("home", ["", None])
def test_without_home_the_directory_is_relative(cli, home):
    env = dict(cli.env)
    cli.env.pop("HOME")
    cli.bare("pool", "create", "chat", env={} if home is None else {"HOME": home}).ok()
    cli.env = env
    assert (cli.root / ".plasmite" / "pools" / "chat.plasmite").exists()


@pytest.mark.parametrize("ref,file", [
    ("chat", "pools/chat.plasmite"),
    ("chat.plasmite", "pools/chat.plasmite"),
    (".hidden", "pools/.hidden.plasmite"),
    ("two words", "pools/two words.plasmite"),
    ("./here", "here"),
    ("sub/dir/pool.plasmite", "sub/dir/pool.plasmite"),
])
def test_pool_references(cli, ref, file):
    info = cli.run("pool", "create", ref, "--json").ok().json["created"][0]
    assert (cli.root / file).is_file()
    assert info["name"] == ref
    cli.run("feed", ref, '{"n":1}').ok()
    assert cli.run("fetch", ref, "1").ok().json["data"] == {"n": 1}


def test_path_stays_as_given(cli):
    assert cli.run("pool", "create", "./x", "--json").ok().json["created"][0]["path"] == "./x"
    done = cli.bare("--dir", "pools", "pool", "create", "y", "--json").ok()
    assert done.json["created"][0]["path"] == "pools/y.plasmite"


def test_empty_name(cli):
    cli.run("pool", "create", "").usage("pool name must not be empty")


@pytest.mark.parametrize("command", [["pool", "create"], ["pool", "info"], ["doctor"], ["fetch"]])
def test_local_commands_refuse_urls(cli, command):
    rest = ["1"] if command == ["fetch"] else []
    error = cli.run(*command, "http://localhost:9700/x", *rest).usage("local pool refs only")
    assert "Use a local pool name/path" in error["hint"]


SCHEME = "remote pool ref must use http or https scheme"
INVALID = "invalid remote pool ref"
QUERY = "remote pool ref must not include query or fragment"
SEPARATOR = "remote pool name must not contain path separators"
SHORTHAND = "remote pool ref must use shorthand http(s)://host:port/<pool>"

REMOTE = {
    SCHEME: ["ftp://host/pool", "ws://host/x", "HTTP://host/x", "Https://host/x", "file:///x", "://x", "a://"],
    INVALID: ["http://", "https://", "http:///x", "http://:9700/x", "http://host:99999/x", "http://host:port/x",
              "http://host:-1/x", "http://[::1/x", "http://[]/x", "http://[host]/x", "http://ho st/x",
              "http://user@host/x", "http://user:word@host/x", "http://host\\x"],
    QUERY: ["http://host/x?", "http://host/x?y=1", "http://host/x#", "http://host/x#y", "http://host?x",
            "http://host/a/b?x", "http://host/a%2fb#x"],
    SEPARATOR: ["http://host/a%2fb", "https://host/a%2Fb", "http://host/%2f", "http://host/a/b%2fc"],
    SHORTHAND: ["http://host", "http://host/", "http://host//", "http://host//x", "http://host/x/", "http://host/a/b",
                "http://host/pool", "http://host/pool/x", "http://host/.", "http://host/..", "http://host/%2e%2E",
                "http://host/v0/pools/x", "http://host/v0/pools/x/append", "http://host/v0/pools/x/tail",
                "https://[::1]:9700/v0/pools/x/tail"],
}


@pytest.mark.parametrize("message,ref", [(message, ref) for message in REMOTE for ref in REMOTE[message]])
def test_remote_references_that_are_refused(cli, message, ref):
    """For their shape alone: no host of these is looked up."""
    for command in (["feed", ref, "{}"], ["feed", ref, "x", "--create"], ["follow", ref], ["follow", ref, "--create"]):
        assert cli.run(*command).usage()["message"] == message
    assert not cli.pools.exists()


@pytest.mark.parametrize("ref,file", [
    ("http:x", "pools/http:x.plasmite"), ("https:", "pools/https:.plasmite"), ("http:/x", "http:/x"),
])
def test_names_that_only_look_remote(cli, ref, file):
    cli.run("feed", ref, "--create", '{"n":1}').ok()
    assert (cli.root / file).is_file()


# --- create



@pytest.mark.parametrize("size,slots,index,ring_offset,ring_size", [
    ("1M", None, 65536, 69632, 956 * 1024),
    ("1M", 0, 0, 4096, MIB - 4096),
    ("1M", 1024, 16384, 20480, MIB - 20480),
    ("64K", None, 4096, 8192, 57344),
])
def test_create_geometry(cli, size, slots, index, ring_offset, ring_size):
    flags = [] if slots is None else ["--index-capacity", slots]
    info = cli.run("pool", "create", "a", "--size", size, *flags, "--json").ok().json["created"][0]
    assert info["index_offset"] == 4096
    assert info["index_capacity"] == (index // 16 if slots is None else slots)
    assert info["index_size_bytes"] == index
    assert info["ring_offset"] == ring_offset
    assert info["ring_size"] == ring_size
    assert info["bounds"] == {}
    assert info["path"].endswith("a.plasmite")



def test_create_table(cli):
    done = cli.run("pool", "create", "a", "bb").ok()
    rows = done.text.splitlines()
    assert rows[0].split() == ["NAME", "SIZE", "INDEX", "PATH"]
    assert rows[1].split() == ["a", "1048576", "65536", "a.plasmite"]
    assert rows[2].split() == ["bb", "1048576", "65536", "bb.plasmite"]
    assert len({len(row) for row in rows}) == 1


def test_create_on_a_terminal(cli):
    text = cli.tty("pool", "create", "a").ok().text
    assert text.startswith("Created a (1M, 4096 index slots)\n  path: ")
    text = cli.tty("pool", "create", "b", "c").ok().text
    assert text.startswith("Created 2 pools (1M each)\n  - b (") and "\n  - c (" in text


def test_create_existing(cli):
    cli.create("a")
    done = cli.run("pool", "create", "new", "a", "never")
    assert done.out == b""
    error = done.fails("AlreadyExists", 4)
    assert error["path"].endswith("a.plasmite")
    assert "different name" in error["hint"] or "remove" in error["hint"]
    assert cli.path("new").exists() and not cli.path("never").exists()


def test_create_where_a_file_is_in_the_way(cli):
    (cli.root / "file").write_text("x")
    error = cli.bare("--dir", "file/pools", "pool", "create", "a").fails("Io", 8)
    assert error["path"] and error["causes"]


# --- info

def test_info_json(demo):
    info = demo.run("pool", "info", "demo", "--json").ok().json
    assert info["name"] == "demo" and info["path"].endswith("demo.plasmite")
    assert info["bounds"] == {"oldest": 1, "newest": 3}
    metrics = info["metrics"]
    assert metrics["message_count"] == metrics["seq_span"] == 3
    use = metrics["utilization"]
    assert use["used_bytes"] > 0 and use["used_bytes"] + use["free_bytes"] == info["ring_size"]
    assert isinstance(use["used_percent"], float) and 0 < use["used_percent"] < 1
    age = metrics["age"]
    assert RFC3339.match(age["oldest_time"]) and RFC3339.match(age["newest_time"])
    assert age["oldest_age_ms"] >= age["newest_age_ms"] >= 0


def test_info_json_of_an_empty_pool(cli):
    cli.create()
    info = cli.run("pool", "info", "demo", "--json").ok().json
    assert info["bounds"] == {}
    assert info["metrics"]["message_count"] == 0
    assert info["metrics"]["age"] == {
        "oldest_time": None, "newest_time": None, "oldest_age_ms": None, "newest_age_ms": None}
    assert info["metrics"]["utilization"]["used_bytes"] == 0


def test_info_lines(demo):
    lines = demo.run("pool", "info", "demo").ok().text.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Pool", "Path", "Size", "Bounds", "Utilization", "Oldest", "Newest"]
    assert lines[0] == "Pool: demo"
    assert lines[2] == ("Size: 1048576 bytes (index: offset=4096 slots=4096 bytes=65536, "
                        "ring: offset=69632 size=978944)")
    assert lines[3] == "Bounds: oldest=1 newest=3 count=3"
    assert re.match(r"^Utilization: used=\d+B free=\d+B \(\d+\.\d\d%\)$", lines[4])
    assert re.match(r"^Oldest: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(\d+s ago\)$", lines[5])


def test_info_lines_of_an_empty_pool(cli):
    cli.create()
    lines = cli.run("pool", "info", "demo").ok().text.splitlines()
    assert lines[3] == "Bounds: oldest=- newest=- count=0"
    assert lines[5] == "Oldest: -" and lines[6] == "Newest: -"


def test_info_on_a_terminal(demo):
    text = demo.tty("pool", "info", "demo").ok().text
    assert text.startswith("demo\n  path:      ")
    assert "  size:      1M (" in text and " used, 0.0" in text
    assert "  messages:  3 (seq 1..3)\n" in text
    assert re.search(r"  oldest:    \d+s ago \(\d{4}-", text)
    assert "  index:     4096 slots (64K)\n  ring:      956K\n" in text
    assert "offset" not in text


def test_info_on_a_terminal_of_an_empty_pool(cli):
    cli.create()
    text = cli.tty("pool", "info", "demo").ok().text
    assert "  messages:  empty\n  oldest:    —\n  newest:    —\n" in text


def test_info_json_pretty_on_a_terminal(demo):
    text = demo.tty("pool", "info", "demo", "--json", env={"NO_COLOR": "1"}).ok().text
    assert text.startswith('{\n  "name": "demo",\n') and "\x1b" not in text


def test_info_colour(demo):
    done = demo.bare("--color", "always", "--dir", demo.pools, "pool", "info", "demo", "--json").ok()
    assert '\x1b[36m"name"\x1b[0m\x1b[39m:\x1b[0m \x1b[32m"demo"\x1b[0m\x1b[39m,\x1b[0m' in done.text
    done = demo.bare("--color", "never", "--dir", demo.pools, "pool", "info", "demo", "--json").ok()
    assert "\x1b" not in done.text and done.text.count("\n") == 1


def test_info_missing(cli):
    error = cli.run("pool", "info", "nope").fails("NotFound", 3)
    assert error["message"] == "not found"
    assert "path" not in error and "causes" not in error
    assert "plasmite pool create nope" in error["hint"]


# --- list

def test_list_missing_directory(cli):
    assert cli.run("pool", "list", "--json").ok().json == {"pools": []}
    assert not cli.pools.exists()


def test_list(cli):
    for name in ("b", "a", "c"):
        cli.create(name)
    cli.feed("b", {"n": 1}, {"n": 2})
    cli.path("c").write_bytes(b"no pool")
    (cli.pools / "other.txt").write_text("x")
    pools = cli.run("pool", "list", "--json").ok().json["pools"]
    assert [pool["name"] for pool in pools] == ["a", "b", "c"]
    assert pools[0]["bounds"] == {} and pools[1]["bounds"] == {"oldest": 1, "newest": 2}
    assert pools[0]["file_size"] == MIB and RFC3339.match(pools[0]["mtime"])
    assert set(pools[0]) == {"bounds", "file_size", "mtime", "name", "path"}
    assert set(pools[2]) == {"name", "path", "error"}
    assert pools[2]["error"]["error"]["kind"] == "Corrupt"


def test_list_table(cli):
    head = ["NAME", "STATUS", "SIZE", "OLDEST", "NEWEST", "MTIME", "PATH", "DETAIL"]
    assert cli.run("pool", "list").ok().text.split() == head
    cli.create("a")
    cli.create("b")
    cli.feed("b", {"n": 1})
    cli.path("c").write_bytes(b"")
    rows = [row.split() for row in cli.run("pool", "list").ok().text.splitlines()]
    assert rows[0] == head
    assert rows[1][:5] == ["a", "OK", "1048576", "-", "-"] and rows[1][6] == "a.plasmite"
    assert rows[2][:5] == ["b", "OK", "1048576", "1", "1"]
    assert rows[3][:5] == ["c", "ERR", "-", "-", "-"] and len(rows[3]) > 7


def test_list_on_a_terminal(cli):
    text = cli.tty("pool", "list").ok().text
    assert text.startswith("No pools found in ./pools/\n\n") and "plasmite pool create <name>" in text
    cli.create("a")
    rows = cli.tty("pool", "list").ok().text.splitlines()
    assert rows[0].split() == ["NAME", "SIZE", "MSGS", "MODIFIED", "PATH"]
    assert rows[1].split()[:3] == ["a", "1M", "0"] and rows[1].split()[4:] == ["ago", "a.plasmite"]
    cli.path("b").write_bytes(b"")
    assert "STATUS" in cli.tty("pool", "list").ok().text


def test_list_where_the_directory_is_a_file(cli):
    cli.pools.write_text("x")
    pools = cli.run("pool", "list", "--json").ok().json["pools"]
    assert [pool["name"] for pool in pools] == ["pools"]
    assert pools[0]["error"]["error"]["kind"] == "Io"


# --- delete

def test_delete(cli):
    for name in ("a", "b"):
        cli.create(name)
    done = cli.run("pool", "delete", "a", "nope", "b", "http://h/x", "--json")
    assert done.code == 3 and done.err == b""
    assert [item["pool"] for item in done.json["deleted"]] == ["a", "b"]
    assert done.json["deleted"][0]["path"].endswith("a.plasmite")
    missing, remote = done.json["failed"]
    assert missing["pool"] == "nope"
    assert missing["error"]["kind"] == "NotFound" and missing["error"]["message"] == "pool not found"
    assert remote["error"]["kind"] == "Usage"
    assert not cli.path("a").exists() and not cli.path("b").exists()


def test_delete_exit_code_is_that_of_the_first_failure(cli):
    assert cli.run("pool", "delete", "http://h/x", "nope").code == 2
    assert cli.run("pool", "delete", "nope", "http://h/x").code == 3


def test_delete_table(cli):
    cli.create("a")
    done = cli.run("pool", "delete", "a", "nope", "ftp://x")
    assert done.code == 3 and done.err == b""
    rows = [row.rstrip().split(None, 3) for row in done.text.splitlines()]
    assert rows[0] == ["NAME", "STATUS", "PATH", "DETAIL"]
    assert rows[1][:3] == ["a", "OK", "a.plasmite"]
    assert rows[2] == ["nope", "ERR", "nope.plasmite", "pool not found"] or rows[2][1] == "ERR"
    assert rows[3][1:3] == ["ERR", "-"]


def test_delete_on_a_terminal(cli):
    cli.create("a")
    assert cli.tty("pool", "delete", "a").ok().text == 'Deleted pool "a".\n'
    done = cli.tty("pool", "delete", "a")
    assert done.code == 3
    assert done.text.startswith('Pool "a" not found. Nothing to delete.\n')
    cli.create("b")
    done = cli.tty("pool", "delete", "a", "b")
    assert done.code == 3
    assert done.text.startswith("Deleted 1 of 2 pools.\n  ✗ a — pool not found\n  ✓ b\n")
    for name in ("c", "d"):
        cli.create(name)
    assert cli.tty("pool", "delete", "c", "d").ok().text.startswith("Deleted 2 pools.\n")


def test_delete_a_directory_in_the_way(cli):
    cli.path("a").mkdir(parents=True)
    done = cli.run("pool", "delete", "a", "--json")
    assert done.code == 8
    assert done.json["failed"][0]["error"]["message"] == "failed to delete pool"
    assert os.path.isdir(cli.path("a"))


# --- more of creation

@pytest.mark.parametrize("size,slots,expected", [
    # slots, where the ring begins; by default one slot for each 256 bytes, as far as there is room
    (5120, None, (0, 4096)), (5135, None, (0, 4096)), (5136, None, (1, 4112)), (6000, None, (23, 4464)),
    (8192, None, (32, 4608)), (10000, None, (39, 4720)), (65536, None, (256, 8192)), (MIB, None, (4096, 69632)),
    (8 * MIB, None, (32768, 528384)), (MIB, 0, (0, 4096)), (MIB, 1, (1, 4112)), (MIB, 1024, (1024, 20480)),
    (MIB, 32768, (32768, 528384)), (16384, 512, (512, 12288)), (5120, 0, (0, 4096)),
])
def test_index(cli, size, slots, expected):
    flags = [] if slots is None else ["--index-capacity", slots]
    info = cli.run("pool", "create", "a", "--size", size, *flags, "--json").ok().json["created"][0]
    assert (info["index_capacity"], info["ring_offset"]) == expected
    assert info["index_size_bytes"] == expected[0] * 16 and info["index_offset"] == 4096 and info["file_size"] == size
    room = size - info["ring_offset"]
    assert room - 32 < info["ring_size"] <= room
    cli.run("feed", "a", '{"n":1}').ok()
    assert cli.data("a") == [{"n": 1}]


@pytest.mark.parametrize("size,slots", [("1M", 32769), ("1M", 65536), ("16K", 513), ("64K", 2049), ("1M", 2**32 - 1)])
def test_index_of_more_than_half_the_pool(cli, size, slots):
    error = cli.run("pool", "create", "a", "--size", size, "--index-capacity", slots).usage("index capacity")
    assert "--index-capacity" in error["hint"] and not cli.path("a").exists()


INFO = {"name", "path", "file_size", "index_offset", "index_capacity", "index_size_bytes", "ring_offset", "ring_size",
        "bounds", "metrics"}


def test_keys_of_info(demo):
    """The same of a pool that was just created and of one that is looked at."""
    created = demo.run("pool", "create", "new", "./other", "--json").ok().json
    assert set(created) == {"created"} and [info["name"] for info in created["created"]] == ["new", "./other"]
    for info in [*created["created"], demo.run("pool", "info", "demo", "--json").ok().json]:
        assert set(info) == INFO
        assert set(info["metrics"]) == {"message_count", "seq_span", "utilization", "age"}
        assert set(info["metrics"]["utilization"]) == {"used_bytes", "free_bytes", "used_percent"}
        assert set(info["metrics"]["age"]) == {"oldest_time", "newest_time", "oldest_age_ms", "newest_age_ms"}
    assert demo.run("pool", "info", "new", "--json").ok().json == created["created"][0]


def test_info_of_a_pool_that_has_wrapped(cli):
    cli.create("a", "--size", "64K")
    cli.feed("a", *({"p": "x" * 1000} for _ in range(500)))
    info = cli.run("pool", "info", "a", "--json").ok().json
    oldest, newest = info["bounds"]["oldest"], info["bounds"]["newest"]
    assert newest == 500 and 400 < oldest < 500
    assert info["metrics"]["message_count"] == info["metrics"]["seq_span"] == newest - oldest + 1
    assert info["metrics"]["utilization"]["used_percent"] > 90
    lines = cli.run("pool", "info", "a").ok().text.splitlines()
    assert lines[3] == f"Bounds: oldest={oldest} newest={newest} count={newest - oldest + 1}"
    use = info["metrics"]["utilization"]
    assert lines[4] == f"Utilization: used={use['used_bytes']}B free={use['free_bytes']}B ({use['used_percent']:.2f}%)"


@pytest.mark.parametrize("ref", ["nope", "./nope", "nope.plasmite", "d/nope"])
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_info_of_what_is_missing_tells_no_path(cli, ref, flags):
    error = cli.run("pool", "info", ref, *flags).fails("NotFound", 3)
    assert error["message"] == "not found" and set(error) == {"kind", "message", "hint"}
    assert ("path was not found" if "/" in ref else f"plasmite pool create {ref}") in error["hint"]


def test_names_in_tables(cli):
    """Line ends do not break a row, and columns are counted in characters."""
    for name in ("two words", "größe", "line\nend", "cr\rx"):
        cli.create(name)
    for command in (["pool", "list"], ["pool", "delete", "two words", "größe", "line\nend", "cr\rx"]):
        text = cli.run(*command).ok().text
        rows = text.splitlines()
        assert len(rows) == 5 and len({len(row) for row in rows}) == 1
        assert "line\\nend" in text and "cr\\rx" in text


def test_tables_are_aligned(cli):
    rows = cli.run("pool", "create", "a", "a-long-name", "./path").ok().text.splitlines()
    column = rows[0].index("SIZE")
    assert all(row[column - 2:column] == "  " and row[column] != " " for row in rows)
    assert [row.split()[-1] for row in rows] == ["PATH", "a.plasmite", "a-long-name.plasmite", "path"]


def test_list_of_what_is_no_pool(cli):
    cli.create("good")
    (cli.pools / "folder.plasmite").mkdir()
    (cli.pools / "link.plasmite").symlink_to("nowhere")
    (cli.pools / ".plasmite").write_bytes(b"")
    cli.path("empty").write_bytes(b"")
    (cli.pools / "good.plasmite.bak").write_bytes(b"")
    pools = cli.run("pool", "list", "--json").ok().json["pools"]
    assert [pool["name"] for pool in pools if "error" not in pool] == ["good"]
    names = [pool["name"] for pool in pools]
    assert names == sorted(names) and {"good", "folder", "link", "empty"} <= set(names) and "good.plasmite.bak" not in names
    for pool in pools:
        if "error" in pool:
            assert set(pool) == {"name", "path", "error"} and pool["error"]["error"]["message"]
    rows = cli.run("pool", "list").ok().text.splitlines()
    assert [row.split()[1] for row in rows[1:]].count("OK") == 1 and len(rows) == len(pools) + 1


def test_delete_of_everything_there_is(cli):
    for name in ("a", "b"):
        cli.create(name)
    done = cli.run("pool", "delete", "a", "./pools/b.plasmite", "--json").ok()
    assert done.json == {"deleted": [{"pool": "a", "path": str(cli.path("a"))},
                                     {"pool": "./pools/b.plasmite", "path": "./pools/b.plasmite"}], "failed": []}
    done = cli.run("pool", "delete", "a", "a", "--json")
    assert done.code == 3 and done.json["deleted"] == [] and len(done.json["failed"]) == 2 and done.err == b""
    for item in done.json["failed"]:
        assert set(item) == {"error", "pool"} and {"kind", "message"} <= set(item["error"])


@pytest.mark.parametrize("refs,code", [
    (["x://y", "nope", "dir"], 2), (["nope", "dir", "x://y"], 3), (["dir", "nope", "x://y"], 8), (["good", "dir", "nope"], 8),
    (["good", "nope"], 3), (["good"], 0), (["", "nope"], 2),
])
def test_delete_ends_with_the_code_of_the_first_failure(cli, refs, code):
    cli.create("good")
    cli.path("dir").mkdir()
    for flags in ([], ["--json"]):
        done = cli.run("pool", "delete", *refs, *flags)
        assert done.code == code and done.err == b""
        assert not cli.path("good").exists() or "good" not in refs
        cli.path("good").unlink(missing_ok=True)
        cli.create("good")


def test_a_directory_given_in_odd_ways(cli):
    for given, path in (("d", "d/a.plasmite"), ("d//", "d/b.plasmite"), ("./d", "./d/c.plasmite"),
                        (f"{cli.root}/d/", f"{cli.root}/d/e.plasmite")):
        name = path[-len("a.plasmite")]
        assert cli.bare("--dir", given, "pool", "create", name, "--json").ok().json["created"][0]["path"] == path
        assert (cli.root / "d" / f"{name}.plasmite").exists()

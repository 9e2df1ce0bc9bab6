"""What the benchmarks measure: the lanes of the table, in its order.

A lane is named op/size/writers+readers[/variant]. `ours`, `floor` and each of `peers` say which
program to run and which value of its result counts. A program that several lanes share runs once
a round. docs/benchmarks.md explains each lane.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Value:
    """One value of what `bench_PROGRAM OP ARG...` reports; column: whose folder and server."""

    column: str
    program: str
    op: str
    args: tuple
    field: str


@dataclass
class Lane:
    name: str
    unit: str  # with "/s": more is better; a time: less is better
    ours: Value
    at_least: float = None  # for times: at most
    of_floor: bool = False  # the target is a multiple of the floor of the same round
    upstream: str = "-"  # quoted figure of Plasmite 0.8.0 on such a machine, not measured here
    floor: Value = None
    floor_name: str = ""
    peers: dict = field(default_factory=dict)

    @property
    def more_is_better(self):
        return self.unit.endswith("/s")


# The columns of the peers: how each program is called, and what an installation needs.
PEERS = {
    "sqlite": ("sqlite", ("mode=NORMAL",), "SQLite, WAL, synchronous=NORMAL"),
    "sqlite-off": ("sqlite", ("mode=OFF",), "SQLite, WAL, synchronous=OFF"),
    "sqlite-full": ("sqlite", ("mode=FULL",), "SQLite, WAL, synchronous=FULL"),
    "lmdb": ("lmdb", ("mode=NOSYNC",), "LMDB, NOSYNC"),
    "lmdb-map": ("lmdb", ("mode=WRITEMAP",), "LMDB, WRITEMAP and NOSYNC"),
    "lmdb-sync": ("lmdb", ("mode=SYNC",), "LMDB, a sync for each commit"),
    "redis": ("redis", (), "Redis stream over a unix socket, in memory alone"),
    "nats": ("nats", (), "NATS JetStream over loopback, file storage"),
    "pipe": ("floor", (), "a pipe: not stored"),
}

# What is measured where it could be built, and left out elsewhere.
OPTIONAL = ("go", "node", "python")

FAST = ("sqlite", "sqlite-off", "lmdb", "lmdb-map", "redis", "nats")


def pool(op, *args, field="rate"):
    return Value("pool", "pool", op, args, field)


def cli(op, *args, field):
    return Value("cli", "cli", op, args, field)


def abi(op, *args):
    return Value("abi", "abi", op, args, "rate")


def node_lane(name, op, at_least, floor_name):
    ours = Value("node", "node", op, (), "ours")
    floor = Value("node", "node", op, (), "floor")
    return Lane(name, "msg/s", ours, at_least=at_least, floor=floor, floor_name=floor_name)


def python_lane(name, op, at_least, floor, floor_name):
    ours = Value("python", "python", op, (), "ours")
    return Lane(name, "msg/s", ours, at_least=at_least, floor=floor, floor_name=floor_name)


def floor(op, *args, field="rate"):
    return Value("floor", "floor", op, args, field)


def go(op, *args):
    return Value("go", "go", op, args, "rate")


def go_lane(name, at_least, ours, theirs, floor_name):
    return Lane(name, "msg/s", ours, at_least=at_least, floor=theirs, floor_name=floor_name)


def peers(op, *args, columns=FAST, field="rate"):
    return {c: Value(c, PEERS[c][0], op, PEERS[c][1] + args, field) for c in columns}


def append_lane(name, at_least, upstream, json, batch=1, writers=1):
    args = (f"batch={batch}", f"writers={writers}")
    lane = Lane(
        name,
        "msg/s",
        pool("append", f"json={json}", *args),
        at_least=at_least,
        upstream=upstream,
        floor=floor("ring_append", *args),
        floor_name="ring copy + CRC",
        peers=peers("append", *args),
    )
    if batch == 1 and writers == 1:
        lane.peers["pipe"] = Value("pipe", "floor", "pipe_append", (), "rate")
    return lane


def both_percentiles(name, make, at_least=(None, None), **kwargs):
    """Two lanes, of the median and of the 99th percentile."""
    return [
        make(f"{name}/{share}", share, at_least=target, **kwargs)
        for share, target in zip(("p50", "p99"), at_least)
    ]


def wake_lane(name, share, at_least, of_floor):
    measured = {"pipe": pool("wake", field=f"pipe_{share}")}
    measured |= peers("wake", columns=("redis", "nats"), field=f"peer_{share}")
    return Lane(
        name,
        "us",
        pool("wake", field=f"pool_{share}"),
        at_least=at_least,
        of_floor=of_floor,
        upstream="2637 (CLI)" if share == "p50" else "5187 (CLI)",
        floor=pool("wake", field=f"futex_{share}"),
        floor_name="futex wake",
        peers=measured,
    )


def spin_lane(name, share, at_least):
    return Lane(
        name,
        "us",
        pool("spin", field=f"pool_{share}"),
        at_least=at_least,
        floor=pool("spin", field=f"word_{share}"),
        floor_name="polled word",
    )


def feed_follow_lane(name, share, at_least):
    return Lane(
        name,
        "us",
        cli("feed_follow", field=f"cli_{share}"),
        at_least=at_least,
        upstream="2637" if share == "p50" else "5187",
        floor=cli("feed_follow", field=f"hops_{share}"),
        floor_name="3 pipe hops",
    )


def latency_lane(share, at_least):
    return Lane(
        f"append_latency/256B/1w/{share}",
        "us",
        pool("append_latency", field=f"pool_{share}"),
        at_least=at_least,
        floor=pool("append_latency", field=f"ring_{share}"),
        floor_name="ring copy + CRC",
    )


def flush_lane(threads, at_least, upstream):
    return Lane(
        f"flush/256B/{threads}w",
        "msg/s",
        pool("flush", f"threads={threads}", field="pool"),
        at_least=at_least,
        of_floor=True,
        upstream=upstream,
        floor=pool("flush", f"threads={threads}", field="group"),
        floor_name="grouped fdatasync",
        peers=peers("append", f"writers={threads}", columns=("sqlite-full", "lmdb-sync")),
    )


def compact_lane(name, *args, at_least=None):
    return Lane(
        name,
        "B/s",
        pool("compact", *args, field="compact"),
        at_least=at_least,
        floor=pool("compact", *args, field="memcpy"),
        floor_name="memcpy",
    )


def oneshot_lane(command, upstream):
    return Lane(
        f"oneshot_{command}/256B/1w" if command == "feed" else f"oneshot_{command}/256B/1r",
        "us",
        cli("oneshot", field=f"{command}_p50"),
        at_least=1.5,
        of_floor=True,
        upstream=upstream,
        floor=cli("oneshot", field="empty_p50"),
        floor_name="empty C program",
    )


def abi_lane(name, measured, at_least, floor_args, floor_name):
    """A call of the C library beside what the engine does for it."""
    return Lane(
        f"abi_{name}",
        "msg/s",
        measured,
        at_least=at_least,
        floor=pool(*floor_args),
        floor_name=floor_name,
    )


WHERE = 'where=.data.level == "error"'

LANES = [
    append_lane("append_json/256B/1w", 4e6, "43 k", json=1),
    append_lane("append_bytes/256B/1w", 10e6, "48 k", json=0),
    append_lane("append_batch64_json/256B/1w", 4e6, "-", json=1, batch=64),
    append_lane("append_batch64_bytes/256B/1w", 25e6, "-", json=0, batch=64),
    append_lane("append_json/256B/4w", 2.5e6, "10 k", json=1, writers=4),
    append_lane("append_bytes/256B/4w", 5e6, "10 k", json=0, writers=4),
    latency_lane("p50", None),
    latency_lane("p99", None),
    latency_lane("p999", 5.0),
    Lane(
        "cursor_copy/256B/1r",
        "msg/s",
        pool("cursor", "copy=1"),
        at_least=20e6,
        upstream="2.7 M",
        floor=floor("ring_scan", "copy=1"),
        floor_name="CRC + copy",
        peers=peers("scan"),
    ),
    Lane(
        "cursor_view/256B/1r",
        "msg/s",
        pool("cursor", "copy=0"),
        at_least=20e6,
        upstream="2.7 M",
        floor=floor("ring_scan", "copy=0"),
        floor_name="CRC",
        peers=peers("scan"),
    ),
    Lane(
        "fetch_random/256B/1r",
        "msg/s",
        pool("fetch"),
        at_least=5e6,
        upstream="0.8-1 M",
        floor=floor("ring_fetch"),
        floor_name="slot + CRC + copy",
        peers=peers("fetch"),
    ),
    *both_percentiles("follow_wake/16B/1w1r/block", wake_lane, (1.5, None), of_floor=True),
    *both_percentiles("follow_wake/16B/1w1r/spin", spin_lane, (1.0, None)),
    flush_lane(1, 0.8, "3.3 k"),
    flush_lane(16, 0.7, "0.7 k (4)"),
    compact_lane("json_compact/256B", at_least=2.5e9),
    compact_lane("json_compact/4KiB", "size=4096", at_least=2.5e9),
    compact_lane("json_compact/256B/spaced", "spaced=1"),
    Lane(
        "feed_jsonl/240B/pipe/receipts",
        "msg/s",
        cli("feed_jsonl", "receipts=1", field="feed"),
        at_least=1e6,
        upstream="44 k",
        floor=cli("feed_jsonl", "receipts=1", field="count"),
        floor_name="pipe, count lines",
    ),
    Lane(
        "feed_jsonl/240B/pipe/devnull",
        "msg/s",
        cli("feed_jsonl", "receipts=0", field="feed"),
        at_least=2e6,
        upstream="44 k",
        floor=cli("feed_jsonl", "receipts=0", field="count"),
        floor_name="pipe, count lines",
    ),
    Lane(
        "follow_jsonl/240B/1r/tail",
        "msg/s",
        cli("follow_jsonl", field="follow"),
        at_least=3e6,
        upstream="107-161 k",
        floor=cli("follow_jsonl", field="cat"),
        floor_name="cat",
    ),
    Lane(
        "follow_where/240B/1r/simple",
        "msg/s",
        cli("follow_jsonl", WHERE, field="follow"),
        at_least=3e6,
        upstream="90 k",
        floor=cli("follow_jsonl", WHERE, field="cat"),
        floor_name="grep -F",
    ),
    Lane(
        "tap_lines/80B/1w",
        "msg/s",
        cli("tap_lines", field="tap"),
        floor=cli("tap_lines", field="cat"),
        floor_name="cat | cat",
    ),
    *both_percentiles("feed_follow/16B/1w1r/cli", feed_follow_lane, (80.0, None)),
    go_lane("go_append/256B/1w", None, go("one"), pool("append", "json=1"), "engine"),
    go_lane(
        "go_append_batch256/256B/1w",
        3e6,
        go("append", "batch=256"),
        pool("append", "json=1", "batch=64"),
        "engine, batch64",
    ),
    go_lane("go_lines/256B/1r", 2e6, go("lines"), pool("cursor", "copy=1"), "engine"),
    go_lane("go_all/256B/1r", None, go("all"), pool("cursor", "copy=1"), "engine"),
    oneshot_lane("feed", "2100"),
    oneshot_lane("fetch", "1800"),
    abi_lane("append_json/256B/1w", abi("append", "message=1"), 3e6, ("append", "json=1"), "engine"),
    abi_lane("append_seq/256B/1w", abi("append", "message=0"), 4e6, ("append", "json=1"), "engine"),
    abi_lane("next/256B/1r", abi("read", "way=single"), None, ("cursor", "copy=1"), "cursor"),
    abi_lane("next_batch/256B/1r", abi("read", "way=batch"), None, ("cursor", "copy=1"), "cursor"),
    abi_lane("next_view/256B/1r", abi("read", "way=view"), None, ("cursor", "copy=0"), "cursor"),
    node_lane("node_append/256B/1w", "append", 500e3, "stringify, copy"),
    node_lane("node_append/256B/1w/bytes", "append_bytes", 500e3, "new Buffer"),
    node_lane("node_follow/256B/1r", "follow", None, "parse lines"),
    python_lane(
        "python_append/256B/1w/bytes",
        "append_bytes",
        1e6,
        abi("append", "message=1"),
        "the call in C",
    ),
    python_lane(
        "python_append/40B/1w/dict",
        "append_dict",
        400e3,
        Value("python", "python", "append_dict", (), "floor"),
        "json.dumps",
    ),
    python_lane(
        "python_follow/256B/1r/raw", "follow", 1e6, abi("read", "way=single"), "the call in C"
    ),
]

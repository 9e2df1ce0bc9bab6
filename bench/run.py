#!/usr/bin/env python3
"""Measures all lanes round by round, ours interleaved with peers and floors, prints the table and
writes it to a JSON file.

    bench/run.py [--build build] [--lanes REGEX] [--rounds N] [--quick | --markdown] [--json FILE]
    bench/run.py --show FILE [--lanes REGEX] [--markdown]

Every figure is the median over the rounds; a ratio is the median of the rounds' own ratios,
because what runs a moment later on the same machine suffers the same noise. The exit code is 1 if
one of our lanes moved wrong data or could not run; a missed target is only marked.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lanes import LANES, OPTIONAL, PEERS  # noqa: E402

MEASURE_TIMEOUT_S = 60


class Failed(Exception):
    pass


# ---- servers ------------------------------------------------------------------------------------


class Server:
    """A peer's server: private, on a unix socket or on 127.0.0.1, its files in our own folder."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.arg = None

    def start(self):
        program = shutil.which(self.binary) or shutil.which(self.binary, path="/usr/sbin:/sbin")
        if not program:
            raise Failed(f"{self.binary} is not installed")
        with open(os.path.join(self.folder, "server.log"), "wb") as log:
            self.process = subprocess.Popen(
                [program, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 10
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failed(f"{self.binary} did not start: see its log")
            time.sleep(0.01)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Redis(Server):
    binary = "redis-server"

    def arguments(self):
        self.path = os.path.join(self.folder, "redis.sock")
        self.arg = f"socket={self.path}"
        return [
            *("--port", "0", "--unixsocket", self.path, "--dir", self.folder),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
        ]

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path) == 0


class Nats(Server):
    binary = "nats-server"

    def arguments(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.arg = f"url=nats://127.0.0.1:{self.port}"
        return ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.folder]

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0


SERVERS = {"redis": Redis, "nats": Nats}


# ---- measuring ----------------------------------------------------------------------------------


class Bench:
    def __init__(self, options):
        self.options = options
        self.programs = os.path.join(options.build, "bench")
        self.folder = tempfile.mkdtemp(prefix="bench-", dir=options.dir or options.build)
        self.servers = {}
        self.missing = {}  # column: reason
        self.failures = {}  # what was run: message

    def prepare(self, lanes):
        """Finds out who can run, and starts the servers that are needed."""
        columns = {v.column: v.program for lane in lanes for v in lane_values(lane)}
        for column, program in sorted(columns.items()):
            folder = os.path.join(self.folder, column)
            os.mkdir(folder)
            path = os.path.join(self.programs, f"bench_{program}")
            if not os.access(path, os.X_OK):
                self.missing[column] = f"bench_{program} was not built: {self.reason(program)}"
            elif column == "cli" and not os.access(os.path.join(self.options.build, "plasmite"), os.X_OK):
                self.missing[column] = "the program plasmite was not built"
            elif column in SERVERS:
                try:
                    self.servers[column] = SERVERS[column](folder)
                    self.servers[column].start()
                except Failed as failed:
                    self.missing[column] = str(failed)

    def lacks_optional(self, lane):
        return lane.ours.column in OPTIONAL and lane.ours.column in self.missing

    def reason(self, program):
        try:
            with open(os.path.join(self.programs, "peers.json"), encoding="utf-8") as f:
                return f"{json.load(f)[program]['package']} was not there when meson looked"
        except (OSError, KeyError, ValueError):
            return "see bench/meson.build"

    def finish(self):
        for server in self.servers.values():
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, value):
        options = self.options
        plasmite = os.path.join(options.build, "plasmite")
        args = [
            os.path.join(self.programs, f"bench_{value.program}"),
            value.op,
            *value.args,
            f"dir={os.path.join(self.folder, value.column)}",
            f"ms={10 if options.quick else 200}",
            f"n={25 if options.quick else 200}",
            f"interval_us={200 if options.quick else 1000}",
            f"messages={6400 if options.quick else 200000}",
            f"pool_mib={4 if options.quick else 64}",
        ]
        if value.program == "cli":
            args += [f"program={plasmite}", f"empty={os.path.join(self.programs, 'bench_empty')}"]
        if value.column in self.servers:
            args.append(self.servers[value.column].arg)
        return args

    def measure(self, value):
        """Runs one program once; returns all the values it reports."""
        process = subprocess.Popen(
            self.command(value),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=MEASURE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"took longer than {MEASURE_TIMEOUT_S} s") from None
        finally:
            end_group(process)
        if process.returncode != 0:
            raise Failed((err.strip() or f"ended with {process.returncode}").splitlines()[-1])
        return json.loads(out)

    def value(self, value, cache):
        """The value of this round, or None where it cannot be had."""
        if value.column in self.missing:
            return None
        key = (value.column, value.program, value.op, value.args)
        if key not in cache:
            try:
                cache[key] = self.measure(value)
            except Failed as failed:
                cache[key] = {}
                what = " ".join((f"bench_{value.program}", value.op, *value.args))
                self.failures.setdefault((value.column, what), str(failed))
        return cache[key].get(value.field)

    def round(self, number, lanes, table):
        cache = {}
        for i, lane in enumerate(lanes):
            progress(f"round {number + 1}/{self.options.rounds}  {i + 1}/{len(lanes)}  {lane.name}")
            values = list(named_values(lane))
            first = number % len(values)  # so that nobody always runs first
            for name, value in values[first:] + values[:first]:
                table[lane.name][name].append(self.value(value, cache))


def end_group(process):
    """Ends a measuring program that is still there, and whatever it started and left behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def named_values(lane):
    yield "ours", lane.ours
    if lane.floor:
        yield "floor", lane.floor
    yield from lane.peers.items()


def lane_values(lane):
    return [value for _, value in named_values(lane)]


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# ---- results ------------------------------------------------------------------------------------


def median(values):
    present = [v for v in values if v is not None]
    return statistics.median(present) if present else None


def ratio(ours, others):
    """The median of the rounds' ratios."""
    return median([a / b for a, b in zip(ours, others) if a is not None and b])


def spread(values):
    """From the least to the greatest, as a share of the median."""
    present = [v for v in values if v is not None]
    return (max(present) - min(present)) / statistics.median(present) if present else None


def best(lane, values):
    """The round that was disturbed least."""
    present = [v for v in values if v is not None]
    return (max if lane.more_is_better else min)(present) if present else None


def summarise(lane, rounds):
    """One line of the table, as numbers."""
    ours = median(rounds["ours"])
    floor_ratio = ratio(rounds["ours"], rounds.get("floor", []))
    reached = floor_ratio if lane.of_floor else ours
    met = None
    if lane.at_least is not None and reached is not None:
        met = reached >= lane.at_least if lane.more_is_better else reached <= lane.at_least
    return {
        "lane": lane.name,
        "unit": lane.unit,
        "ours": ours,
        "best": best(lane, rounds["ours"]),
        "target": lane.at_least,
        "target_is_of_floor": lane.of_floor,
        "met": met,
        "spread": spread(rounds["ours"]),
        "upstream_0_8_quoted": lane.upstream,
        "floor_name": lane.floor_name,
        "floor": median(rounds.get("floor", [])),
        "ratio_to_floor": floor_ratio,
        "peers": {name: median(rounds[name]) for name in lane.peers},
        "ratio_to_peers": {name: ratio(rounds["ours"], rounds[name]) for name in lane.peers},
        "rounds": rounds,
    }


def human(value, unit=""):
    """5.32 M, 43.1 k, 0.128: three digits."""
    if value is None:
        return "-"
    if unit.endswith("/s"):
        for factor, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
            if value >= factor:
                return f"{digits(value / factor)}{letter}"
    return digits(value)


def digits(value):
    if value >= 99.95:
        return f"{value:.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.0995 else f"{value:.3f}"


def target_text(row):
    if row["target"] is None:
        return "-"
    sign = ">=" if row["unit"].endswith("/s") else "<="
    if row["target_is_of_floor"]:
        return f"{sign} {row['target']:g}x floor"
    return f"{sign} {target_number(row)}"


def target_number(row):
    return re.sub(r"\.0+(?=$| )", "", human(row["target"], row["unit"]))


def table_rows(rows, columns):
    yield ["lane", "unit", "ours", "best", "target", "", "spread", "0.8*", "floor", "", "/floor"] + [
        f"/{c}" for c in columns
    ]
    for row in rows:
        yield [
            row["lane"],
            row["unit"],
            human(row["ours"], row["unit"]),
            human(row["best"], row["unit"]),
            target_text(row),
            {None: "", True: "ok", False: "MISS"}[row["met"]],
            "-" if row["spread"] is None else f"{100 * row['spread']:.0f}%",
            row["upstream_0_8_quoted"],
            human(row["floor"], row["unit"]),
            row["floor_name"],
            human(row["ratio_to_floor"]),
            *[human(row["ratio_to_peers"].get(c)) if c in row["peers"] else "" for c in columns],
        ]


def print_table(rows, columns):
    lines = list(table_rows(rows, columns))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = {0, 1, 5, 9}
    for line in lines:
        cells = [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def strongest_peer(row):
    """The peer that comes nearest to ours, or passes it; a pipe stores nothing and is none."""
    ratios = {n: r for n, r in row["ratio_to_peers"].items() if r is not None and n != "pipe"}
    if not ratios:
        return None
    return (min if row["unit"].endswith("/s") else max)(ratios, key=ratios.get)


def markdown_rows(rows):
    yield ["lane", "ours", "target", "/best peer", "/floor", "spread"]
    yield ["---", "--:", "--:", "--:", "--:", "--:"]
    for row in rows:
        peer = strongest_peer(row)
        yield [
            f"`{row['lane']}`",
            "-" if row["ours"] is None else f"{human(row['ours'], row['unit'])} {row['unit']}",
            target_text(row) + (" (missed)" if row["met"] is False else ""),
            f"{human(row['ratio_to_peers'][peer])} ({peer})" if peer else "",
            f"{human(row['ratio_to_floor'])} ({row['floor_name']})" if row["ratio_to_floor"] else "",
            "-" if row["spread"] is None else f"{100 * row['spread']:.0f}%",
        ]


def print_markdown(document):
    """What README and notes quote."""
    print(f"{machine_line(document)}.")
    print("Ours is the median; ratios are ours divided by theirs: in lanes per second more than 1 is")
    print("faster, in lanes of time less than 1. The best peer is the strongest one that stores.")
    print()
    for line in markdown_rows(document["lanes"]):
        print(f"| {' | '.join(line)} |")
    print()


def explain(rows, columns):
    print()
    print("/floor, /peer: ours divided by theirs in the same round, median over the rounds;")
    print("  in lanes per second more than 1 is faster, in lanes of time less than 1 is faster.")
    print("spread: least to greatest of our rounds, as a share of the median.")
    print("0.8*: figures quoted from Plasmite 0.8.0 on such a machine, not measured in this run.")
    for column in columns:
        print(f"  {column}: {PEERS[column][2]}")
    missed = [row["lane"] for row in rows if row["met"] is False]
    if missed:
        print(f"targets missed: {', '.join(missed)}")


# ---- the machine --------------------------------------------------------------------------------


def read_text(path, default=""):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return default


def file_system(folder):
    """Type of the file system that holds this folder."""
    best = ("", "unknown")
    for line in read_text("/proc/self/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        mount = fields.split()[4]
        if os.path.commonpath([mount, folder]) == mount and len(mount) >= len(best[0]):
            best = (mount, rest.split()[0])
    return best[1]


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def build_options(build):
    try:
        with open(os.path.join(build, "meson-info/intro-buildoptions.json"), encoding="utf-8") as f:
            found = {o["name"]: o["value"] for o in json.load(f)}
        return {n: found.get(n) for n in ("buildtype", "optimization", "b_lto", "b_sanitize")}
    except (OSError, ValueError):
        return {}


def machine(bench):
    cpu = re.search(r"model name\s*: (.*)", read_text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", read_text("/proc/meminfo"))
    source = os.path.dirname(os.path.abspath(__file__))
    try:
        peers = json.loads(read_text(os.path.join(bench.programs, "peers.json"), "{}"))
    except ValueError:
        peers = {}
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": int(memory.group(1)) // 1024 if memory else None,
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": file_system(os.path.realpath(bench.folder)),
        "load_at_start": os.getloadavg()[0],
        "build": build_options(bench.options.build),
        "commit": output_of("git", "-C", source, "describe", "--always", "--dirty"),
        "peers": peers,
        "redis-server": output_of("redis-server", "--version"),
        "nats-server": output_of("nats-server", "--version"),
    }


# ---- main ---------------------------------------------------------------------------------------


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures plasmite beside its peers.")
    parser.add_argument("--build", default="build", help="build folder (default: build)")
    parser.add_argument("--lanes", default="", metavar="REGEX", help="only lanes that match")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 1")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--quick", action="store_true", help="check in seconds that all lanes work")
    style.add_argument("--markdown", action="store_true", help="print a smaller table, in Markdown")
    parser.add_argument("--show", metavar="FILE", help="measure nothing: print this result file")
    parser.add_argument("--json", metavar="FILE", help="default: BUILD/bench.json; not with --quick")
    parser.add_argument("--dir", help="folder for pools and stores (default: the build folder)")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.rounds = options.rounds or (1 if options.quick else 5)
    if not options.json and not options.quick:
        options.json = os.path.join(options.build, "bench.json")
    try:
        options.lanes = re.compile(options.lanes)
    except re.error as error:
        parser.error(f"--lanes: {error}")
    return options


def write_json(path, document):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document, f, indent=1)
        f.write("\n")


def read_json(options):
    """What an earlier run wrote, of the lanes that match."""
    try:
        with open(options.show, encoding="utf-8") as f:
            document = json.load(f)
        document["lanes"] = [row for row in document["lanes"] if options.lanes.search(row["lane"])]
        return document
    except OSError as error:
        sys.exit(f"{options.show}: {error.strerror}")
    except (ValueError, KeyError, TypeError):
        sys.exit(f"{options.show}: not written by --json")


def run(bench, lanes):
    bench.prepare(lanes)
    lanes = [lane for lane in lanes if not bench.lacks_optional(lane)]
    about = machine(bench)
    table = {lane.name: {name: [] for name, _ in named_values(lane)} for lane in lanes}
    started = time.monotonic()
    for number in range(bench.options.rounds):
        bench.round(number, lanes, table)
    progress("")
    rows = [summarise(lane, table[lane.name]) for lane in lanes]
    about["load_at_end"] = os.getloadavg()[0]
    about["seconds"] = round(time.monotonic() - started, 1)
    document = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": about,
        "rounds": bench.options.rounds,
        "lanes": rows,
        "left_out": bench.missing,
        "failures": [f"{what} ({c}): {m}" for (c, what), m in bench.failures.items()],
    }
    print_document(document, bench.options)
    if bench.options.json:
        write_json(bench.options.json, document)
    return 1 if any(row["ours"] is None for row in rows) else 0


def print_document(document, options):
    mark = ""
    if options.quick:
        print_checked(document["lanes"])
        mark = "# "
    elif options.markdown:
        print_markdown(document)
    else:
        print_results(document)
    for column, reason in sorted(document["left_out"].items()):
        print(f"{mark}left out: {column}: {reason}")
    for failure in document["failures"]:
        print(f"{mark}FAILED: {failure}")


def print_checked(rows):
    """What --quick is for: who moved the right data, as TAP. Its figures mean nothing."""
    print(f"1..{len(rows)}")
    for number, row in enumerate(rows, 1):
        print(f"{'ok' if row['ours'] is not None else 'not ok'} {number} - {row['lane']}")


def machine_line(document):
    about = document["machine"]
    where = f"{about['cpu']}, {about['cores']} cores, {about['kernel']}, {about['file_system']}"
    load = f"load {about['load_at_start']:.1f} to {about['load_at_end']:.1f}"
    return f"{where}; {document['rounds']} rounds in {about['seconds']} s, {load}"


def print_results(document):
    rows = document["lanes"]
    columns = [c for c in PEERS if any(row["peers"].get(c) is not None for row in rows)]
    print(machine_line(document))
    print()
    print_table(rows, columns)
    explain(rows, columns)


def main():
    options = parse_arguments()
    lanes = [lane for lane in LANES if options.lanes.search(lane.name)]
    if not lanes:
        sys.exit("no lane matches")
    if options.show:
        print_document(read_json(options), options)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options)
    try:
        return run(bench, lanes)
    except KeyboardInterrupt:
        return 130
    finally:
        bench.finish()


if __name__ == "__main__":
    sys.exit(main())

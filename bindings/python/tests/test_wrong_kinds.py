"""Whatever a method is given, it answers with a result or an error of those that are documented."""

import threading

import pytest

import plasmite
from conftest import needs_lite3
from plasmite import Client, PlasmiteError

# One script, in a process of its own: what is looked for are crashes and hangs.
CALLS = """
import inspect, itertools, json, math, sys
import plasmite
from plasmite import Client, PlasmiteError, _core

class Odd:
    '''Neither number nor text nor anything, and says so.'''
    def __index__(self): raise ZeroDivisionError
    def __iter__(self): raise ZeroDivisionError
    def __str__(self): raise ZeroDivisionError
    def __fspath__(self): raise ZeroDivisionError
    def __bool__(self): raise ZeroDivisionError
    def __hash__(self): raise ZeroDivisionError

class Text(str): pass
class Number(int): pass
class Tags(list):
    def __iter__(self):
        self.clear()
        return iter(["a", None])

VALUES = [None, True, 0, 1, -1, 2**63, 2**64, -2**70, 1.5, math.nan, "", "a", "\\x00", "\\ud800",
          b"", b"\\x00", b"{}", bytearray(b"{}"), memoryview(b"{}{}")[::2], memoryview(b""), (), [], {},
          [None], ["\\x00"], ["\\ud800"], {"a": math.nan}, {1: {2: {}}}, object(), Odd(), Text("{}"),
          Number(7), Tags(), type, len, Ellipsis]
ALLOWED = (TypeError, ValueError, PlasmiteError, ZeroDivisionError, OverflowError, UnicodeError)

folder, kind = sys.argv[1:]
client = Client(folder)

def fresh():
    '''The object whose methods are called; nothing in it waits.'''
    pool = client.pool("a", 65536)
    pool.append({"n": 1})
    if kind == "client":
        return Client(folder)
    if kind == "pool":
        return pool
    if kind == "closed":
        pool.close()
        return pool
    if kind == "stream":
        return pool.open_stream(timeout_ms=0)
    if kind == "lite3 stream":
        return pool.open_lite3_stream(timeout_ms=0)
    if kind == "follow":
        return pool.follow(timeout_ms=0)
    if kind == "view":
        return pool.open_stream(timeout_ms=0).next_view() or pool.open_stream().next_view()
    if kind == "remote":
        return plasmite.RemoteClient("http://127.0.0.1:9")
    return plasmite.RemotePool(plasmite.RemoteClient("http://127.0.0.1:9"), "a")

def methods(one):
    own = ("_open", "_next", "_try_next", "_append", "_append_list", "_get_lite3", "_info", "_verify",
           "_seek_last", "_seek_time", "_idle_timeout", "_require_tags", "_filter", "_open_pool")
    for name in dir(type(one)):
        if (not name.startswith("_") or name in own) and callable(getattr(type(one), name)):
            yield name

def call(one, name, arguments):
    result = getattr(one, name)(*arguments)
    if inspect.isgenerator(result):
        next(result, None)
    elif isinstance(result, plasmite.Follow):
        result.close()
    elif isinstance(result, plasmite.Pool):
        result.close()

count = 0
for name in methods(fresh()):
    waits = name in ("tail", "replay") or "next" in name
    rounds = [(), *((value,) for value in VALUES)]
    if kind in ("client", "pool"):
        rounds += [(value, value) for value in VALUES] + [(value,) * 5 for value in VALUES]
        rounds += [(b"{}", value, value) for value in VALUES] + [(value,) * 7 for value in VALUES]
        rounds += [({}, value) for value in VALUES] + [([{}], value, value) for value in VALUES]
    if waits and kind == "pool":
        rounds = [(value, value, 0, *rest) for value in VALUES for rest in ((), (value,), (None, value))]
    one = fresh()
    for arguments in rounds:
        try:
            call(one, name, arguments)
        except ALLOWED:
            pass
        count += 1
        if name in ("close", "_open", "skip_damage"):
            one = fresh()
assert count > 30, count
"""

KINDS = ["client", "pool", "closed", "stream", "follow", "view", "remote", "remote pool"]


@pytest.mark.parametrize("kind", [*KINDS, pytest.param("lite3 stream", marks=needs_lite3)])
def test_whatever_is_given(tmp_path, run_python, kind):
    done = run_python(CALLS, tmp_path / "pools", kind, timeout=120)
    assert (done.stdout, done.stderr) == ("", "")


def test_constructors(tmp_path):
    for wrong in (0, b"", 1.5, [], object(), "\0", "\ud800"):
        with pytest.raises((TypeError, ValueError)):
            Client(wrong)
    for kind in (plasmite.Pool, plasmite.Stream, plasmite.Lite3Stream):
        with pytest.raises(TypeError):
            kind(1).close()
    for wrong in (None, "", 5, "ftp://a", "http://"):
        with pytest.raises((TypeError, ValueError)):
            plasmite.RemoteClient(wrong)


def test_closing_twice_and_more(client):
    pool = client.pool("a")
    pool.append({"n": 1})
    things = [
        pool.open_stream(),
        pool.follow(),
        plasmite.AsyncPool(client.pool("a"), 0),
        plasmite.AsyncClient(client.pool_dir),
        pool,
        client,
    ]
    if pool.open_stream().next_json():
        things.insert(0, pool.open_lite3_stream())
    for thing in things:
        threads = [threading.Thread(target=thing.close) for _ in range(4)]
        for thread in threads:
            thread.start()
        thing.close()
        for thread in threads:
            thread.join()
        assert thing.closed
        thing.close()


def test_using_a_closed_one_again(client):
    with client.pool("a") as pool:
        pass
    with pool:  # as files do it, it is closed from the beginning
        with pytest.raises(PlasmiteError):
            pool.append({})
    with pytest.raises(PlasmiteError, match="^plasmite: pool is closed$"):
        pool.follow_lite3()

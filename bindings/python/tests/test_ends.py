"""The end of the interpreter, with all that is open by then; what is left of what was closed."""

import asyncio
import gc
import os
import sys

import pytest

from conftest import needs_lite3
from plasmite import AsyncClient, Durability, PlasmiteError

# The end of the interpreter ---------------------------------------------------------------------

ENDS = {
    "open": "keep = (client, pool, pool.open_stream(), pool.follow(), pool.open_stream().next_view)",
    "view": "keep = pool.open_stream().next_view(); memory = keep.data",
    "generator": "keep = pool.tail(); next(keep)",
    "waiting": """
import pathlib, threading, time
thread = threading.Thread(target=lambda: list(pool.follow()), daemon=True)
thread.start()
state = pathlib.Path(f"/proc/self/task/{thread.native_id}/stat")
while state.read_text().rpartition(")")[2].split()[0] != "S":
    time.sleep(0.001)
""",
    "waiting for lite3": """
import threading
threading.Thread(target=lambda: list(pool.open_lite3_stream()), daemon=True).start()
""",
    "at exit": "import atexit; atexit.register(lambda: pool.append({}))",
    "in a finalizer": """
class Late:
    def __del__(self, pool=pool):
        pool.append({})
keep = Late()
keep.cycle = keep
""",
    "in an event loop of a daemon": """
import asyncio, threading
waiting = threading.Event()
async def main():
    task = asyncio.create_task(pool.follow().__anext__())
    await asyncio.sleep(0)
    waiting.set()
    await task
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
waiting.wait()
""",
    "asyncio with lite3": """
import asyncio
async def main():
    keep = [asyncio.create_task(pool.follow_lite3().__anext__()), pool.tail()]
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "asyncio with an open pool": """
import asyncio
from plasmite import AsyncClient, Durability
async def main():
    global keep
    other = await AsyncClient(sys.argv[1]).pool("a")
    keep = [other, other.tail(), other.replay()]
    async for message in keep[2]:
        keep.append(asyncio.create_task(other.append({}, None, Durability.FLUSH)))
        await asyncio.sleep(0)
        break
asyncio.run(main())
""",
    "async": """
import asyncio
async def main():
    follow = pool.follow()
    task = asyncio.create_task(follow.__anext__())
    await asyncio.sleep(0.01)
asyncio.run(main())
""",
}


@pytest.mark.parametrize(
    "end", [pytest.param(e, marks=needs_lite3 if "lite3" in e else ()) for e in ENDS]
)
def test_the_interpreter_ends_quietly(tmp_path, run_python, end):
    begin = """
import sys
from plasmite import Client
client = Client(sys.argv[1])
pool = client.pool("a")
pool.append({"n": 1})
"""
    done = run_python(begin + ENDS[end], tmp_path / "pools")
    assert (done.stdout, done.stderr) == ("", "")


# Leaks ------------------------------------------------------------------------------------------


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def use_everything(client):
    with client.pool("leaks", 65536) as pool:
        message = pool.append({"text": "x" * 200, "n": [1, 2.5, None]}, ["a", "b"])
        pool.append_bytes(b'{"n":1}', ["t"])
        pool.append_many([{"n": 1}, b"{}"], ["t"])
        assert message.seq and pool.get(message.seq).data and pool.info() and pool.path
        for bad in (
            lambda: pool.append_json(b"[", [], 0),
            lambda: pool.append({"a": object()}),
            lambda: pool.get(0),
            lambda: client.open_pool("none"),
            lambda: pool.append_many([{}, b"["]),
            lambda: pool.append({}, [1]),
            lambda: pool.open_stream(-1),
            lambda: pool.follow(where=".("),
        ):
            try:
                bad()
            except (PlasmiteError, TypeError, ValueError):
                continue
            raise AssertionError("nothing was refused")
        with pool.open_stream(message.seq, 2) as stream:
            assert stream.next_json() and bytes(stream.next_view().data)
        for _ in pool.follow(last=2, tags=["t"], where=".data.n == 1", max_messages=1):
            pass
        for one in pool.tail(message.seq, tags=["a"]):
            assert one.data
            break
    assert client.list_pools() == ["leaks"]


async def use_everything_async(folder):
    async with AsyncClient(folder) as client, client.pool("async", 65536) as pool:
        message = await pool.append({"text": "x" * 200}, ["a"], Durability.FLUSH)
        await pool.append_many([{"n": 1}, b"{}"])
        frames = [frame async for frame in pool.follow_lite3(since_seq=message.seq, max_messages=2)]
        async with pool.tail(message.seq) as tail:
            async for one in tail:
                assert one.data and len(frames[0].payload) > 200
                break
        waiting = asyncio.create_task(pool.follow().__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])


def leaks(use, rounds):
    """Blocks and bytes that a stretch of rounds leaves. Caches of the interpreter fill up at first;
    a leak grows by the same in each stretch."""
    blocks, memory = [], []
    for _ in range(10):
        for _ in range(rounds):
            use()
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        memory.append(resident())
    return [min(b - a for a, b in zip(sizes, sizes[1:])) for sizes in (blocks, memory)]


def test_nothing_leaks(client):
    blocks, memory = leaks(lambda: use_everything(client), 100)
    assert blocks < 90  # less than one a round
    assert memory < 100 * 16


@needs_lite3
def test_nothing_leaks_in_event_loops(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    blocks, memory = leaks(lambda: asyncio.run(use_everything_async(tmp_path)), 20)
    assert blocks < 18  # asyncio's own thread pools leave some for a while
    assert memory < 20 * 1024
    assert len(os.listdir("/proc/self/fd")) <= before

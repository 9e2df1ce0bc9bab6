"""Never run: what type checkers have to make of the package (test_package.py)."""

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Literal

from plasmite import (
    AsyncClient,
    AsyncPool,
    Client,
    Durability,
    Follow,
    FollowOptions,
    Lite3Frame,
    Message,
    Pool,
    RemoteClient,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type


def use(client: Client, options: FollowOptions) -> None:
    with client, client.pool("a", busy_timeout_ms=10) as pool, pool.follow(last=1) as follow:
        assert_type(pool, Pool)
        assert_type(pool.append({"n": 1}, ["a"], Durability.FLUSH), Message)
        assert_type(pool.append_many([b"{}"]), list[int])
        assert_type(follow, Follow[Message])
        assert_type(next(follow), Message)
        assert_type(pool.follow(raw=True, tags=["a"]), Follow[bytes])
        assert_type(pool.follow(**options), Follow[Message])
        assert_type(pool.follow_lite3(**options), Follow[Lite3Frame])
        assert_type(pool.tail(), Generator[Message, None, None])
    with pool.open_lite3_stream() as stream:
        assert_type(stream.next(), Lite3Frame | None)
        assert_type(stream.try_next(), Lite3Frame | None | Literal[False])
    remote = RemoteClient("http://127.0.0.1:9").open_pool("a")
    assert_type(remote.replay(2.0), Generator[Message, None, None])


async def use_async(options: FollowOptions) -> None:
    async with AsyncClient() as client, client.pool("a") as pool:
        assert_type(client, AsyncClient)
        assert_type(pool, AsyncPool)
        assert_type(await client.open_pool("a"), AsyncPool)
        assert_type(await pool.append({"n": 1}), Message)
        assert_type(pool.follow(raw=True), Follow[bytes])
        assert_type(pool.replay(), AsyncGenerator[Message, None])
        async for message in pool.follow(**options):
            assert_type(message, Message)
        async for frame in pool.follow_lite3():
            assert_type(frame, Lite3Frame)

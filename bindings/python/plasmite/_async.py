"""AsyncClient and AsyncPool: for event loops that must not wait for a disk or for other writers.

What cannot wait is done where it is called; what reads or writes the disk is done in a thread of
the loop's default executor; who finds a pool busy asks again, and the loop runs meanwhile
(docs/design/0010-asyncio.md).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from ._arguments import FollowOptions, check_count, check_tags
from ._client import DEFAULT_POOL_SIZE_BYTES, Client, PathLike
from ._closing import AsyncClosing
from ._errors import BusyError, PlasmiteError
from ._follow import Follow, follow
from ._message import BytesLike, Lite3Frame, Message, message_from_pool
from ._pool import BATCH_MAX, Durability, Pool, PoolInfo, VerifyReport
from ._replay import replay_async
from ._stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack
elif sys.version_info >= (3, 11):
    from typing import Unpack

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
_PAUSE_MIN = 0.001  # seconds between two attempts; doubled each time
_PAUSE_MAX = 0.05


class AsyncClient(AsyncClosing):
    """A Client whose pools are AsyncPools."""

    def __init__(self, pool_dir: PathLike | None = None) -> None:
        self._client = Client(pool_dir)

    @property
    def pool_dir(self) -> str:
        return self._client.pool_dir

    @property
    def closed(self) -> bool:
        return self._client.closed

    def close(self) -> None:
        """Closes it; pools stay open."""
        self._client.close()

    def create_pool(
        self,
        pool_ref: PathLike,
        size_bytes: int = DEFAULT_POOL_SIZE_BYTES,
        *,
        index_capacity: int | None = None,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> AsyncOpening:
        """As Client.create_pool(); to be awaited, or for `async with`."""
        create = partial(self._client.create_pool, pool_ref, size_bytes)
        return AsyncOpening(partial(create, index_capacity=index_capacity), busy_timeout_ms)

    def open_pool(
        self,
        pool_ref: PathLike,
        *,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        read_only: bool = False,
    ) -> AsyncOpening:
        """As Client.open_pool(); to be awaited, or for `async with`."""
        open_pool = partial(self._client.open_pool, pool_ref, read_only=read_only)
        return AsyncOpening(open_pool, busy_timeout_ms)

    def pool(
        self,
        pool_ref: PathLike,
        size_bytes: int = DEFAULT_POOL_SIZE_BYTES,
        *,
        index_capacity: int | None = None,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> AsyncOpening:
        """As Client.pool(); to be awaited, or for `async with`."""
        pool = partial(self._client.pool, pool_ref, size_bytes)
        return AsyncOpening(partial(pool, index_capacity=index_capacity), busy_timeout_ms)

    async def list_pools(self) -> list[str]:
        """The names of the pools in the client's directory, sorted."""
        return await asyncio.to_thread(self._client.list_pools)

    async def delete_pool(self, pool_ref: PathLike) -> None:
        """Deletes a pool's file; who has it open keeps it."""
        await asyncio.to_thread(self._client.delete_pool, pool_ref)


class AsyncOpening:
    """A pool that is going to be opened, by `await` or by `async with`, which closes it."""

    def __init__(self, open_pool: Callable[..., Pool], busy_timeout_ms: int) -> None:
        self._open_pool = open_pool
        self._busy_timeout_ms = check_count("busy_timeout_ms", busy_timeout_ms)
        self._pool: AsyncPool | None = None

    def __await__(self) -> Generator[Any, None, AsyncPool]:
        return self._open().__await__()

    async def _open(self) -> AsyncPool:
        # the pool itself does not wait for others, neither now nor later: _Patience does
        call = partial(asyncio.to_thread, self._open_pool, busy_timeout_ms=0)
        pool = await _Patience(self._busy_timeout_ms).call(call)
        return AsyncPool(pool, self._busy_timeout_ms)

    async def __aenter__(self) -> AsyncPool:
        self._pool = await self
        return self._pool

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.close()


class _Patience:
    """Waiting for a pool that is busy, for so long in all."""

    def __init__(self, timeout_ms: int) -> None:
        self._end = time.monotonic() + timeout_ms / 1000
        self._pause = 0.0

    async def wait(self, busy: BusyError) -> None:
        """Until the next attempt; raises the error when there is to be none."""
        if time.monotonic() >= self._end:
            raise busy
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, _PAUSE_MAX) or _PAUSE_MIN

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What it returns as soon as nobody else is in its way."""
        while True:
            try:
                return await attempt()
            except BusyError as busy:
                await self.wait(busy)


class AsyncPool(AsyncClosing):
    """A pool that is open, for the tasks of an event loop.

    Its methods are those of Pool. Cancelling one gives up waiting: what is in a thread by then
    is done nevertheless.
    """

    def __init__(self, pool: Pool, busy_timeout_ms: int) -> None:
        self._pool = pool
        self._busy_timeout_ms = busy_timeout_ms
        self._flushing: asyncio.Task[None] | None = None  # a flush under way
        self._next_flush: asyncio.Task[None] | None = None  # the one that begins behind it

    @property
    def closed(self) -> bool:
        return self._pool.closed

    @property
    def path(self) -> str:
        """The pool's file."""
        return self._pool.path

    def close(self) -> None:
        """Closes it; followers go on."""
        self._pool.close()

    # Appending

    async def append(
        self,
        value: Any,
        tags: Iterable[str] | None = None,
        durability: int = Durability.FAST,
    ) -> Message:
        """Appends a JSON object; returns the message as stored."""
        call = partial(self._pool.append, value, _kept(tags))
        message = await self._append(call, durability)
        await self._durable(durability, message)
        return message

    async def append_json(
        self, payload: BytesLike, tags: Iterable[str] | None, durability: int
    ) -> bytes:
        """Appends JSON bytes; returns the message as stored, in JSON."""
        raw = await self._append(partial(self._pool.append_json, payload, _kept(tags)), durability)
        await self._durable(durability, message_from_pool(raw))
        return raw

    async def append_bytes(
        self,
        payload: BytesLike,
        tags: Iterable[str] | None = None,
        durability: int = Durability.FAST,
    ) -> int:
        """Appends JSON bytes; returns the seq alone: the fastest way."""
        seq = await self._append(partial(self._pool.append_bytes, payload, _kept(tags)), durability)
        await self._durable(durability, seq)
        return seq

    async def append_lite3(self, payload: BytesLike, durability: int) -> int:
        """Appends a Lite3 payload, which is checked; returns the seq."""
        seq = await self._append(partial(self._pool.append_lite3, payload), durability)
        await self._durable(durability, seq)
        return seq

    async def append_many(
        self,
        values: Iterable[Any],
        tags: Iterable[str] | None = None,
        durability: int = Durability.FAST,
    ) -> list[int]:
        """As Pool.append_many(); other tasks run between two batches."""
        shared = _kept(tags)
        seqs: list[int] = []
        rest = iter(values)
        while batch := list(islice(rest, BATCH_MAX)):
            if seqs:
                await asyncio.sleep(0)
            call = partial(self._pool.append_many, batch, shared)
            seqs += await self._append(call, durability)
        if seqs:
            await self._durable(durability, seqs[0])
        return seqs

    async def _append(self, call: Callable[..., T], durability: int) -> T:
        """Appends now, or as soon as others let it; FLUSH is done behind it."""
        given = Durability.FAST if durability == Durability.FLUSH else durability
        patience: _Patience | None = None
        while True:
            try:
                return call(durability=given)
            except BusyError as busy:
                patience = patience or _Patience(self._busy_timeout_ms)
                await patience.wait(busy)

    async def _durable(self, durability: int, stored: int | Message) -> None:
        """An error says what is stored: its seq."""
        if durability != Durability.FLUSH:
            return
        try:
            await self.flush()
        except PlasmiteError as error:
            seq = stored if isinstance(stored, int) else stored.seq
            raise type(error)(
                error.kind, str(error), error.path, seq, error.offset, error.hint
            ) from error

    async def flush(self) -> None:
        """Returns when all appended so far survives a power loss.

        Tasks that wait for it at the same time share one flush.
        """
        task = self._next_flush
        if task is None or task.done():
            before = self._flushing
            task = asyncio.create_task(self._flush_behind(before))
            self._next_flush = task
        await asyncio.shield(task)

    async def _flush_behind(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        # who asks from now on may have appended what this one does not cover
        self._flushing, self._next_flush = self._next_flush, None
        patience = _Patience(self._busy_timeout_ms)
        await patience.call(partial(asyncio.to_thread, self._pool.flush))

    # Reading

    async def get(self, seq: int) -> Message:
        """NotFoundError where it is not there any more, or not yet."""
        return self._pool.get(seq)

    async def get_json(self, seq: int) -> bytes:
        return self._pool.get_json(seq)

    async def get_lite3(self, seq: int) -> Lite3Frame:
        return self._pool.get_lite3(seq)

    async def info(self) -> PoolInfo:
        """What the pool is, now."""
        return self._pool.info()

    async def verify(self) -> VerifyReport:
        """Checks everything in the file, and changes nothing."""
        return await asyncio.to_thread(self._pool.verify)

    @overload
    def follow(
        self, *, raw: Literal[False] = False, **options: Unpack[FollowOptions]
    ) -> Follow[Message]: ...

    @overload
    def follow(self, *, raw: Literal[True], **options: Unpack[FollowOptions]) -> Follow[bytes]: ...

    def follow(
        self, *, raw: bool = False, **options: Unpack[FollowOptions]
    ) -> Follow[Message] | Follow[bytes]:
        """Pool.follow(), for `async for`."""
        return self._pool.follow(raw=True, **options) if raw else self._pool.follow(**options)

    def follow_lite3(self, **options: Unpack[FollowOptions]) -> Follow[Lite3Frame]:
        """Pool.follow_lite3(), for `async for`."""
        return self._pool.follow_lite3(**options)

    def tail(
        self,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        tags: Iterable[str] | None = None,
        error_on_gap: bool = False,
    ) -> Follow[Message]:
        """As Pool.tail(), for `async for`; it is open, and its time begins, when it is called."""
        return follow(
            self._pool,
            Stream(),
            message_from_pool,
            oldest=True,
            since_seq=since_seq,
            max_messages=max_messages,
            timeout_ms=timeout_ms,
            tags=check_tags(tags),
            error_on_gap=error_on_gap,
        )

    def replay(
        self,
        speed: float = 1.0,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        tags: Iterable[str] | None = None,
    ) -> AsyncGenerator[Message, None]:
        """As Pool.replay(), for `async for`."""
        tail = partial(self.tail, since_seq, max_messages, timeout_ms, tags)
        return replay_async(tail, speed, timeout_ms)


def _kept(tags: Iterable[str] | None) -> list[str] | None:
    """For more attempts than one."""
    return None if tags is None else check_tags(tags)

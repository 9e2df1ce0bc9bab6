"""Follow: messages as they come, for `for` and for `async for`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _core
from ._arguments import check_tags
from ._closing import AsyncClosing, Closing
from ._message import time_to_ns

if TYPE_CHECKING:
    from ._pool import Pool

Item = TypeVar("Item")

_TURN = 64  # so many messages at once, then the other tasks of an event loop
_SLACK = 0.001  # seconds: the stream's own clock is a little behind


class _Wait:
    """A task that waits for a descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self.loop = loop
        self.descriptor = descriptor
        self.future: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, self.end)

    def end(self) -> None:
        if self.loop.is_closed():
            return
        self.loop.remove_reader(self.descriptor)
        if not self.future.done():
            self.future.set_result(None)

    def is_elsewhere(self) -> bool:
        """Whether its event loop runs in another thread than this one."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        return here is not self.loop and self.loop.is_running()


class Follow(Closing, AsyncClosing, Generic[Item]):
    """An iterator, and an asynchronous one; one task or thread at a time takes from it.

    In an event loop it waits by the stream's descriptor: no thread is behind it. Leaving a `with`
    block closes it, and so does its end.
    """

    def __init__(
        self,
        stream: _core.AnyStream,
        convert: Callable[[Any], Item],
        timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
    ) -> None:
        self._stream = stream
        self._convert = convert
        self._wait: _Wait | None = None
        self._turn = 0
        # the stream ends by itself, but its descriptor does not tell of it
        self._end = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        self._idle = None if idle_timeout_ms is None else idle_timeout_ms / 1000

    @property
    def position(self) -> int:
        """The since_seq with which another one would go on from here."""
        return self._stream.position

    @property
    def dropped(self) -> int:
        """How many messages writers overwrote before they were read."""
        return self._stream.dropped

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def skip_damage(self) -> None:
        """After CorruptError: goes on with the next message that is intact."""
        self._stream.skip_damage()

    def close(self) -> None:
        """Ends it, from any thread; who waits in it gets the end."""
        wait = self._wait
        if wait is not None and wait.is_elsewhere():
            wait.loop.call_soon_threadsafe(self.close)
            return
        if wait is not None:
            wait.end()
        self._stream.close()

    def __iter__(self) -> Follow[Item]:
        return self

    def __next__(self) -> Item:
        raw = None if self._stream.closed else self._stream._next()
        if raw is None:
            self.close()
            raise StopIteration
        return self._convert(raw)

    def __aiter__(self) -> Follow[Item]:
        return self

    async def __anext__(self) -> Item:
        self._turn += 1
        if self._turn % _TURN == 0:
            await asyncio.sleep(0)
        idle_end = None if self._idle is None else time.monotonic() + self._idle
        while not self._stream.closed:
            raw = self._stream._try_next()
            if raw is None:
                break
            if raw is not False:
                return self._convert(raw)
            await self._readable([end for end in (self._end, idle_end) if end is not None])
        self.close()
        raise StopAsyncIteration

    async def _readable(self, ends: list[float]) -> None:
        """Until the descriptor is readable, or the first of these times."""
        if self._wait is not None:
            raise RuntimeError("another task waits for the next message")
        loop = asyncio.get_running_loop()
        wait = self._wait = _Wait(loop, self._stream.fileno())
        timer = None
        if ends:
            timer = loop.call_later(min(ends) - time.monotonic() + _SLACK, wait.end)
        try:
            await wait.future
        finally:
            self._wait = None
            if timer is not None:
                timer.cancel()
            if not self._stream.closed:
                wait.end()


def follow(
    pool: Pool,
    stream: _core.AnyStream,
    convert: Callable[[Any], Item],
    *,
    oldest: bool = False,
    since_seq: int | None = None,
    last: int | None = None,
    since_time: datetime | None = None,
    max_messages: int | None = None,
    timeout_ms: int | None = None,
    idle_timeout_ms: int | None = None,
    tags: Iterable[str] = (),
    where: str | Iterable[str] = (),
    error_on_gap: bool = False,
) -> Follow[Item]:
    """Opens the stream, new until now, and says where it begins: now, unless told otherwise."""
    if sum(start is not None for start in (since_seq, last, since_time)) > 1:
        raise ValueError("since_seq, last and since_time exclude each other")
    stream._open(pool, since_seq, max_messages, timeout_ms, error_on_gap)
    try:
        if since_time is not None:
            stream._seek_time(time_to_ns(since_time))
        elif since_seq is None and not oldest:
            stream._seek_last(0 if last is None else last)
        required = check_tags(tags)
        if required:
            stream._require_tags(required)
        for expression in [where] if isinstance(where, str) else where:
            stream._filter(expression)
        if idle_timeout_ms is not None:
            stream._idle_timeout(idle_timeout_ms)
    except BaseException:
        stream.close()
        raise
    return Follow(stream, convert, timeout_ms, idle_timeout_ms)

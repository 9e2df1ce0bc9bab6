"""Follow: messages as they come, for `for` and for `async for`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, TypeVar

from . import _core

Item = TypeVar("Item")

_TURN = 64  # so many messages at once, then the other tasks of an event loop
_SLACK = 0.001  # seconds: the stream's own clock is a little behind


def choose(stream: _core.Stream, tags: Iterable[str], where: str | Iterable[str]) -> None:
    """Hands the filters to the library."""
    if isinstance(tags, str):
        raise TypeError("tags must be an iterable of strings, not one string")
    required = list(tags)
    if required:
        stream._require_tags(required)
    for expression in [where] if isinstance(where, str) else where:
        stream._filter(expression)


class Follow(Generic[Item]):
    """An iterator, and an asynchronous one; one task or thread at a time takes from it.

    In an event loop it waits by the stream's descriptor: no thread is behind it. Leaving a `with`
    block closes it, and so does its end.
    """

    def __init__(
        self,
        stream: _core.Stream,
        convert: Callable[[bytes], Item],
        timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
    ) -> None:
        self._stream = stream
        self._convert = convert
        self._waiting: asyncio.Future[None] | None = None
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

    def close(self) -> None:
        """Ends it; who waits in it gets the end."""
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.get_loop().remove_reader(self._stream.fileno())
            waiting.set_result(None)
        self._stream.close()

    def __iter__(self) -> Follow[Item]:
        return self

    def __next__(self) -> Item:
        raw = None if self._stream.closed else self._stream.next_json()
        if raw is None:
            self.close()
            raise StopIteration
        return self._convert(raw)

    def __enter__(self) -> Follow[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Follow[Item]:
        return self

    async def __anext__(self) -> Item:
        self._turn += 1
        if self._turn % _TURN == 0:
            await asyncio.sleep(0)
        idle_end = None if self._idle is None else time.monotonic() + self._idle
        while not self._stream.closed:
            raw = self._stream.try_next()
            if raw is None:
                break
            if raw is not False:
                return self._convert(raw)
            await self._readable([end for end in (self._end, idle_end) if end is not None])
        self.close()
        raise StopAsyncIteration

    async def _readable(self, ends: list[float]) -> None:
        """Until the descriptor is readable, or the first of these times."""
        if self._waiting is not None:
            raise RuntimeError("another task waits for the next message")
        loop = asyncio.get_running_loop()
        descriptor = self._stream.fileno()
        self._waiting = loop.create_future()
        loop.add_reader(descriptor, _wake, self._waiting)
        timer = None
        if ends:
            timer = loop.call_later(min(ends) - time.monotonic() + _SLACK, _wake, self._waiting)
        try:
            await self._waiting
        finally:
            if timer is not None:
                timer.cancel()
            if not self._stream.closed:
                loop.remove_reader(descriptor)
            self._waiting = None

    async def __aenter__(self) -> Follow[Item]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

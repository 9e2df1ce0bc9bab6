"""Follow: messages as they come, for `for` and for `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, TypeVar

from . import _core

Item = TypeVar("Item")

_TURN = 64  # so many messages at once, then the other tasks of an event loop


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

    def __init__(self, stream: _core.Stream, convert: Callable[[bytes], Item]) -> None:
        self._stream = stream
        self._convert = convert
        self._waiting: asyncio.Future[None] | None = None
        self._taken = 0

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
        self._taken += 1
        if self._taken % _TURN == 0:
            await asyncio.sleep(0)
        while not self._stream.closed:
            raw = self._stream.try_next()
            if raw is None:
                break
            if raw is not False:
                return self._convert(raw)
            await self._readable()
        self.close()
        raise StopAsyncIteration

    async def _readable(self) -> None:
        if self._waiting is not None:
            raise RuntimeError("another task waits for the next message")
        loop = asyncio.get_running_loop()
        descriptor = self._stream.fileno()
        self._waiting = loop.create_future()
        loop.add_reader(descriptor, _wake, self._waiting)
        try:
            await self._waiting
        finally:
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

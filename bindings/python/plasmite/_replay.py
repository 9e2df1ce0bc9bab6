"""The rhythm of replay(): messages with the pauses that were between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from ._arguments import check_number, check_speed
from ._message import Message

if TYPE_CHECKING:
    from ._follow import Follow


class _Rhythm:
    def __init__(self, speed: float, timeout_ms: int | None) -> None:
        self._speed = speed
        self._end = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        self._before: datetime | None = None

    def next(self, message: Message) -> tuple[float | None, bool]:
        """Seconds to sleep, None before the first message; whether the message comes in time."""
        before, self._before = self._before, message.time
        if before is None:
            return None, True
        seconds = max((message.time - before).total_seconds() / self._speed, 0.0)
        left = seconds if self._end is None else self._end - time.monotonic()
        return max(min(seconds, left), 0.0), self._end is None or seconds < left


def replay(
    messages: Generator[Message, None, None], speed: float, timeout_ms: int | None
) -> Generator[Message, None, None]:
    """messages has not begun yet."""
    check_speed(speed)
    rhythm = _Rhythm(speed, check_number("timeout_ms", timeout_ms))
    with closing(messages):
        for message in messages:
            seconds, in_time = rhythm.next(message)
            if seconds is not None:
                time.sleep(seconds)
            if not in_time:
                return
            yield message


async def replay_async(
    tail: Callable[[], Follow[Message]], speed: float, timeout_ms: int | None
) -> AsyncGenerator[Message, None]:
    check_speed(speed)
    rhythm = _Rhythm(speed, check_number("timeout_ms", timeout_ms))
    async with tail() as messages:
        async for message in messages:
            seconds, in_time = rhythm.next(message)
            if seconds is not None:
                await asyncio.sleep(seconds)
            if not in_time:
                return
            yield message

"""Pool and its streams."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import islice
from typing import Any, Literal, overload

import plasmite

from . import _core
from ._follow import Follow, choose
from ._message import (
    Lite3Frame,
    Message,
    message_from_pool,
    time_from_ns,
    time_to_ns,
)

_BATCH_MAX = 4096


class Durability(IntEnum):
    """FAST survives the death of any process, FLUSH a power loss as well."""

    FAST = 0
    FLUSH = 1


class Stream(_core.Stream):
    """Iterates over messages as JSON bytes; waits for the next one."""


class Lite3Stream(_core.Lite3Stream):
    """Iterates over messages as Lite3 frames; waits for the next one."""

    def next(self) -> Lite3Frame | None:
        """The next one; None at the end."""
        frame = self._next()
        return None if frame is None else Lite3Frame(*frame)

    def __iter__(self) -> Lite3Stream:
        return self

    def __next__(self) -> Lite3Frame:
        frame = self.next()
        if frame is None:
            raise StopIteration
        return frame


@dataclass(frozen=True)
class PoolInfo:
    """A pool's file and what is in it; None where it is empty."""

    file_size: int
    ring_offset: int
    ring_size: int
    index_capacity: int
    used_bytes: int
    n_messages: int
    oldest_seq: int | None
    newest_seq: int | None
    oldest_time: datetime | None
    newest_time: datetime | None
    next_seq: int
    created: datetime


@dataclass(frozen=True)
class VerifyReport:
    """What verify() found; an issue has a code, a message, and where it is."""

    healthy: bool
    messages: int
    last_good_seq: int | None
    issue_count: int  # there may be more than are described
    issues: list[dict[str, Any]]


class Pool(_core.Pool):
    """A pool that is open. Any number of threads may use it at once."""

    def append(
        self,
        value: Any,
        tags: Iterable[str] | None = None,
        durability: int = Durability.FAST,
    ) -> Message:
        """Appends a JSON object; returns the message as stored."""
        return message_from_pool(self._append(value, tags, durability))

    def append_many(
        self,
        values: Iterable[Any],
        tags: Iterable[str] | None = None,
        durability: int = Durability.FAST,
    ) -> list[int]:
        """Appends values (bytes are JSON already), up to 4096 at once: those all or none.

        Returns their seqs.
        """
        shared = None if tags is None or isinstance(tags, str) else list(tags)
        seqs: list[int] = []
        rest = iter(values)
        while batch := list(islice(rest, _BATCH_MAX)):
            first = self._append_list(batch, tags if shared is None else shared, durability)
            seqs.extend(range(first, first + len(batch)))
        return seqs

    def get(self, seq: int) -> Message:
        """NotFoundError where it is not there any more, or not yet."""
        return message_from_pool(self.get_json(seq))

    def get_lite3(self, seq: int) -> Lite3Frame:
        return Lite3Frame(*self._get_lite3(seq))

    def info(self) -> PoolInfo:
        """What the pool is, now."""
        facts = self._info()
        some = facts[5] > 0
        return PoolInfo(
            file_size=facts[0],
            ring_offset=facts[1],
            ring_size=facts[2],
            index_capacity=facts[3],
            used_bytes=facts[4],
            n_messages=facts[5],
            oldest_seq=facts[6] if some else None,
            newest_seq=facts[7] if some else None,
            oldest_time=time_from_ns(facts[8]) if some else None,
            newest_time=time_from_ns(facts[9]) if some else None,
            next_seq=facts[10],
            created=time_from_ns(facts[11]),
        )

    def verify(self) -> VerifyReport:
        """Checks everything in the file, and changes nothing."""
        return VerifyReport(**json.loads(self._verify()))

    def open_stream(
        self,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        error_on_gap: bool = False,
    ) -> Stream:
        """Messages from since_seq, else from the oldest one; timeout_ms counts from here."""
        stream = Stream()
        stream._open(self, since_seq, max_messages, timeout_ms, error_on_gap)
        return stream

    def open_lite3_stream(
        self,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        error_on_gap: bool = False,
    ) -> Lite3Stream:
        stream = Lite3Stream()
        stream._open(self, since_seq, max_messages, timeout_ms, error_on_gap)
        return stream

    def tail(
        self,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        tags: Iterable[str] | None = None,
        error_on_gap: bool = False,
    ) -> Generator[Message, None, None]:
        """Messages from since_seq, else from the oldest one, and those to come.

        Ends after max_messages, or timeout_ms after the first one was asked for. With tags, only
        messages that have all of them; a gap is seen nevertheless.
        """
        required = None if tags is None else list(tags)
        native_max = None if required else max_messages
        stream = self.open_stream(
            since_seq=since_seq,
            max_messages=native_max,
            timeout_ms=timeout_ms,
            error_on_gap=error_on_gap,
        )
        try:
            left = _check_max(max_messages) if required else None
            while left != 0 and (raw := stream.next_json()) is not None:
                message = message_from_pool(raw)
                if required and not plasmite._message_has_tags(message, required):
                    continue
                yield message
                left = None if left is None else left - 1
        finally:
            stream.close()

    def replay(
        self,
        speed: float = 1.0,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        tags: Iterable[str] | None = None,
    ) -> Generator[Message, None, None]:
        """As tail(), with the pauses that were between the messages, divided by speed."""
        if not speed > 0:
            raise ValueError("speed must be positive")
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        before: datetime | None = None
        with closing(self.tail(since_seq, max_messages, timeout_ms, tags)) as messages:
            for message in messages:
                if before is not None and not _pause((message.time - before) / speed, deadline):
                    return
                before = message.time
                yield message

    @overload
    def follow(
        self,
        *,
        since_seq: int | None = None,
        last: int | None = None,
        since_time: datetime | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
        tags: Iterable[str] = (),
        where: str | Iterable[str] = (),
        error_on_gap: bool = False,
        raw: Literal[False] = False,
    ) -> Follow[Message]: ...

    @overload
    def follow(
        self,
        *,
        since_seq: int | None = None,
        last: int | None = None,
        since_time: datetime | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
        tags: Iterable[str] = (),
        where: str | Iterable[str] = (),
        error_on_gap: bool = False,
        raw: Literal[True],
    ) -> Follow[bytes]: ...

    def follow(
        self,
        *,
        since_seq: int | None = None,
        last: int | None = None,
        since_time: datetime | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        idle_timeout_ms: int | None = None,
        tags: Iterable[str] = (),
        where: str | Iterable[str] = (),
        error_on_gap: bool = False,
        raw: bool = False,
    ) -> Follow[Message] | Follow[bytes]:
        """What is appended from now on; for `for` and for `async for`.

        Begins earlier with one of: since_seq, last (the newest so many), since_time. tags and
        where (jq; all must be true) choose messages in the library. timeout_ms ends it so long
        after now, idle_timeout_ms so long after a message. raw: JSON bytes instead of Messages.
        """
        if sum(start is not None for start in (since_seq, last, since_time)) > 1:
            raise ValueError("since_seq, last and since_time exclude each other")
        stream = self.open_stream(since_seq, max_messages, timeout_ms, error_on_gap)
        try:
            if since_time is not None:
                stream._seek_time(time_to_ns(since_time))
            elif since_seq is None:
                stream._seek_last(last or 0)
            choose(stream, tags, where)
            if idle_timeout_ms is not None:
                stream._idle_timeout(idle_timeout_ms)
        except BaseException:
            stream.close()
            raise
        if raw:
            return Follow(stream, bytes, timeout_ms, idle_timeout_ms)
        return Follow(stream, message_from_pool, timeout_ms, idle_timeout_ms)


def _check_max(max_messages: int | None) -> int | None:
    """As the library's own argument is checked."""
    if max_messages is None:
        return None
    if not isinstance(max_messages, int):
        raise TypeError("max_messages must be an integer")
    if max_messages < 0:
        raise ValueError("max_messages must be non-negative")
    return max_messages


def _pause(pause: timedelta, deadline: float | None) -> bool:
    """Sleeps; False where the deadline comes first."""
    seconds = max(pause.total_seconds(), 0.0)
    left = seconds if deadline is None else deadline - time.monotonic()
    time.sleep(max(min(seconds, left), 0.0))
    return deadline is None or seconds < left

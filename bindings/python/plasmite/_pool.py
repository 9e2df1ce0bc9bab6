"""Pool and its streams."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, overload

import plasmite

from . import _core
from ._arguments import FollowOptions, check_tail
from ._errors import closed_error
from ._follow import Follow, follow
from ._message import Lite3Frame, Message, message_from_pool, time_from_ns
from ._replay import replay
from ._stream import Lite3Stream, Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack
elif sys.version_info >= (3, 11):
    from typing import Unpack

BATCH_MAX = 4096


class Durability(IntEnum):
    """FAST survives the death of any process, FLUSH a power loss as well."""

    FAST = 0
    FLUSH = 1


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
        while batch := list(islice(rest, BATCH_MAX)):
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
        if self.closed:
            raise closed_error("pool")
        asked = check_tail(since_seq, max_messages, timeout_ms, tags, error_on_gap)
        required = asked.tags
        left = asked.max_messages if required else None
        stream = self.open_stream(
            since_seq=asked.since_seq,
            max_messages=None if required else asked.max_messages,
            timeout_ms=asked.timeout_ms,
            error_on_gap=asked.error_on_gap,
        )
        try:
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
        tail = self.tail(since_seq, max_messages, timeout_ms, tags)
        return replay(tail, speed, timeout_ms)

    @overload
    def follow(
        self, *, raw: Literal[False] = False, **options: Unpack[FollowOptions]
    ) -> Follow[Message]: ...

    @overload
    def follow(self, *, raw: Literal[True], **options: Unpack[FollowOptions]) -> Follow[bytes]: ...

    def follow(
        self, *, raw: bool = False, **options: Unpack[FollowOptions]
    ) -> Follow[Message] | Follow[bytes]:
        """What is appended from now on; for `for` and for `async for`.

        Begins earlier with one of: since_seq, last (the newest so many), since_time. tags and
        where (jq; all must be true) choose messages in the library. max_messages ends it after
        so many, timeout_ms so long after now, idle_timeout_ms so long after a message.
        error_on_gap: RetentionGapError where messages were overwritten before they were read.
        raw: JSON bytes instead of Messages.
        """
        if raw:
            return follow(self, Stream(), bytes, **options)
        return follow(self, Stream(), message_from_pool, **options)

    def follow_lite3(self, **options: Unpack[FollowOptions]) -> Follow[Lite3Frame]:
        """As follow(), with messages as Lite3 frames."""
        return follow(self, Lite3Stream(), _frame, **options)


def _frame(facts: tuple[int, int, int, bytes]) -> Lite3Frame:
    return Lite3Frame(*facts)

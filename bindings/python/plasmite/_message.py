"""Messages and Lite3 frames as Python objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Union

BytesLike = Union[bytes, bytearray, memoryview]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True)
class MessageMeta:
    tags: list[str]


@dataclass(frozen=True)
class Message:
    """One message. What a pool returns is taken apart when its first field is asked for."""

    seq: int
    time: datetime
    time_rfc3339: str
    data: Any
    meta: MessageMeta
    raw: bytes

    @property
    def tags(self) -> list[str]:
        return self.meta.tags

    def __getattr__(self, name: str) -> Any:
        # only asked where a field is not there yet
        fields = self.__dict__
        raw = fields.get("raw")
        if name not in _LAZY_FIELDS or raw is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name == "time":
            fields["time"] = parse_time(self.time_rfc3339)
        elif name == "seq" and raw.startswith(_BEGIN):
            fields["seq"] = int(raw[len(_BEGIN) : raw.index(b",")])
        else:
            fields.update(_parse_fields(raw))
        return fields[name]


_BEGIN = b'{"seq":'
_LAZY_FIELDS = frozenset(("seq", "time", "time_rfc3339", "data", "meta"))
_new_object = object.__new__


def message_from_pool(raw: bytes) -> Message:
    """A message whose bytes come from the library, and need no check."""
    message = _new_object(Message)
    message.__dict__["raw"] = raw
    return message


def parse_time(text: str) -> datetime:
    """Any number of digits in the fraction; a datetime has six."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"time must be RFC 3339 with a zone: {text!r}")
    day, clock, fraction, zone = found.groups()
    offset = "+00:00" if zone in "Zz" else zone
    micros = (fraction or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(f"{day}T{clock}.{micros}{offset}").astimezone(timezone.utc)


def time_from_ns(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def time_to_ns(time: datetime) -> int:
    """A time without a zone is local time, as datetime's own timestamp() has it."""
    return (time.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1) * 1000


def _parse_tags(meta: object) -> list[str]:
    tags = meta.get("tags") if isinstance(meta, Mapping) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return []
    return tags


def _parse_fields(raw: bytes) -> dict[str, Any]:
    """All but the time, which takes as long as the rest."""
    envelope = json.loads(raw)
    if not isinstance(envelope, dict):
        raise ValueError("a message must be a JSON object")
    seq, time = envelope.get("seq"), envelope.get("time")
    if not isinstance(seq, int) or isinstance(seq, bool):
        raise ValueError("seq must be an integer")
    if not isinstance(time, str):
        raise ValueError("time must be a string")
    return {
        "seq": seq,
        "time_rfc3339": time,
        "data": envelope.get("data"),
        "meta": MessageMeta(_parse_tags(envelope.get("meta"))),
    }


def parse_message(payload: BytesLike) -> Message:
    """A Message from its JSON bytes; ValueError where they are none."""
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        raise TypeError("payload must be bytes-like")
    raw = bytes(payload)
    fields = _parse_fields(raw)
    return Message(raw=raw, time=parse_time(fields["time_rfc3339"]), **fields)


def _message_has_tags(message: Message, required_tags: Iterable[str]) -> bool:
    """Whether all of them are among the message's tags."""
    return all(tag in message.tags for tag in required_tags)


@dataclass(frozen=True)
class Lite3Frame:
    """One message as a Lite3 payload."""

    seq: int
    timestamp_ns: int
    flags: int
    payload: bytes

    @property
    def time(self) -> datetime:
        return time_from_ns(self.timestamp_ns)

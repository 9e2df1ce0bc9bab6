"""Arguments that several methods take, and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, TypedDict


class FollowOptions(TypedDict, total=False):
    """The keywords of follow(): since_seq, last and since_time exclude each other."""

    since_seq: int | None
    last: int | None
    since_time: datetime | None
    max_messages: int | None
    timeout_ms: int | None
    idle_timeout_ms: int | None
    tags: Iterable[str]
    where: str | Iterable[str]
    error_on_gap: bool


class TailArguments(NamedTuple):
    """Those of tail() and replay(), checked."""

    since_seq: int | None
    max_messages: int | None
    timeout_ms: int | None
    tags: list[str]
    error_on_gap: bool


def check_tail(
    since_seq: int | None,
    max_messages: int | None,
    timeout_ms: int | None,
    tags: Iterable[str] | None,
    error_on_gap: bool = False,
) -> TailArguments:
    """TypeError or ValueError where one is not what it should be."""
    if not isinstance(error_on_gap, bool):
        raise TypeError("error_on_gap must be a bool")
    return TailArguments(
        check_number("since_seq", since_seq),
        check_number("max_messages", max_messages),
        check_number("timeout_ms", timeout_ms),
        check_tags(tags),
        error_on_gap,
    )


def check_number(name: str, value: int | None) -> int | None:
    return None if value is None else check_count(name, value)


def check_count(name: str, value: int) -> int:
    """What fits 64 bits without a sign; as the extension module says it."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an integer")
    if value < 0:
        raise ValueError(f"{name} must be non-negative")
    if value >= 2**64:
        raise ValueError(f"{name} must be less than 2**64")
    return value


def check_tags(tags: Iterable[str] | None) -> list[str]:
    """A list of them; one string alone is a mistake."""
    if isinstance(tags, str):
        raise TypeError("tags must be an iterable of strings, not one string")
    listed = [] if tags is None else list(tags)
    for tag in listed:
        if not isinstance(tag, str):
            raise TypeError("tags must be strings")
    return listed


def check_speed(speed: float) -> float:
    if not speed > 0:
        raise ValueError("speed must be positive")
    return speed

"""The streams of a pool."""

from __future__ import annotations

from typing import Literal

from . import _core
from ._message import Lite3Frame


class Stream(_core.Stream):
    """Iterates over messages as JSON bytes; waits for the next one."""


class Lite3Stream(_core.Lite3Stream):
    """Iterates over messages as Lite3 frames; waits for the next one."""

    def next(self) -> Lite3Frame | None:
        """The next one; None at the end."""
        frame = self._next()
        return None if frame is None else Lite3Frame(*frame)

    def try_next(self) -> Lite3Frame | None | Literal[False]:
        """As next(), but False at once where that would wait."""
        frame = self._try_next()
        return frame if frame is None or frame is False else Lite3Frame(*frame)

    def __iter__(self) -> Lite3Stream:
        return self

    def __next__(self) -> Lite3Frame:
        frame = self.next()
        if frame is None:
            raise StopIteration
        return frame

"""Kinds of error, and one exception for each."""

from __future__ import annotations

from enum import IntEnum


class ErrorKind(IntEnum):
    """The same numbers as the exit codes of the command line."""

    INTERNAL = 1
    USAGE = 2
    NOT_FOUND = 3
    ALREADY_EXISTS = 4
    BUSY = 5
    PERMISSION = 6
    CORRUPT = 7
    IO = 8
    RETENTION_GAP = 9


_DEFAULT_MESSAGES = {
    ErrorKind.INTERNAL: "internal error",
    ErrorKind.USAGE: "usage error",
    ErrorKind.NOT_FOUND: "not found",
    ErrorKind.ALREADY_EXISTS: "already exists",
    ErrorKind.BUSY: "busy",
    ErrorKind.PERMISSION: "permission denied",
    ErrorKind.CORRUPT: "corrupt",
    ErrorKind.IO: "io error",
    ErrorKind.RETENTION_GAP: "retention gap",
}


class PlasmiteError(RuntimeError):
    """What the library refused or failed to do.

    path, seq, offset and hint (what may be done about it) are None where they do not apply.
    """

    kind: ErrorKind
    path: str | None
    seq: int | None
    offset: int | None
    hint: str | None

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        path: str | None = None,
        seq: int | None = None,
        offset: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = error_kind(kind)
        self.path = path
        self.seq = seq
        self.offset = offset
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        facts = (self.kind, str(self), self.path, self.seq, self.offset, self.hint)
        return (type(self), facts)


class InternalError(PlasmiteError):
    """Something that should not happen."""


class UsageError(PlasmiteError):
    """What was asked for makes no sense, or cannot be done."""


class NotFoundError(PlasmiteError):
    """No such pool (path is set) or message (seq is set)."""


class AlreadyExistsError(PlasmiteError):
    """The pool is there already."""


class BusyError(PlasmiteError):
    """Others held the pool for too long."""


class PermissionDeniedError(PlasmiteError):
    """The file's rights, or a server, forbid it."""


class CorruptError(PlasmiteError):
    """The file is damaged, or is no pool."""


class IoError(PlasmiteError):
    """The system failed to read or write."""


class RetentionGapError(PlasmiteError):
    """Messages were overwritten before they were read; seq is the first of them."""


_ERROR_KIND_TO_CLASS: dict[ErrorKind, type[PlasmiteError]] = {
    ErrorKind.INTERNAL: InternalError,
    ErrorKind.USAGE: UsageError,
    ErrorKind.NOT_FOUND: NotFoundError,
    ErrorKind.ALREADY_EXISTS: AlreadyExistsError,
    ErrorKind.BUSY: BusyError,
    ErrorKind.PERMISSION: PermissionDeniedError,
    ErrorKind.CORRUPT: CorruptError,
    ErrorKind.IO: IoError,
    ErrorKind.RETENTION_GAP: RetentionGapError,
}


def error_kind(number: int) -> ErrorKind:
    """INTERNAL for numbers nobody knows."""
    try:
        return ErrorKind(number)
    except ValueError:
        return ErrorKind.INTERNAL


def make_error(
    number: int | None,
    message: str,
    path: str | None,
    seq: int | None,
    offset: int | None,
    hint: str | None,
) -> PlasmiteError:
    """The exception for an error of the library; number None: a closed handle's."""
    if number is None:
        return PlasmiteError(ErrorKind.USAGE, message)
    kind = error_kind(number)
    facts = (message or _DEFAULT_MESSAGES[kind], path, seq, offset, hint)
    return _ERROR_KIND_TO_CLASS[kind](kind, *facts)


def closed_error(what: str) -> PlasmiteError:
    """A closed handle's, as the extension module raises it."""
    return make_error(None, f"plasmite: {what} is closed", None, None, None, None)

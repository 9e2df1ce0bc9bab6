"""Client: where pools are looked up."""

from __future__ import annotations

import os
from typing import Union

from . import _core
from ._errors import AlreadyExistsError, NotFoundError
from ._pool import Pool

PathLike = Union[str, "os.PathLike[str]"]

DEFAULT_POOL_SIZE_BYTES = 1024 * 1024
DEFAULT_POOL_SIZE = DEFAULT_POOL_SIZE_BYTES


def default_pool_dir() -> str:
    """Below HOME, as it is now."""
    return os.path.join(os.path.expanduser("~"), ".plasmite", "pools")


DEFAULT_POOL_DIR = default_pool_dir()


class Client(_core.Client):
    """Opens and makes pools by name, in one directory, or by path.

    A reference with a "/" is a path; else it is a name: NAME.plasmite in pool_dir.
    """

    def __init__(self, pool_dir: PathLike | None = None) -> None:
        folder = default_pool_dir() if pool_dir is None else os.fspath(pool_dir)
        if not folder:
            raise ValueError("pool_dir is required")
        self._open(folder)
        self._pool_dir = folder

    @property
    def pool_dir(self) -> str:
        return self._pool_dir

    def create_pool(
        self,
        pool_ref: PathLike,
        size_bytes: int = DEFAULT_POOL_SIZE_BYTES,
        *,
        index_capacity: int | None = None,
        busy_timeout_ms: int | None = None,
    ) -> Pool:
        """A new pool; AlreadyExistsError where there is one.

        index_capacity: how many messages are found by their number at once; without it, one for
        each 256 bytes. busy_timeout_ms: how long an append waits for others; without it, 5000.
        """
        pool = Pool()
        self._open_pool(pool, pool_ref, True, size_bytes, index_capacity, busy_timeout_ms, False)
        return pool

    def open_pool(
        self,
        pool_ref: PathLike,
        *,
        busy_timeout_ms: int | None = None,
        read_only: bool = False,
    ) -> Pool:
        """NotFoundError where there is none. read_only needs no permission to write."""
        pool = Pool()
        self._open_pool(pool, pool_ref, False, 0, None, busy_timeout_ms, read_only)
        return pool

    def pool(
        self,
        pool_ref: PathLike,
        size_bytes: int = DEFAULT_POOL_SIZE_BYTES,
        *,
        index_capacity: int | None = None,
        busy_timeout_ms: int | None = None,
    ) -> Pool:
        """Opens the pool, and makes it where it is missing; its sizes count only then."""
        try:
            return self.open_pool(pool_ref, busy_timeout_ms=busy_timeout_ms)
        except NotFoundError:
            pass
        try:
            return self.create_pool(
                pool_ref,
                size_bytes,
                index_capacity=index_capacity,
                busy_timeout_ms=busy_timeout_ms,
            )
        except AlreadyExistsError:  # another one was faster
            return self.open_pool(pool_ref, busy_timeout_ms=busy_timeout_ms)

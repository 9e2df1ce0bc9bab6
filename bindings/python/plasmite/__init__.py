"""Plasmite: persistent JSON message pools that are just files.

    from plasmite import Client

    with Client() as client, client.pool("work") as pool:
        message = pool.append({"task": "resize", "id": 1})
        print(message.seq, message.tags, message.data)
"""

from __future__ import annotations

from . import _load

_load.load()

from ._core import install_guard  # noqa: E402
from ._errors import _ERROR_KIND_TO_CLASS as _ERROR_KIND_TO_CLASS  # noqa: E402
from ._errors import (  # noqa: E402
    AlreadyExistsError,
    BusyError,
    CorruptError,
    ErrorKind,
    InternalError,
    IoError,
    NotFoundError,
    PermissionDeniedError,
    PlasmiteError,
    RetentionGapError,
    UsageError,
)
from ._arguments import FollowOptions  # noqa: E402
from ._async import AsyncClient, AsyncOpening, AsyncPool  # noqa: E402
from ._client import (  # noqa: E402
    DEFAULT_POOL_DIR,
    DEFAULT_POOL_SIZE,
    DEFAULT_POOL_SIZE_BYTES,
    Client,
    default_pool_dir,
)
from ._follow import Follow  # noqa: E402
from ._message import Lite3Frame, Message, MessageMeta, parse_message  # noqa: E402
from ._message import _message_has_tags as _message_has_tags  # noqa: E402
from ._pool import Durability, Pool, PoolInfo, VerifyReport  # noqa: E402
from ._remote import RemoteClient, RemoteError, RemotePool  # noqa: E402
from ._stream import Lite3Stream, Stream  # noqa: E402

__version__ = "0.8.0"

__all__ = [
    "AlreadyExistsError",
    "AsyncClient",
    "AsyncOpening",
    "AsyncPool",
    "BusyError",
    "Client",
    "CorruptError",
    "DEFAULT_POOL_DIR",
    "DEFAULT_POOL_SIZE",
    "DEFAULT_POOL_SIZE_BYTES",
    "Durability",
    "ErrorKind",
    "Follow",
    "FollowOptions",
    "InternalError",
    "IoError",
    "Lite3Frame",
    "Lite3Stream",
    "Message",
    "MessageMeta",
    "NotFoundError",
    "PermissionDeniedError",
    "PlasmiteError",
    "Pool",
    "PoolInfo",
    "RemoteClient",
    "RemoteError",
    "RemotePool",
    "RetentionGapError",
    "Stream",
    "UsageError",
    "VerifyReport",
    "default_pool_dir",
    "install_guard",
    "parse_message",
]

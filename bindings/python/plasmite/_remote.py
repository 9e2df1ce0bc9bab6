"""RemoteClient: pools of a `plasmite serve` somewhere else, over HTTP."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator, Iterable
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ._arguments import check_count, check_tags, check_tail
from ._closing import Closing
from ._errors import _ERROR_KIND_TO_CLASS, ErrorKind, PlasmiteError
from ._message import Message, parse_message
from ._pool import Durability
from ._replay import replay

_KINDS = {"".join(word.capitalize() for word in kind.name.split("_")): kind for kind in ErrorKind}
_KIND_OF_STATUS = {
    400: ErrorKind.USAGE,
    401: ErrorKind.PERMISSION,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    409: ErrorKind.ALREADY_EXISTS,
    410: ErrorKind.RETENTION_GAP,
    413: ErrorKind.USAGE,
    415: ErrorKind.USAGE,
    422: ErrorKind.USAGE,
    423: ErrorKind.BUSY,
}


class RemoteError(PlasmiteError):
    """What a server answered, also an error of the class of its kind; status is HTTP's."""

    status: int

    def __reduce__(self) -> tuple[object, ...]:
        facts = (self.kind, str(self), self.path, self.seq, self.offset, self.hint)
        return (_remote_error, (self.status, *facts))


_CLASSES: dict[ErrorKind, type[RemoteError]] = {
    kind: type(f"Remote{base.__name__}", (RemoteError, base), {"__module__": __name__})
    for kind, base in _ERROR_KIND_TO_CLASS.items()
}


def _remote_error(status: int, kind: ErrorKind, message: str, *facts: Any) -> RemoteError:
    error = _CLASSES[kind](kind, message, *facts)
    error.status = status
    return error


def _make_error(status: int, body: object) -> RemoteError:
    """From {"error": {...}}, or the bare object, or the status alone."""
    fields: Any = body.get("error", body) if isinstance(body, dict) else {}
    if not isinstance(fields, dict):
        fields = {}
    if "kind" in fields:
        kind = _KINDS.get(fields["kind"], ErrorKind.IO)
    else:
        otherwise = ErrorKind.INTERNAL if status >= 500 else ErrorKind.IO
        kind = _KIND_OF_STATUS.get(status, otherwise)
    message = fields.get("message") or f"Remote error {status}"
    names = ("path", "seq", "offset", "hint")
    return _remote_error(status, kind, message, *(fields.get(name) for name in names))


def _durability_name(durability: object) -> str:
    name = durability.lower() if isinstance(durability, str) else durability
    if name is None or name in (Durability.FAST, "fast"):
        return "fast"
    if name in (Durability.FLUSH, "flush"):
        return "flush"
    raise TypeError("durability must be Durability.FAST or Durability.FLUSH")


class RemoteClient:
    """The pools of a server: RemoteClient("http://host:9700").

    Every request has a connection of its own; any number of threads may use a client at once.
    tls: an ssl.SSLContext, for certificates that the system does not trust. timeout: seconds
    without a word from the server, for all but the messages of tail().
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
    ) -> None:
        if not isinstance(base_url, str):
            raise TypeError("remote base URL must be a string")
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("remote base URL must use http or https")
        if url.path not in ("", "/") or url.query or url.fragment:
            raise ValueError("remote base URL must not include a path")
        self.base_url = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        self.token = token
        self._address = (url.hostname, url.port)
        self._tls = tls if tls is not None or url.scheme == "http" else ssl.create_default_context()
        self._timeout = timeout

    def with_token(self, token: str | None) -> RemoteClient:
        """Sets the token that is sent from now on; returns the client itself."""
        self.token = token
        return self

    def create_pool(self, pool: str, size_bytes: int | None = None) -> dict[str, Any]:
        """Returns what the server says about the new pool."""
        body: dict[str, Any] = {"pool": pool}
        if size_bytes is not None:
            body["size_bytes"] = size_bytes
        info: dict[str, Any] = self._ask("POST", "/v0/pools", body, "pool")
        return info

    def open_pool(self, pool: str) -> RemotePool:
        """NotFoundError where there is none."""
        self._ask("POST", "/v0/pools/open", {"pool": pool}, "pool")
        return RemotePool(self, pool)

    def pool(self, pool: str, size_bytes: int | None = None) -> RemotePool:
        """Opens the pool, and makes it where it is missing."""
        try:
            return self.open_pool(pool)
        except _ERROR_KIND_TO_CLASS[ErrorKind.NOT_FOUND]:
            pass
        try:
            self.create_pool(pool, size_bytes)
        except _ERROR_KIND_TO_CLASS[ErrorKind.ALREADY_EXISTS]:
            pass  # another one was faster
        return self.open_pool(pool)

    def pool_info(self, pool: str) -> dict[str, Any]:
        info: dict[str, Any] = self._ask("GET", _pool_path(pool, "info"), None, "pool")
        return info

    def list_pools(self) -> list[dict[str, Any]]:
        pools: list[dict[str, Any]] = self._ask("GET", "/v0/pools", None, "pools")
        return pools

    def delete_pool(self, pool: str) -> None:
        self._ask("DELETE", _pool_path(pool), None, None)

    def _connect(self) -> HTTPConnection:
        host, port = self._address
        if self._tls is not None:
            return HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        return HTTPConnection(host, port, timeout=self._timeout)

    def _request(self, method: str, path: str, body: object) -> _Exchange:
        headers = {"Accept": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return _Exchange(self._connect(), method, path, payload, headers)

    def _ask(self, method: str, path: str, body: object, field: str | None) -> Any:
        """One request; the field of its answer."""
        with self._request(method, path, body) as exchange:
            answer = exchange.json()
            if field is None:
                return None
            if not isinstance(answer, dict) or field not in answer:
                raise _remote_error(
                    exchange.status, ErrorKind.INTERNAL, f"the answer has no {field!r}"
                )
            return answer[field]


class RemotePool:
    """A pool of a server."""

    def __init__(self, client: RemoteClient, pool: str) -> None:
        self.client = client
        self.pool = pool

    def pool_ref(self) -> str:
        return self.pool

    def append(
        self,
        value: Any,
        tags: Iterable[str] | None = None,
        durability: int | str | None = Durability.FAST,
    ) -> Message:
        """Appends a JSON object; returns the message as stored."""
        name = _durability_name(durability)
        body = {"data": value, "tags": check_tags(tags), "durability": name}
        return self._message("POST", "append", body)

    def get(self, seq: int) -> Message:
        """NotFoundError where it is not there any more, or not yet."""
        return self._message("GET", f"messages/{check_count('seq', seq)}", None)

    def info(self) -> dict[str, Any]:
        return self.client.pool_info(self.pool)

    def tail(
        self,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        tags: Iterable[str] | None = None,
        error_on_gap: bool = False,
    ) -> Generator[Message, None, None]:
        """As Pool.tail(); ends when the server ends it, at timeout_ms or its own limit.

        Leaving the loop, or close(), ends the request.
        """
        asked = check_tail(since_seq, max_messages, timeout_ms, tags, error_on_gap)
        numbers = {
            "since_seq": asked.since_seq,
            "max": asked.max_messages,
            "timeout_ms": asked.timeout_ms,
        }
        query = [(name, str(number)) for name, number in numbers.items() if number is not None]
        query += [("tag", tag) for tag in asked.tags]
        if asked.error_on_gap:
            query.append(("gap_policy", "error"))
        path = _pool_path(self.pool, "tail") + ("?" + urlencode(query) if query else "")
        with self.client._request("GET", path, None) as exchange:
            for line in exchange.lines():
                yield _tail_message(exchange.status, line)

    def replay(
        self,
        speed: float = 1.0,
        since_seq: int | None = None,
        max_messages: int | None = None,
        timeout_ms: int | None = None,
        tags: Iterable[str] | None = None,
    ) -> Generator[Message, None, None]:
        """As Pool.replay()."""
        tail = self.tail(since_seq, max_messages, timeout_ms, tags)
        return replay(tail, speed, timeout_ms)

    def _message(self, method: str, path: str, body: object) -> Message:
        answer = self.client._ask(method, _pool_path(self.pool, path), body, "message")
        raw = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        return parse_message(raw.encode("utf-8", "surrogatepass"))


def _pool_path(pool: str, rest: str | None = None) -> str:
    path = f"/v0/pools/{quote(pool, safe='')}"
    return path if rest is None else f"{path}/{rest}"


def _tail_message(status: int, line: bytes) -> Message:
    try:
        body = json.loads(line)
        if not (isinstance(body, dict) and "error" in body):
            return parse_message(line)
    except ValueError as error:
        raise _remote_error(status, ErrorKind.IO, f"broken stream: {error}") from error
    raise _make_error(status, body)


class _Exchange(Closing):
    """A request and its answer; closed at the end of a `with` block."""

    def __init__(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        payload: bytes | None,
        headers: dict[str, str],
    ) -> None:
        self._connection = connection
        self._response: HTTPResponse | None = None
        try:
            connection.request(method, path, payload, headers)
            self._response = connection.getresponse()
            self.status = self._response.status
            if self.status >= 300:
                raise _make_error(self.status, _loads(self._response.read()))
        except (OSError, HTTPException) as error:
            self.close()
            raise _remote_error(0, ErrorKind.IO, f"request failed: {error!r}") from error
        except BaseException:
            self.close()
            raise

    def json(self) -> Any:
        try:
            return _loads(self._open().read())
        except (OSError, HTTPException) as error:
            raise self._broken(error) from error

    def lines(self) -> Generator[bytes, None, None]:
        """Those that are not blank, as they come."""
        if self._connection.sock is not None:
            self._connection.sock.settimeout(None)
        response = self._open()
        while True:
            try:
                line = response.readline()
            except (OSError, HTTPException) as error:
                raise self._broken(error) from error
            if not line:
                return
            if line.strip():
                yield line.rstrip(b"\r\n")

    def _open(self) -> HTTPResponse:
        assert self._response is not None
        return self._response

    def _broken(self, error: Exception) -> RemoteError:
        return _remote_error(self.status, ErrorKind.IO, f"broken stream: {error!r}")

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()


def _loads(body: bytes) -> object:
    """None where it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None

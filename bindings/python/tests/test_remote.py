"""RemoteClient, against a small server that answers as `plasmite serve` does."""

import json
import pickle
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from plasmite import (
    AlreadyExistsError,
    Durability,
    ErrorKind,
    IoError,
    NotFoundError,
    PermissionDeniedError,
    PlasmiteError,
    RemoteClient,
    RemoteError,
    RemotePool,
    RetentionGapError,
)


def envelope(kind, message, **facts):
    return {"error": {"kind": kind, "message": message, **facts}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else None

    def answer(self, status, body):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def handle_any(self):
        url = urlsplit(self.path)
        body = self.body()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        token = self.server.token
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            return self.answer(401, envelope("Permission", "invalid bearer token"))
        segments = [unquote(segment) for segment in url.path.split("/")[1:]]
        assert segments[:2] == ["v0", "pools"], self.path
        return self.route(self.command, segments[2:], parse_qsl(url.query), body)

    def route(self, method, rest, query, body):
        pools = self.server.pools
        if method == "POST" and rest == []:
            if body["pool"] in pools:
                return self.answer(409, envelope("AlreadyExists", "exists", path=body["pool"]))
            pools[body["pool"]] = []
            return self.answer(200, {"pool": {"name": body["pool"], **body}})
        if method == "GET" and rest == []:
            return self.answer(200, {"pools": [{"name": name} for name in sorted(pools)]})
        if rest == ["open"]:
            return self.with_pool(body["pool"], lambda pool: self.answer(200, {"pool": {}}))
        return self.with_pool(
            rest[0], lambda pool: self.pool_route(method, rest[0], pool, rest[1:], query, body)
        )

    def with_pool(self, name, function):
        if name not in self.server.pools:
            error = envelope("NotFound", "not found", path=f"/x/{name}", hint="create it")
            return self.answer(404, error)
        return function(self.server.pools[name])

    def pool_route(self, method, name, pool, rest, query, body):
        if method == "DELETE":
            del self.server.pools[name]
            return self.answer(200, {"ok": True})
        if rest == ["info"]:
            return self.answer(200, {"pool": {"name": name, "bounds": {}}})
        if rest == ["append"]:
            meta = {"tags": body["tags"]}
            time_text = "2026-01-02T03:04:05.678901234Z"
            message = {"seq": len(pool) + 1, "time": time_text, "meta": meta, "data": body["data"]}
            pool.append(message)
            return self.answer(200, {"message": message})
        if rest[0] == "messages":
            seq = int(rest[1])
            if not 0 < seq <= len(pool):
                return self.answer(404, envelope("NotFound", "message not found", seq=seq))
            return self.answer(200, {"message": pool[seq - 1]})
        assert rest == ["tail"]
        return self.tail(pool, dict(query))

    def tail(self, pool, query):
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def send(line):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()

        for message in pool[int(query.get("since_seq", 1)) - 1 :]:
            send(json.dumps(message).encode() + b"\n\n")
        if query.get("gap_policy") == "error":
            send(json.dumps(envelope("RetentionGap", "lost", seq=7)).encode() + b"\n")
        elif "max" not in query:
            self.server.waiting.set()
            self.connection.settimeout(20)
            try:
                self.server.left.append(self.connection.recv(1))  # b"": the client went away
            except ConnectionResetError:
                self.server.left.append(b"")
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_DELETE = handle_any


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.pools, server.token, server.left = [], {}, None, []
    server.waiting = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(server):
    return RemoteClient(f"http://127.0.0.1:{server.server_port}")


def test_urls():
    for url in ("ftp://host", "host:1", "", "http:///x", "/x"):
        with pytest.raises(ValueError, match="remote base URL must use http or https"):
            RemoteClient(url)
    for url in ("http://host/x", "http://host?a=1", "http://host#x"):
        with pytest.raises(ValueError, match="remote base URL must not include a path"):
            RemoteClient(url)
    assert RemoteClient("https://host:9700/").base_url == "https://host:9700"
    assert RemoteClient("http://[::1]:9700").base_url == "http://[::1]:9700"


def test_pools(server, remote):
    assert remote.create_pool("a b/ü", 65536)["name"] == "a b/ü"
    assert server.seen[-1][:2] == ("POST", "/v0/pools")
    assert server.seen[-1][3] == {"pool": "a b/ü", "size_bytes": 65536}
    assert server.seen[-1][2]["Content-Type"] == "application/json"
    assert remote.pool_info("a b/ü")["name"] == "a b/ü"
    assert server.seen[-1][:2] == ("GET", "/v0/pools/a%20b%2F%C3%BC/info")
    assert server.seen[-1][2]["Accept"] == "application/json"
    assert [pool["name"] for pool in remote.list_pools()] == ["a b/ü"]
    assert remote.delete_pool("a b/ü") is None
    assert server.seen[-1][:2] == ("DELETE", "/v0/pools/a%20b%2F%C3%BC")
    assert remote.list_pools() == []


def test_pool_opens_or_creates(remote):
    assert remote.pool("a").pool_ref() == "a"
    assert remote.pool("a").client is remote
    with pytest.raises(AlreadyExistsError):
        remote.create_pool("a")


def test_messages(server, remote):
    pool = remote.pool("a")
    message = pool.append({"é": 1}, ["x", "y"], Durability.FLUSH)
    assert server.seen[-1][1] == "/v0/pools/a/append"
    assert server.seen[-1][3] == {"data": {"é": 1}, "tags": ["x", "y"], "durability": "flush"}
    assert (message.seq, message.tags, message.data) == (1, ["x", "y"], {"é": 1})
    assert message.time.microsecond == 678901
    assert pool.get(1) == message
    assert pool.append({}).tags == []
    assert server.seen[-1][3]["durability"] == "fast"
    assert pool.info()["name"] == "a"


def test_durability_is_checked_before_any_request(server, remote):
    pool = remote.pool("a")
    before = len(server.seen)
    for durability in (0, 1, "fast", "FLUSH", None):
        pool.append({}, durability=durability)
    assert len(server.seen) == before + 5
    for durability in (2, "slow", 1.5, []):
        with pytest.raises(TypeError, match="durability must be Durability.FAST or Durability.FLUSH"):
            pool.append({}, durability=durability)
    with pytest.raises(TypeError):
        pool.append({}, "tag")
    assert len(server.seen) == before + 5


def test_errors(remote):
    with pytest.raises(NotFoundError) as missing:
        remote.open_pool("none")
    error = missing.value
    assert isinstance(error, RemoteError) and isinstance(error, PlasmiteError)
    assert (error.status, error.kind, str(error)) == (404, ErrorKind.NOT_FOUND, "not found")
    assert (error.path, error.hint, error.seq) == ("/x/none", "create it", None)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.status, again.hint) == (type(error), 404, "create it")
    with pytest.raises(NotFoundError) as missing:
        remote.pool("a").get(99)
    assert (missing.value.seq, missing.value.path) == (99, None)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (418, b"", ErrorKind.IO, "Remote error 418"),
        (503, b"<html>", ErrorKind.INTERNAL, "Remote error 503"),
        (423, b"[]", ErrorKind.BUSY, "Remote error 423"),
        (410, b"{}", ErrorKind.RETENTION_GAP, "Remote error 410"),
        (500, b'{"error":{"kind":"NoSuchKind","message":"m"}}', ErrorKind.IO, "m"),
        (500, b'{"kind":"Corrupt","message":"bare"}', ErrorKind.CORRUPT, "bare"),
        (500, b'{"error":7}', ErrorKind.INTERNAL, "Remote error 500"),
        (200, b"no json", ErrorKind.INTERNAL, "the answer has no 'pools'"),
        (302, b"", ErrorKind.IO, "Remote error 302"),
    ],
)
def test_odd_answers(server, remote, monkeypatch, status, body, kind, message):
    monkeypatch.setattr(Handler, "handle_any", None)
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.answer(status, body))
    with pytest.raises(RemoteError) as error:
        remote.list_pools()
    assert (error.value.status, error.value.kind, str(error.value)) == (status, kind, message)


def test_tokens(server, remote):
    server.token = "secret"
    with pytest.raises(PermissionDeniedError) as refused:
        remote.list_pools()
    assert refused.value.status == 401
    assert remote.with_token("secret") is remote
    assert remote.list_pools() == []
    assert RemoteClient(remote.base_url, token="secret").list_pools() == []


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(IoError, match="request failed"):
        RemoteClient(f"http://127.0.0.1:{port}").list_pools()


def test_tail(server, remote):
    pool = remote.pool("a")
    for n in range(3):
        pool.append({"n": n})
    tail = pool.tail(since_seq=2, max_messages=2, timeout_ms=50, tags=["a,b", "c d"])
    assert [message.data["n"] for message in tail] == [1, 2]
    query = parse_qsl(urlsplit(server.seen[-1][1]).query)
    assert query == [
        ("since_seq", "2"),
        ("max", "2"),
        ("timeout_ms", "50"),
        ("tag", "a,b"),
        ("tag", "c d"),
    ]
    with pytest.raises(RetentionGapError) as gap:
        list(pool.tail(error_on_gap=True))
    assert (gap.value.seq, gap.value.status) == (7, 200)
    assert server.seen[-1][1] == "/v0/pools/a/tail?gap_policy=error"
    with pytest.raises(TypeError):
        next(pool.tail(tags="abc"))
    with pytest.raises(NotFoundError):
        next(RemotePool(remote, "b").tail())


def test_leaving_a_tail_ends_its_request(server, remote):
    pool = remote.pool("a")
    pool.append({"n": 1})
    for message in pool.tail():
        assert message.data == {"n": 1}
        assert server.waiting.wait(20)
        break
    end = time.monotonic() + 20
    while not server.left and time.monotonic() < end:
        time.sleep(0.002)
    assert server.left == [b""]


def test_a_stream_that_breaks(server, remote, monkeypatch):
    pool = remote.pool("a")

    def broken(self, pool, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\n{\"a\n\r\n")
        self.close_connection = True

    monkeypatch.setattr(Handler, "tail", broken)
    with pytest.raises(IoError, match="broken stream"):
        list(pool.tail())

"""Names, errors, clients: what the package promises before a message is written."""

import gc
import os
import pickle
import stat
import warnings
from pathlib import Path

import pytest

import plasmite
from plasmite import (
    AlreadyExistsError,
    Client,
    CorruptError,
    Durability,
    ErrorKind,
    NotFoundError,
    PlasmiteError,
    UsageError,
)

NAMES = """Client Pool Stream Lite3Stream Message MessageMeta Lite3Frame Durability ErrorKind
PlasmiteError NotFoundError AlreadyExistsError BusyError PermissionDeniedError CorruptError IoError
UsageError InternalError RetentionGapError DEFAULT_POOL_DIR DEFAULT_POOL_SIZE
DEFAULT_POOL_SIZE_BYTES default_pool_dir parse_message""".split()


def test_names():
    assert set(NAMES) <= set(plasmite.__all__)
    for name in plasmite.__all__:
        assert getattr(plasmite, name) is not None


def test_constants():
    assert [(kind.name, int(kind)) for kind in ErrorKind] == [
        ("INTERNAL", 1),
        ("USAGE", 2),
        ("NOT_FOUND", 3),
        ("ALREADY_EXISTS", 4),
        ("BUSY", 5),
        ("PERMISSION", 6),
        ("CORRUPT", 7),
        ("IO", 8),
        ("RETENTION_GAP", 9),
    ]
    assert (Durability.FAST, Durability.FLUSH) == (0, 1)
    assert plasmite.DEFAULT_POOL_SIZE == plasmite.DEFAULT_POOL_SIZE_BYTES == 1048576


def test_error_hierarchy():
    assert issubclass(PlasmiteError, RuntimeError)
    classes = plasmite._ERROR_KIND_TO_CLASS
    assert set(classes) == set(ErrorKind)
    assert len(set(classes.values())) == 9
    assert all(issubclass(one, PlasmiteError) for one in classes.values())
    assert classes[ErrorKind.PERMISSION] is plasmite.PermissionDeniedError


def test_error_attributes():
    error = PlasmiteError(ErrorKind.IO, "text", "/a", 1, 2)
    assert (str(error), error.kind, error.path, error.seq, error.offset) == (
        "text",
        ErrorKind.IO,
        "/a",
        1,
        2,
    )
    bare = PlasmiteError(ErrorKind.IO, "text")
    assert (bare.path, bare.seq, bare.offset, bare.hint) == (None, None, None, None)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.seq) == (PlasmiteError, "text", 1)


def test_unknown_kinds_are_internal_and_empty_messages_get_a_text():
    from plasmite._errors import make_error

    unknown = make_error(77, "text", None, None, None, None)
    assert type(unknown) is plasmite.InternalError
    assert unknown.kind == ErrorKind.INTERNAL
    assert str(make_error(5, "", None, None, None, None)) == "busy"
    assert str(make_error(6, "", None, None, None, None)) == "permission denied"
    assert str(make_error(9, "", None, None, None, None)) == "retention gap"


def test_default_pool_dir_follows_home(home):
    assert plasmite.default_pool_dir() == str(home / ".plasmite" / "pools")
    assert plasmite.DEFAULT_POOL_DIR != plasmite.default_pool_dir()
    with Client() as client, client.pool("work") as pool:
        pool.append({"n": 1})
    assert (home / ".plasmite" / "pools" / "work.plasmite").stat().st_size == 1048576


def test_pool_dir_arguments(tmp_path):
    with pytest.raises(ValueError):
        Client("")
    with pytest.raises(TypeError):
        Client(5)
    with pytest.raises(ValueError):
        Client("a\0b")
    for folder in (tmp_path, str(tmp_path)):
        with Client(folder) as client:
            assert client.pool_dir == str(tmp_path)


def test_a_client_touches_no_file(tmp_path):
    with Client(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()


def test_references(client, tmp_path):
    client.create_pool("name").close()
    assert (tmp_path / "pools" / "name.plasmite").exists()
    path = tmp_path / "elsewhere" / "any.file"
    client.create_pool(str(path), 65536).close()
    assert path.stat().st_size == 65536
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with client.open_pool(path) as pool:
        assert pool.append({"n": 1}).seq == 1
    for method in (client.create_pool, client.open_pool, client.pool):
        with pytest.raises(ValueError, match="^pool_ref is required$"):
            method("")
        with pytest.raises(UsageError):
            method("http://host/pool")
        with pytest.raises(TypeError):
            method(7)


def test_sizes(client):
    with pytest.raises(TypeError):
        client.create_pool("a", "1M")
    with pytest.raises(TypeError):
        client.create_pool("a", 1e6)
    with pytest.raises(ValueError):
        client.create_pool("a", -1)
    with pytest.raises(ValueError):
        client.create_pool("a", 2**64)
    with pytest.raises(UsageError):
        client.create_pool("a", 10)
    assert client.list_pools() == []


def test_create_and_open(client, tmp_path):
    path = str(tmp_path / "pools" / "a.plasmite")
    with pytest.raises(NotFoundError) as missing:
        client.open_pool("a")
    assert (str(missing.value), missing.value.path) == ("not found", path)
    assert (missing.value.kind, missing.value.seq) == (ErrorKind.NOT_FOUND, None)
    client.create_pool("a").close()
    with pytest.raises(AlreadyExistsError) as exists:
        client.create_pool("a")
    assert exists.value.path == path


def test_pool_opens_or_creates(client):
    with client.pool("a", 65536) as pool:
        pool.append({"n": 1})
    with client.pool("a", size_bytes=131072) as pool:
        assert pool.get(1).data == {"n": 1}
        assert pool.info().file_size == 65536


def test_a_damaged_file(client, tmp_path):
    client.create_pool("a").close()
    (tmp_path / "pools" / "a.plasmite").write_bytes(b"NOPE")
    for method in (client.open_pool, client.pool):
        with pytest.raises(CorruptError) as corrupt:
            method("a")
        assert corrupt.value.path.endswith("a.plasmite")


def test_a_closed_client_refuses_before_it_looks_at_arguments(client):
    client.close()
    client.close()
    assert client.closed
    for call in (
        lambda: client.create_pool("", -1),
        lambda: client.open_pool(""),
        lambda: client.pool(7),
        lambda: client.list_pools(),
        lambda: client.delete_pool(""),
    ):
        with pytest.raises(PlasmiteError, match="^plasmite: client is closed$") as closed:
            call()
        assert type(closed.value) is PlasmiteError
        assert closed.value.kind == ErrorKind.USAGE


def test_pools_outlive_their_client(tmp_path):
    with Client(tmp_path) as client:
        pool = client.pool("a")
    assert pool.append({"n": 1}).seq == 1
    pool.close()


def test_garbage_collection_closes(tmp_path):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    def leave_open():
        client = Client(tmp_path)
        pool = client.pool("a")
        stream = pool.open_stream()
        return client, pool, stream

    leave_open()
    gc.collect()
    before = descriptors()
    for _ in range(20):
        leave_open()
    gc.collect()
    assert descriptors() <= before


def test_garbage_collection_after_a_failed_init():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for argument in ("", 5):
            with pytest.raises((ValueError, TypeError)):
                Client(argument)
        client = Client.__new__(Client)
        client.close()
        del client
        gc.collect()


def test_list_and_delete(client, tmp_path):
    for name in ("b", "a", "c"):
        client.create_pool(name).close()
    (tmp_path / "pools" / "other.txt").write_text("")
    assert client.list_pools() == ["a", "b", "c"]
    with client.open_pool("b") as pool:
        client.delete_pool("b")
        assert client.list_pools() == ["a", "c"]
        assert pool.append({"n": 1}).seq == 1
    with pytest.raises(NotFoundError) as missing:
        client.delete_pool("b")
    assert missing.value.path.endswith("b.plasmite")
    with Client(Path(tmp_path) / "nowhere") as nowhere:
        assert nowhere.list_pools() == []


def test_an_error_of_the_library_has_its_hint(client):
    client.create_pool("a", 65536).close()
    with client.open_pool("a") as pool, pytest.raises(UsageError) as error:
        pool.append({"text": "x" * 70000})
    assert error.value.hint is None or isinstance(error.value.hint, str)
    with pytest.raises(AlreadyExistsError) as exists:
        client.create_pool("a")
    assert exists.value.hint is None or exists.value.hint != ""

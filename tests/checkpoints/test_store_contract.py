"""What every ObjectStore promises, asked of the real one and of the one that other tests use."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pytest import TempPathFactory

from simulator.checkpoints.folder_store import FolderStore
from simulator.checkpoints.store import FileVersion, ObjectStore, TransferAbandoned
from simulator.services.s3 import S3Service

from .memory_store import MemoryStore


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, s3: S3Service, bucket: str, tmp_path_factory: TempPathFactory) -> ObjectStore:
    match request.param:
        case "memory":
            return MemoryStore()
        case "folder":
            return FolderStore(tmp_path_factory.mktemp("store"))
    return s3.store(bucket, "jobs/one")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"weights")
    return path


def never() -> bool:
    return False


WEIGHTS = FileVersion(7, hashlib.sha256(b"weights").hexdigest())


def test_what_was_put_is_what_is_got(store: ObjectStore, file: Path, tmp_path: Path) -> None:
    assert store.put(file, "a/b", never) == WEIGHTS
    assert store.get("a/b", tmp_path / "back") == WEIGHTS
    assert (tmp_path / "back").read_bytes() == b"weights"


def test_an_empty_file_is_an_object(store: ObjectStore, file: Path) -> None:
    file.write_bytes(b"")
    assert store.put(file, "empty", never).bytes == 0
    assert [info.path for info in store.list()] == ["empty"]


def test_objects_are_listed_by_relative_path_with_their_size(store: ObjectStore, file: Path) -> None:
    for path in ("b", "a/x", "Ü ä+%?&#"):
        store.put(file, path, never)
    assert {info.path: info.bytes for info in store.list()} == {"b": 7, "a/x": 7, "Ü ä+%?&#": 7}


def test_a_second_put_replaces_the_object(store: ObjectStore, file: Path) -> None:
    store.put(file, "a", never)
    file.write_bytes(b"better weights")
    version = store.put(file, "a", never)
    assert store.digests() == {"a": version}


def test_the_digests_are_of_what_is_there(store: ObjectStore, file: Path) -> None:
    store.put(file, "a", never)
    assert store.digests() == {"a": WEIGHTS}


def test_an_abandoned_put_leaves_no_object(store: ObjectStore, file: Path) -> None:
    with pytest.raises(TransferAbandoned):
        store.put(file, "a", lambda: True)
    assert store.list() == []


def test_an_abandoned_get_leaves_no_file(store: ObjectStore, file: Path, tmp_path: Path) -> None:
    store.put(file, "a", never)
    with pytest.raises(TransferAbandoned):
        store.get("a", tmp_path / "back", lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_deleted_object_is_gone(store: ObjectStore, file: Path) -> None:
    store.put(file, "a", never)
    store.delete("a")
    assert store.list() == []


def test_deleting_what_is_not_there_is_no_error(store: ObjectStore) -> None:
    store.delete("nothing")


def test_a_local_file_that_vanished_is_file_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "nothing", "a", never)


def test_an_object_that_is_not_there_is_file_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.get("nothing", tmp_path / "back")
    assert list(tmp_path.iterdir()) == []

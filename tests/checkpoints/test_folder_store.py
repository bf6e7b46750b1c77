"""What the folder store promises beyond the port: any key, objects that are nobody else's file, files taken over."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.checkpoints.folder_store import FolderStore
from simulator.checkpoints.store import FileVersion
from simulator.core.errors import EnvironmentFailure


def never() -> bool:
    return False


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def put(store: FolderStore, path: str, content: bytes, tmp_path: Path) -> FileVersion:
    file = tmp_path / "to-put"
    file.write_bytes(content)
    return store.put(file, path, never)


AWKWARD = ["a", "a/b", "a/b/c", "a/", ".", "..", "../x", "=a", "a+", "%61", "ä", "x" * 200, "x" * 201, "x" * 1024]


def test_keys_that_no_folder_could_hold_beside_each_other_are_objects(store: FolderStore, tmp_path: Path) -> None:
    for key in AWKWARD:
        put(store, key, key.encode(), tmp_path)
    assert [info.path for info in store.list()] == sorted(AWKWARD)
    for key in AWKWARD:
        store.get(key, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == key.encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "store", "to-put"]


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(st.lists(KEYS.filter(lambda key: len(key.encode()) <= 1024), unique=True, max_size=5))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_keys_are_told_apart(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    store = FolderStore(folder / "store")
    for key in keys:
        put(store, key, key.encode(), folder)
    assert {info.path: info.bytes for info in store.list()} == {key: len(key.encode()) for key in keys}


def test_a_key_that_s3_does_not_take_is_refused_as_there(store: FolderStore, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="1024 bytes"):
        put(store, "x" * 1025, b"", tmp_path)


def test_a_file_that_was_fetched_and_written_in_place_leaves_the_object_as_it_was(
    store: FolderStore, tmp_path: Path
) -> None:
    version = put(store, "a", b"weights", tmp_path)
    store.get("a", tmp_path / "back")
    with (tmp_path / "back").open("r+b") as file:
        file.write(b"SCRATCH")
    with (tmp_path / "to-put").open("r+b") as file:
        file.write(b"SCRATCH")
    assert FolderStore(tmp_path / "store").digests() == {"a": version}


def test_an_adopted_file_takes_no_room_and_stays_as_it_was(store: FolderStore, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"one")
    version = FileVersion(3, hashlib.sha256(b"one").hexdigest())
    store.adopt(kept, "a/b", version)
    assert kept.stat().st_nlink == 2
    assert store.digests() == {"a/b": version}
    put(store, "a/b", b"two", tmp_path)
    store.delete("a/b")
    assert kept.read_bytes() == b"one"


def test_what_is_not_there_cannot_be_adopted(store: FolderStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.adopt(tmp_path / "nothing", "a", FileVersion(0, ""))
    assert store.list() == []


def test_a_file_that_grows_while_it_is_put_is_told_as_it_was_stored(store: FolderStore, tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b"x" * (3 << 20))
    asked = 0

    def grows() -> bool:
        nonlocal asked
        asked += 1
        with file.open("ab") as more:
            more.write(b"y")
        return False

    version = store.put(file, "a", grows)
    assert asked > 1
    assert FolderStore(tmp_path / "store").digests() == {"a": version}
    assert version.bytes == 3 << 20


def test_an_object_replaced_by_many_at_once_is_always_one_of_theirs(store: FolderStore, tmp_path: Path) -> None:
    contents = [bytes([65 + number]) * 200_000 for number in range(4)]
    told: list[bool] = []

    def replace(number: int) -> None:
        file = tmp_path / f"file-{number}"
        file.write_bytes(contents[number])
        for _ in range(20):
            store.put(file, "a", never)
            version = store.get("a", tmp_path / f"back-{number}")
            content = (tmp_path / f"back-{number}").read_bytes()
            told.append(version.digest == hashlib.sha256(content).hexdigest() and content in contents)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [True] * 80
    assert list((tmp_path / "store/aside").iterdir()) == []


def test_a_store_that_cannot_be_made_is_the_machines_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure):
        FolderStore(tmp_path / "file")

"""The folder is filled from S3 only, wholly or not at all, and never beyond its own walls."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.checkpoints.manifest import manifest_of
from simulator.checkpoints.restore import restore
from simulator.checkpoints.store import TransferAbandoned
from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Kind
from simulator.services.s3 import S3Service

from .conftest import Record
from .memory_store import MemoryStore


def never() -> bool:
    return False


def test_every_object_becomes_a_file(memory: MemoryStore, folder: Path, record: Record) -> None:
    memory.objects = {"a": b"1", "deep/er/b": b"22", "empty": b""}
    manifest = restore(memory, folder, record.emit, never)
    assert manifest == memory.digests() == manifest_of(folder)


def test_the_restore_is_told_with_its_bytes(memory: MemoryStore, folder: Path, record: Record) -> None:
    memory.objects = {"a": b"1", "b": b"22"}
    restore(memory, folder, record.emit, never)
    assert record.of(Kind.RESTORE_STARTED) == [{"objects": 2, "bytes": 3}]
    assert sorted(data["path"] for data in record.of(Kind.OBJECT_RESTORED)) == ["a", "b"]
    assert record.of(Kind.RESTORE_FINISHED)[0]["bytes"] == 3


def test_an_empty_prefix_restores_nothing(memory: MemoryStore, folder: Path, record: Record) -> None:
    assert restore(memory, folder, record.emit, never) == {}
    assert list(folder.iterdir()) == []
    assert record.of(Kind.RESTORE_FINISHED)[0]["objects"] == 0


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "", "a//b", "./a", "a/..", "a\0b"])
def test_an_object_never_leaves_the_folder(memory: MemoryStore, folder: Path, record: Record, path: str) -> None:
    memory.objects = {path: b"evil", "good": b"1"}
    assert list(restore(memory, folder, record.emit, never)) == ["good"]
    assert [found.name for found in folder.parent.rglob("*")] == ["checkpoints", "good"]
    assert len(record.of(Kind.WARNING)) == 1


def test_of_an_object_and_a_folder_of_the_same_name_the_folder_stays(
    memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.objects = {"a": b"1", "a/b": b"2"}
    assert list(restore(memory, folder, record.emit, never)) == ["a/b"]
    assert len(record.of(Kind.WARNING)) == 1


def test_a_name_that_no_file_can_have_is_left_out(memory: MemoryStore, folder: Path, record: Record) -> None:
    memory.objects = {"x" * 300: b"1", "a": b"2"}
    assert list(restore(memory, folder, record.emit, never)) == ["a"]
    assert len(record.of(Kind.WARNING)) == 1


def test_an_object_deleted_meanwhile_is_left_out(folder: Path, record: Record) -> None:
    class Vanishing(MemoryStore):
        def get(self, path: str, target: Path, is_abandoned=lambda: False):  # type: ignore[no-untyped-def]
            self.objects.pop("b", None)
            return super().get(path, target, is_abandoned)

    store = Vanishing()
    store.objects = {"a": b"1", "b": b"2"}
    assert list(restore(store, folder, record.emit, never)) == ["a"]


def test_an_instance_that_goes_while_restoring_stops_the_restore(
    memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.objects = {"a": b"1"}
    with pytest.raises(TransferAbandoned):
        restore(memory, folder, record.emit, lambda: bool(record.of(Kind.RESTORE_STARTED)))
    assert record.of(Kind.RESTORE_FINISHED) == []
    assert list(folder.iterdir()) == []


def test_checkpoints_larger_than_the_disk_are_an_environment_failure(folder: Path, record: Record) -> None:
    class Huge(MemoryStore):
        def list(self):  # type: ignore[no-untyped-def]
            return [type(info)(info.path, 1 << 60, info.etag) for info in super().list()]

    store = Huge()
    store.objects = {"a": b"1"}
    with pytest.raises(EnvironmentFailure, match="do not fit"):
        restore(store, folder, record.emit, never)


def test_a_full_disk_is_an_environment_failure_that_names_it(folder: Path, record: Record) -> None:
    class Full(MemoryStore):
        def get(self, path: str, target: Path, is_abandoned=lambda: False):  # type: ignore[no-untyped-def]
            raise OSError(28, "No space left on device")

    store = Full()
    store.objects = {"a": b"1"}
    with pytest.raises(EnvironmentFailure, match="cannot be written") as caught:
        restore(store, folder, record.emit, never)
    assert "No space left" in caught.value.why


def test_a_restore_from_s3_brings_the_siblings_of_a_prefix_without_slash(
    s3: S3Service, bucket: str, folder: Path, record: Record
) -> None:
    store = s3.store(bucket, "job-1")
    for key in ("job-1/a", "job-10/b", "job-1/../escape"):
        s3.client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    manifest = restore(store, folder, record.emit, never)
    assert sorted(manifest) == ["0/b", "a"]
    assert manifest == store.digests() == manifest_of(folder)


def test_restored_files_are_readable_by_every_user_of_the_instance(
    s3: S3Service, bucket: str, folder: Path, record: Record
) -> None:
    store = s3.store(bucket, "job")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=b"1")
    restore(store, folder, record.emit, never)
    assert (folder / "a").stat().st_mode & 0o777 == 0o644

"""The uploader while training runs, when the job ends by itself, and when the instance goes."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.checkpoints.folder import look
from simulator.checkpoints.restore import restore
from simulator.checkpoints.store import FileVersion, TransferAbandoned
from simulator.checkpoints.sync import SyncOptions
from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Kind
from simulator.services.s3 import S3Service

from .conftest import Record, SyncMaker, until
from .memory_store import MemoryStore

NEVER_SETTLES = SyncOptions(settle_seconds=3600, growing_seconds=3600)
PLAIN = SyncOptions(settle_seconds=0.05, uploader_markers=False)


def test_a_new_file_goes_up_and_every_step_is_told(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    syncing(memory).start()
    (folder / "a").write_bytes(b"weights")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    assert record.kinds("a") == [Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED]
    told = record.of(Kind.UPLOAD_FINISHED)[0]
    assert (told["bytes"], told["digest"]) == (7, hashlib.sha256(b"weights").hexdigest())
    assert told["lag_seconds"] >= told["seconds"] >= 0
    assert memory.objects == {"a": b"weights"}


def test_what_was_restored_does_not_go_up_again(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.objects = {"old": b"1"}
    restore(memory, folder, record.emit, lambda: False)
    sync = syncing(memory)
    sync.start()
    (folder / "new").write_bytes(b"2")
    record.saw(Kind.UPLOAD_FINISHED, "new")
    assert sync.flush(None)
    assert memory.puts == ["new"]


def test_what_the_script_wrote_before_the_sync_began_goes_up_when_the_baseline_lacks_it(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    (folder / "restored").write_bytes(b"1")
    baseline = look(folder).files
    (folder / "early").write_bytes(b"2")
    syncing(memory).start(baseline)
    record.saw(Kind.UPLOAD_FINISHED, "early")
    assert memory.puts == ["early"]


def test_a_changed_file_goes_up_again_each_version_once(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory)
    sync.start()
    for version in range(1, 4):
        (folder / "a").write_bytes(b"x" * version)
        record.saw(Kind.UPLOAD_FINISHED, "a", times=version)
    sync.flush(None)
    assert memory.puts == ["a", "a", "a"]
    assert memory.objects == {"a": b"xxx"}


def test_folders_made_later_are_watched_too(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    syncing(memory).start()
    (folder / "epoch/1").mkdir(parents=True)
    (folder / "epoch/1/a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "epoch/1/a")


def test_a_local_delete_deletes_the_object(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.objects = {"old": b"1", "kept": b"2"}
    restore(memory, folder, record.emit, lambda: False)
    syncing(memory).start()
    (folder / "old").unlink()
    record.saw(Kind.OBJECT_DELETED, "old")
    assert memory.objects == {"kept": b"2"}
    assert record.kinds("old")[-2:] == [Kind.FILE_DELETED, Kind.OBJECT_DELETED]


def test_a_rename_is_a_delete_and_a_new_file(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory)
    sync.start()
    (folder / "tmp").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "tmp")
    (folder / "tmp").rename(folder / "final")
    record.saw(Kind.UPLOAD_FINISHED, "final")
    record.saw(Kind.OBJECT_DELETED, "tmp")
    assert memory.objects == {"final": b"1"}


def test_a_file_that_came_and_went_unsent_deletes_no_object(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory, NEVER_SETTLES)
    sync.start()
    with (folder / "a").open("wb", buffering=0) as file:
        file.write(b"1")
        record.saw(Kind.FILE_CHANGED, "a")
        (folder / "a").unlink()
        record.saw(Kind.FILE_DELETED, "a")
    assert sync.flush(None)
    assert record.of(Kind.OBJECT_DELETED) == []


def test_an_object_that_appears_in_s3_later_is_not_copied_in(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory)
    sync.start()
    memory.objects["from-elsewhere"] = b"1"
    (folder / "a").write_bytes(b"2")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    sync.flush(None)
    assert not (folder / "from-elsewhere").exists()
    assert "from-elsewhere" in memory.objects


def test_a_file_still_being_written_is_not_settled(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    syncing(memory, NEVER_SETTLES).start()
    with (folder / "a").open("wb", buffering=0) as file:
        file.write(b"half")
        record.saw(Kind.FILE_CHANGED, "a")
        assert record.of(Kind.FILE_SETTLED) == []
        assert memory.puts == []
        file.write(b"whole")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    assert memory.objects == {"a": b"halfwhole"}
    assert memory.puts == ["a"]


def test_a_file_that_never_settles_goes_up_as_it_is(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    syncing(memory, SyncOptions(settle_seconds=3600, growing_seconds=0.05)).start()
    with (folder / "log").open("wb", buffering=0) as file:
        file.write(b"line 1\n")
        record.saw(Kind.UPLOAD_FINISHED, "log")
        assert memory.objects == {"log": b"line 1\n"}
        assert record.of(Kind.FILE_SETTLED) == []


def test_without_settling_growing_files_go_up_as_they_are(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    syncing(memory, SyncOptions(settle_seconds=0)).start()
    with (folder / "a").open("wb", buffering=0) as file:
        file.write(b"half")
        until(lambda: memory.objects.get("a") == b"half")
        file.write(b"whole")
        until(lambda: memory.objects.get("a") == b"halfwhole")


def test_a_file_that_changes_while_it_goes_up_goes_up_again(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.hold.clear()
    syncing(memory).start()
    (folder / "a").write_bytes(b"1")
    until(lambda: memory.puts == ["a"])
    (folder / "a").write_bytes(b"22")
    record.saw(Kind.FILE_CHANGED, "a", times=2)
    memory.hold.set()
    record.saw(Kind.UPLOAD_FINISHED, "a", times=2)
    assert memory.objects == {"a": b"22"}


def test_versions_overwritten_before_their_turn_never_go_up(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.hold.clear()
    sync = syncing(memory, SyncOptions(settle_seconds=0.05, workers=1))
    sync.start()
    (folder / "first").write_bytes(b"1")
    until(lambda: memory.puts == ["first"])
    for version in range(1, 4):
        (folder / "a").write_bytes(b"x" * version)
        record.saw(Kind.FILE_SETTLED, "a", times=version)
    memory.hold.set()
    sync.flush(None)
    assert memory.puts == ["first", "a"]


def test_an_upload_of_a_file_deleted_meanwhile_is_cut_and_leaves_no_object(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.hold.clear()
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_STARTED, "a")
    (folder / "a").unlink()
    record.saw(Kind.UPLOAD_FAILED, "a")
    sync.flush(None)
    assert memory.objects == {}
    assert sync.failure is None


def test_at_the_reclaim_the_upload_under_way_and_those_waiting_are_abandoned(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.hold.clear()
    sync = syncing(memory, SyncOptions(settle_seconds=0.05, workers=1))
    sync.start()
    (folder / "under-way").write_bytes(b"1")
    record.saw(Kind.UPLOAD_STARTED, "under-way")
    (folder / "waiting").write_bytes(b"22")
    record.saw(Kind.FILE_SETTLED, "waiting")
    sync.stop_at_once()
    assert sorted((data["path"], data["bytes"]) for data in record.of(Kind.UPLOAD_ABANDONED)) == [
        ("under-way", 1),
        ("waiting", 2),
    ]
    assert memory.objects == {}


def test_what_was_written_in_the_last_moment_is_told_as_abandoned(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory)
    sync.start()
    sync.freeze()
    (folder / "a").write_bytes(b"1")
    sync.stop_at_once()
    assert record.kinds("a")[0] is Kind.FILE_CHANGED
    assert record.kinds("a")[-1] is Kind.UPLOAD_ABANDONED
    assert memory.puts == []


def test_after_freeze_nothing_goes_up(syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record) -> None:
    memory.hold.clear()
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_STARTED, "a")
    sync.freeze()
    memory.hold.set()
    record.saw(Kind.UPLOAD_ABANDONED, "a")
    assert memory.objects == {}
    assert not sync.flush(None)


def test_a_deletion_after_the_reclaim_leaves_the_object(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.objects = {"a": b"1"}
    restore(memory, folder, record.emit, lambda: False)
    sync = syncing(memory)
    sync.start()
    sync.freeze()
    (folder / "a").unlink()
    sync.stop_at_once()
    assert memory.objects == {"a": b"1"}


def test_stopping_twice_tells_once(syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record) -> None:
    memory.hold.clear()
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_STARTED, "a")
    sync.stop_at_once()
    sync.stop_at_once()
    assert len(record.of(Kind.UPLOAD_ABANDONED)) == 1


def test_stopping_leaves_no_threads(syncing: SyncMaker, memory: MemoryStore) -> None:
    before = set(threading.enumerate())
    sync = syncing(memory)
    sync.start()
    sync.stop_at_once()
    assert set(threading.enumerate()) <= before


def test_a_sync_that_never_started_can_be_stopped(syncing: SyncMaker, memory: MemoryStore) -> None:
    syncing(memory).stop_at_once()


def test_a_job_that_ends_by_itself_gets_all_its_files_up(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory, NEVER_SETTLES)
    sync.start()
    for number in range(50):
        (folder / f"{number}").write_bytes(b"x" * number)
    assert sync.flush(None)
    assert memory.digests() == {
        f"{number}": FileVersion(number, hashlib.sha256(b"x" * number).hexdigest()) for number in range(50)
    }
    sync.stop_at_once()
    assert record.of(Kind.UPLOAD_ABANDONED) == []


def test_a_flush_that_runs_out_of_time_says_so(syncing: SyncMaker, memory: MemoryStore, folder: Path) -> None:
    memory.hold.clear()
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    assert not sync.flush(0.0)


def test_an_s3_that_died_is_the_syncs_failure_and_ends_the_flush(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.error = EnvironmentFailure("it cannot be uploaded", "S3 does not answer", "curl it")
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    assert not sync.flush(None)
    assert sync.failure is memory.error
    assert record.of(Kind.UPLOAD_FAILED, "a") == [{"path": "a", "error": "S3 does not answer"}]


def test_a_bug_in_a_thread_is_the_syncs_failure(syncing: SyncMaker, memory: MemoryStore, folder: Path) -> None:
    memory.error = ZeroDivisionError()
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    until(lambda: sync.failure is memory.error)


def test_a_local_error_of_one_file_does_not_stop_the_others(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    class Choosy(MemoryStore):
        def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
            if path == "bad":
                raise OSError(5, "Input/output error")
            return super().put(source, path, is_abandoned)

    store = Choosy()
    sync = syncing(store)
    sync.start()
    (folder / "bad").write_bytes(b"1")
    (folder / "good").write_bytes(b"2")
    assert sync.flush(None)
    assert store.objects == {"good": b"2"}
    assert len(record.of(Kind.UPLOAD_FAILED, "bad")) == 1
    assert len(record.of(Kind.WARNING)) == 1


def test_a_file_that_only_root_may_read_goes_up_after_access_was_granted(
    syncing: SyncMaker, folder: Path, record: Record
) -> None:
    granted: list[bool] = []

    class Closed(MemoryStore):
        def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
            if not granted:
                raise PermissionError(13, "Permission denied")
            return super().put(source, path, is_abandoned)

    store = Closed()
    syncing(store, grant_access=lambda: granted.append(True)).start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    assert granted == [True]


def test_files_of_a_folder_that_cannot_be_read_are_not_taken_for_deleted(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.objects = {"sub/a": b"1"}
    restore(memory, folder, record.emit, lambda: False)
    asked: list[bool] = []
    sync = syncing(memory, grant_access=lambda: asked.append(True))
    sync.start()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    until(lambda: record.of(Kind.WARNING))
    sync.flush(None)
    assert asked == [True]
    assert record.of(Kind.FILE_DELETED) == []
    assert memory.objects == {"sub/a": b"1"}


def test_markers_appear_beside_the_file_while_and_after_it_goes_up(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    memory.hold.clear()
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    until(lambda: sorted(path.name for path in folder.iterdir()) == ["a", "a.sagemaker-uploading"])
    memory.hold.set()
    record.saw(Kind.UPLOAD_FINISHED, "a")
    assert sorted(path.name for path in folder.iterdir()) == ["a", "a.sagemaker-uploaded"]
    assert sync.flush(None)
    assert memory.puts == ["a"]


def test_the_markers_of_a_deleted_file_go_with_it(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    (folder / "a").unlink()
    record.saw(Kind.OBJECT_DELETED, "a")
    until(lambda: list(folder.iterdir()) == [])


def test_the_marker_of_a_file_that_goes_up_again_in_no_time_stays_where_it_is(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.checkpoints.sync.MARKED_AFTER_SECONDS", 600)
    syncing(memory).start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    memory.hold.clear()
    (folder / "a").write_bytes(b"22")
    until(lambda: memory.puts == ["a", "a"])
    assert sorted(path.name for path in folder.iterdir()) == ["a", "a.sagemaker-uploaded"]
    memory.hold.set()


def test_a_script_that_removes_a_folder_never_loses_a_race_for_its_markers(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    sync = syncing(memory)
    sync.start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    until(lambda: (folder / "a.sagemaker-uploaded").exists())
    listed = [path for path in folder.iterdir() if path.name != "a"]
    (folder / "a").unlink()
    record.saw(Kind.OBJECT_DELETED, "a")  # the uploader has seen it all
    for path in listed:
        path.unlink()


def test_markers_can_be_left_out(syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record) -> None:
    syncing(memory, PLAIN).start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_markers_that_cannot_be_written_are_one_warning_and_no_failure(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    asked: list[bool] = []
    sync = syncing(memory, grant_access=lambda: asked.append(True))
    sync.start()
    for name in ("a", "b"):
        (folder / name).write_bytes(b"1")
    assert sync.flush(None)
    assert sorted(memory.objects) == ["a", "b"]
    assert asked == [True]
    assert len(record.of(Kind.WARNING)) == 1


def test_a_link_that_leads_outside_is_warned_of_once(
    syncing: SyncMaker, memory: MemoryStore, folder: Path, record: Record
) -> None:
    (folder.parent / "secret").write_bytes(b"1")
    sync = syncing(memory)
    sync.start()
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "a").write_bytes(b"1")
    assert sync.flush(None)
    assert memory.puts == ["a"]
    assert len(record.of(Kind.WARNING)) == 1


def test_a_link_within_the_folder_goes_up_as_the_file_it_leads_to(
    syncing: SyncMaker, memory: MemoryStore, folder: Path
) -> None:
    sync = syncing(memory)
    sync.start()
    (folder / "epoch-3").write_bytes(b"weights")
    (folder / "last").symlink_to("epoch-3")
    assert sync.flush(None)
    assert memory.objects == {"epoch-3": b"weights", "last": b"weights"}


def test_the_folder_and_s3_agree_after_a_run_on_real_s3(
    syncing: SyncMaker, s3: S3Service, bucket: str, folder: Path, record: Record, tmp_path: Path
) -> None:
    store = s3.store(bucket, "job")
    sync = syncing(store)
    sync.start()
    for number in range(100):
        (folder / f"small-{number}").write_bytes(os.urandom(100))
    (folder / "big").write_bytes(os.urandom(40 << 20))
    (folder / "small-0").unlink()
    assert sync.flush(None)
    durable = store.digests()
    back = tmp_path / "back"
    back.mkdir()
    assert len(durable) == 100
    assert restore(s3.store(bucket, "job"), back, record.emit, lambda: False) == durable


def test_a_big_upload_cut_by_the_reclaim_is_not_in_s3(
    syncing: SyncMaker, s3: S3Service, bucket: str, folder: Path, record: Record
) -> None:
    store = s3.store(bucket, "job")
    sync = syncing(store)
    sync.start()
    (folder / "big").write_bytes(os.urandom(64 << 20))
    record.saw(Kind.UPLOAD_STARTED, "big")
    sync.stop_at_once()
    assert record.kinds("big")[-1] is Kind.UPLOAD_ABANDONED
    assert store.digests() == {}


def test_an_abandoned_transfer_is_no_failure(syncing: SyncMaker, folder: Path, record: Record) -> None:
    class Abandoning(MemoryStore):
        def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
            until(is_abandoned)
            raise TransferAbandoned(path)

    sync = syncing(Abandoning())
    sync.start()
    (folder / "a").write_bytes(b"1")
    record.saw(Kind.UPLOAD_STARTED, "a")
    sync.stop_at_once()
    assert sync.failure is None

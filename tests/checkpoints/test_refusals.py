"""An S3 that refuses for now: asked again, never told to hold what it does not, and given up when patience ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.checkpoints.restore import restore
from simulator.checkpoints.s3 import PART_BYTES, S3Store
from simulator.checkpoints.s3_client import make_s3_client
from simulator.checkpoints.store import FileVersion, StoreUnavailable, TransferAbandoned
from simulator.checkpoints.sync import SyncOptions
from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Kind
from simulator.services.fault_proxy import FaultProxy
from simulator.services.s3 import S3Service
from simulator.services.wire_faults import Harm, WireFault, WirePlan

from .conftest import Record, SyncMaker, until
from .memory_store import MemoryStore

REFUSED = StoreUnavailable("a cannot be uploaded", "the S3 answered SlowDown", "wait")
SLOW_DOWN = WireFault(Harm.ERROR, status=503, code="SlowDown")


class RefusingStore(MemoryStore):
    """Refuses the first so many puts and deletes."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise REFUSED

    def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
        self._refuse()
        return super().put(source, path, is_abandoned)

    def delete(self, path: str, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        self._refuse()
        super().delete(path, is_abandoned)


def test_a_refused_upload_is_tried_again_and_told_once(syncing: SyncMaker, folder: Path, record: Record) -> None:
    store = RefusingStore(2)
    sync = syncing(store)
    sync.start()
    (folder / "a").write_bytes(b"weights")
    record.saw(Kind.UPLOAD_FINISHED, "a")
    assert [kind for kind in record.kinds("a") if "upload" in kind] == [
        *(Kind.UPLOAD_STARTED, Kind.UPLOAD_FAILED) * 2,
        *(Kind.UPLOAD_STARTED, Kind.UPLOAD_FINISHED),
    ]
    assert store.objects == {"a": b"weights"}
    assert sync.failure is None
    assert len([w for w in record.of(Kind.WARNING) if "SlowDown" in w["message"]]) == 1


def test_the_last_flush_waits_for_what_is_refused(syncing: SyncMaker, folder: Path, record: Record) -> None:
    store = RefusingStore(2)
    sync = syncing(store)
    sync.start()
    (folder / "a").write_bytes(b"weights")
    assert sync.flush(None)
    assert store.objects == {"a": b"weights"}


def test_a_refused_delete_is_tried_again(syncing: SyncMaker, folder: Path, record: Record) -> None:
    store = RefusingStore(0)
    store.objects = {"a": b"1"}
    (folder / "a").write_bytes(b"1")
    syncing(store).start()
    store.refusals = 2
    (folder / "a").unlink()
    record.saw(Kind.OBJECT_DELETED, "a")
    assert store.objects == {}


def test_when_patience_ends_the_run_ends_for_it_and_nothing_is_told_durable(
    syncing: SyncMaker, folder: Path, record: Record
) -> None:
    sync = syncing(RefusingStore(1_000_000), SyncOptions(settle_seconds=0.01, patience_seconds=0.3))
    sync.start()
    (folder / "a").write_bytes(b"weights")
    until(lambda: sync.failure is not None)
    assert sync.failure is REFUSED
    assert record.of(Kind.UPLOAD_FINISHED) == []


def test_a_success_renews_the_patience(syncing: SyncMaker, folder: Path, record: Record) -> None:
    store = RefusingStore(1)
    sync = syncing(store, SyncOptions(settle_seconds=0.01, patience_seconds=0.15))
    sync.start()
    for number in range(1, 4):
        store.refusals = 1
        (folder / "a").write_bytes(b"x" * number)
        record.saw(Kind.UPLOAD_FINISHED, "a", times=number)
    assert sync.failure is None


def test_what_is_refused_when_the_instance_goes_is_lost(syncing: SyncMaker, folder: Path, record: Record) -> None:
    store = RefusingStore(1_000_000)
    sync = syncing(store)
    sync.start()
    (folder / "a").write_bytes(b"weights")
    record.saw(Kind.UPLOAD_FAILED, "a", times=2)
    sync.freeze()
    store.refusals = 0
    sync.stop_at_once()
    assert store.objects == {}
    assert [lost["path"] for lost in record.of(Kind.UPLOAD_ABANDONED)] == ["a"]


@contextmanager
def harmed(
    s3: S3Service, bucket: str, *faults: WireFault, patience_seconds: float = 30.0, own_attempts: bool = False
) -> Iterator[tuple[S3Store, WirePlan]]:
    """A store whose requests pass a layer that does harm; without the client's own attempts, which cost seconds."""
    s3.store(bucket, "job")
    plan = WirePlan(faults)
    assert s3.endpoint is not None
    with FaultProxy(s3.endpoint, plan) as proxy:
        client = make_s3_client(proxy.endpoint_url, read_seconds=5)
        if not own_attempts:
            client.meta.events.register_first("needs-retry.s3.*", lambda **_: False)
        store = S3Store(client, bucket, "job", patience_seconds)
        try:
            yield store, plan
        finally:
            store.close()
            client.close()


@pytest.mark.parametrize(
    "fault",
    [
        WireFault(Harm.TRUNCATE, ("GetObject",), count=2),
        WireFault(Harm.RESET, ("GetObject",), count=2),
        WireFault(Harm.ERROR, ("GetObject",), count=2, status=500, code="InternalError"),
        WireFault(Harm.ERROR, ("ListObjectsV2",), count=2, status=503, code="SlowDown"),
    ],
    ids=lambda fault: f"{fault.harm}-{fault.operations[0]}",
)
def test_a_restore_asks_again_until_it_is_whole(
    s3: S3Service, bucket: str, folder: Path, record: Record, fault: WireFault
) -> None:
    content = os.urandom(700_000)
    s3.store(bucket, "job")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=content)
    with harmed(s3, bucket, fault) as (store, plan):
        restore(store, folder, record.emit, lambda: False)
    assert (folder / "a").read_bytes() == content
    assert [file.name for file in folder.iterdir()] == ["a"]
    assert plan.done == [2]


def test_a_restore_whose_patience_ends_fails_for_the_environment_and_leaves_no_half_file(
    s3: S3Service, bucket: str, folder: Path, record: Record
) -> None:
    s3.store(bucket, "job")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=b"x" * 100_000)
    cut = WireFault(Harm.TRUNCATE, ("GetObject",), count=None)
    with harmed(s3, bucket, cut, patience_seconds=0.3) as (store, _), pytest.raises(EnvironmentFailure):
        restore(store, folder, record.emit, lambda: False)
    assert list(folder.iterdir()) == []
    assert record.of(Kind.OBJECT_RESTORED) == []


def test_a_reclaim_ends_a_restore_that_waits(s3: S3Service, bucket: str, folder: Path, record: Record) -> None:
    s3.store(bucket, "job")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=b"x")
    refuse = WireFault(Harm.ERROR, ("GetObject",), count=None, status=503, code="SlowDown")
    with harmed(s3, bucket, refuse) as (store, plan), pytest.raises(TransferAbandoned):
        restore(store, folder, record.emit, lambda: plan.done[0] >= 2)


def test_an_upload_whose_completion_was_not_answered_is_found_complete(
    s3: S3Service, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(os.urandom(PART_BYTES + 1))
    lost = WireFault(Harm.ANSWER_LOST, ("CompleteMultipartUpload",))
    with harmed(s3, bucket, lost, own_attempts=True) as (store, plan):
        version = store.put(tmp_path / "a", "a", lambda: False)
        assert store.digests() == {"a": version}
    assert plan.done == [1]
    assert s3.store(bucket, "job").digests() == {"a": version}


def test_an_upload_that_was_never_completed_is_not_taken_for_one(s3: S3Service, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(PART_BYTES + 1))
    s3.store(bucket, "job")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=b"an older version")
    missing = WireFault(Harm.ERROR, ("CompleteMultipartUpload",), count=None, status=404, code="NoSuchUpload")
    with harmed(s3, bucket, missing) as (store, _), pytest.raises(EnvironmentFailure, match="cannot be uploaded"):
        store.put(tmp_path / "a", "a", lambda: False)
    assert s3.client.get_object(Bucket=bucket, Key="job/a")["Body"].read() == b"an older version"


@pytest.mark.parametrize("size", [10, 400_000, PART_BYTES + 1])
def test_the_clients_own_attempts_end_with_the_instance(s3: S3Service, bucket: str, tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    refuse = WireFault(Harm.ERROR, ("PutObject", "CompleteMultipartUpload"), count=None, status=503, code="SlowDown")
    with harmed(s3, bucket, refuse, own_attempts=True) as (store, plan), pytest.raises(TransferAbandoned):
        store.put(tmp_path / "a", "a", lambda: plan.done[0] > 0)
    assert plan.done == [1]


def test_no_object_is_deleted_once_the_instance_is_gone(s3: S3Service, bucket: str) -> None:
    s3.store(bucket, "job")
    s3.client.put_object(Bucket=bucket, Key="job/a", Body=b"x")
    refuse = WireFault(Harm.ERROR, ("DeleteObject",), status=503, code="SlowDown")
    with harmed(s3, bucket, refuse, own_attempts=True) as (store, plan), pytest.raises(TransferAbandoned):
        store.delete("a", lambda: plan.done[0] > 0)
    assert s3.client.get_object(Bucket=bucket, Key="job/a")["Body"].read() == b"x"


def test_what_will_not_pass_ends_at_once_and_says_what_to_do(s3: S3Service, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    denied = WireFault(Harm.ERROR, ("PutObject",), count=None, status=403, code="AccessDenied", message="Access Denied")
    with harmed(s3, bucket, denied) as (store, plan), pytest.raises(EnvironmentFailure) as caught:
        store.put(tmp_path / "a", "a", lambda: False)
    assert not isinstance(caught.value, StoreUnavailable)
    assert "AccessDenied" in caught.value.why
    assert "s3:GetObject" in caught.value.next_step
    assert plan.done == [1]


def test_a_server_that_is_known_to_have_died_is_not_waited_for(s3: S3Service, bucket: str) -> None:
    died = EnvironmentFailure("moto died", "its process ended", "start the run again")

    def check() -> None:
        raise died

    s3.store(bucket, "job")
    with harmed(s3, bucket, SLOW_DOWN) as (store, plan):
        store._check = check
        with pytest.raises(EnvironmentFailure) as caught:
            store.list()
    assert caught.value is died
    assert plan.done == [1]

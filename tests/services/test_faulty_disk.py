"""A disk that is full, read-only or slow: as the kernel has it, for as long as it was told, and gone afterwards."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.checkpoints.store import TransferAbandoned
from simulator.runtimes.ownership import sweep_scratch
from simulator.services.faulty_disk import (
    DiskFault,
    DiskHarm,
    DiskTrouble,
    FaultyDisk,
    SlowDiskStore,
    why_no_mounts,
)
from tests.checkpoints.memory_store import MemoryStore

mounts = pytest.mark.skipif(bool(why_no_mounts()), reason=f"mounting {why_no_mounts()}")


def refused(write: Callable[[], object]) -> int | None:
    with pytest.raises(OSError) as caught:
        write()
    return caught.value.errno


@mounts
def test_a_full_disk_takes_no_more_and_keeps_what_it_has(tmp_path: Path) -> None:
    with FaultyDisk(tmp_path) as disk:
        (tmp_path / "old").write_bytes(b"x" * 100_000)
        disk.fill()
        assert refused(lambda: (tmp_path / "new").write_bytes(b"x" * 10_000)) == errno.ENOSPC
        assert (tmp_path / "old").read_bytes() == b"x" * 100_000
        disk.mend()
        (tmp_path / "new").write_bytes(b"x" * 10_000)


@mounts
def test_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    with FaultyDisk(tmp_path) as disk:
        (tmp_path / "old").write_bytes(b"x")
        disk.make_read_only()
        assert refused((tmp_path / "new").touch) == errno.EROFS
        assert (tmp_path / "old").read_bytes() == b"x"


@mounts
def test_nothing_is_left_of_a_disk(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path).start()
    (tmp_path / "file").write_bytes(b"x")
    disk.close()
    disk.close()
    assert list(tmp_path.iterdir()) == []
    assert not tmp_path.is_mount()


@mounts
def test_the_sweep_takes_the_disk_of_a_killed_harness_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    scratch = tmp_path / "spot-simulator-abandoned"
    (scratch / "disk").mkdir(parents=True)
    (scratch / "owner").write_text("nobody")
    FaultyDisk(scratch / "disk").start()
    (scratch / "disk" / "checkpoint").write_bytes(b"x")
    assert sweep_scratch() == ["folder spot-simulator-abandoned"]
    assert not scratch.exists()


@mounts
def test_harm_begins_with_its_write_and_ends_with_the_instance(tmp_path: Path) -> None:
    with FaultyDisk(tmp_path) as disk:
        trouble = DiskTrouble(disk, DiskFault(DiskHarm.FULL, first=2))
        trouble.write_seen()
        (tmp_path / "a").write_bytes(b"x")
        assert trouble.done == 0
        trouble.write_seen()
        trouble.settle()
        assert trouble.done == 1
        assert refused(lambda: (tmp_path / "b").write_bytes(b"x" * 10_000)) == errno.ENOSPC
        trouble.instance_goes()
        (tmp_path / "b").write_bytes(b"x" * 10_000)


def test_a_slow_disk_loses_nothing(tmp_path: Path) -> None:
    memory = MemoryStore()
    store = SlowDiskStore(memory, 1e6)
    (tmp_path / "a").write_bytes(b"x" * 1000)
    version = store.put(tmp_path / "a", "a", lambda: False)
    assert store.get("a", tmp_path / "back") == version
    assert (tmp_path / "back").read_bytes() == b"x" * 1000
    assert store.done == 2


def test_an_instance_that_goes_does_not_wait_for_its_slow_disk(tmp_path: Path) -> None:
    memory = MemoryStore()
    memory.objects = {"a": b"x" * 1000}
    store = SlowDiskStore(memory, 0.001)
    (tmp_path / "a").write_bytes(b"x" * 1000)
    looks = iter([False])
    with pytest.raises(TransferAbandoned):
        store.put(tmp_path / "a", "b", lambda: next(looks, True))
    looks = iter([False])
    with pytest.raises(TransferAbandoned):
        store.get("a", tmp_path / "back", lambda: next(looks, True))
    assert "b" not in memory.objects
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "fault",
    [DiskFault(DiskHarm.FULL, 3, 1.5), DiskFault(DiskHarm.READ_ONLY), DiskFault(DiskHarm.SLOW, bytes_per_second=2e6)],
)
def test_what_is_written_of_a_fault_is_read_back(fault: DiskFault) -> None:
    assert DiskFault.from_dict(fault.as_dict()) == fault

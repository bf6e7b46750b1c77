"""Carries a trial's faults out around its run, and says afterwards what was really done and what was told wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator.checkpoints.s3 import PART_BYTES, S3Store
from simulator.checkpoints.s3_client import make_s3_client
from simulator.checkpoints.store import ObjectStore
from simulator.core.timeline import Event, Kind
from simulator.explore.audit import Audit
from simulator.explore.faults import ANSWER_SECONDS, Faults
from simulator.services.fault_proxy import FaultProxy
from simulator.services.faulty_disk import DiskFault, DiskHarm, DiskTrouble, FaultyDisk, SlowDiskStore
from simulator.services.s3 import S3Service
from simulator.services.wire_faults import Harm, WirePlan

DISK = "disk"  # the folder below a run's scratch that a faulty disk is mounted on


@dataclass(frozen=True)
class Evidence:
    """What was seen beside the timeline. `times`: how often each harm was done, those to requests first. `claims`: how
    many files were told durable or restored; `falsehoods`: which of that was not so. `left`: what the run left behind
    of its instances (not on a disk of the trial's own, which is gone with it). `operations`: how many requests of
    each kind came, retries too."""

    times: tuple[int, ...]
    claims: int = 0
    falsehoods: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    operations: dict[str, int] = field(default_factory=dict)

    @property
    def happened(self) -> bool:
        """Whether any of it did."""
        return any(self.times)


@dataclass
class Harmed:
    """What a run under faults works with: its store, its scratch folder, and a listener for its recorder."""

    store: ObjectStore
    scratch: Path
    _audit: Audit
    _plan: WirePlan
    _slow: list[SlowDiskStore]
    _troubles: list[DiskTrouble]

    def on_event(self, event: Event) -> None:
        """To be among the recorder's listeners."""
        if event.kind is Kind.FILE_CHANGED:
            for trouble in self._troubles:
                trouble.write_seen()
        if event.kind is Kind.ATTEMPT_ENDED:
            for trouble in self._troubles:
                trouble.instance_goes()
        self._audit.on_event(event)

    def evidence(self) -> Evidence:
        """To be asked when the run has ended, within the context. Raises EnvironmentFailure where a disk could not be
        made to fail."""
        for trouble in self._troubles:
            trouble.close()
            if trouble.failure is not None:
                raise trouble.failure
        left = [] if self._troubles else sorted(path.name for path in self.scratch.glob("attempt-*"))
        return Evidence(
            (*self._plan.done, *(store.done for store in self._slow), *(trouble.done for trouble in self._troubles)),
            self._audit.claims,
            tuple(self._audit.falsehoods),
            tuple(left),
            self._plan.operations,
        )


@contextmanager
def harmed(s3: S3Service, bucket: str, prefix: str, scratch: Path, faults: Faults) -> Iterator[Harmed]:
    """Within, what the run does by `store` and in `scratch` meets the faults; `s3` itself stays as it is, and its
    prefix should be empty. A disk's faults need root, and a runtime that starts every attempt anew: a process that
    was there before the mount does not see it. Raises EnvironmentFailure."""
    with ExitStack() as stack:
        direct = s3.store(bucket, prefix)
        plan = WirePlan(faults.wire)
        assert s3.endpoint is not None
        proxy = stack.enter_context(FaultProxy(s3.endpoint, plan, s3.restart))
        client = make_s3_client(proxy.endpoint_url, read_seconds=ANSWER_SECONDS)
        stack.callback(client.close)
        passing = S3Store(
            client,
            bucket,
            prefix,
            faults.patience_seconds,
            s3.check,
            multipart_above=0 if faults.in_parts else PART_BYTES,
        )
        stack.callback(passing.close)
        store, slow = _on_slow_disks(passing, faults.disk)
        place, troubles = scratch, []
        mounted = [fault for fault in faults.disk if fault.needs_root]
        if mounted:
            place = scratch / DISK
            place.mkdir()
            disk = stack.enter_context(FaultyDisk(place))
            troubles = [DiskTrouble(disk, fault) for fault in mounted]
            for trouble in troubles:
                stack.callback(trouble.close)

        def is_emptied() -> bool:
            return any(times for times, fault in zip(plan.done, plan.faults, strict=True) if fault.harm is Harm.RESTART)

        yield Harmed(store, place, Audit(direct, is_emptied), plan, slow, troubles)


def _on_slow_disks(store: ObjectStore, faults: tuple[DiskFault, ...]) -> tuple[ObjectStore, list[SlowDiskStore]]:
    slow = []
    for fault in faults:
        if fault.harm is DiskHarm.SLOW:
            store = SlowDiskStore(store, fault.bytes_per_second)
            slow.append(store)
    return store, slow

"""What goes wrong in a trial, and trials of it: drawn by a seed, and by it alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulator.checkpoints.patience import PATIENCE_SECONDS
from simulator.core.errors import UsageError
from simulator.engine.equipment import EngineOptions
from simulator.explore.fault_catalogue import CATALOGUE, Fault
from simulator.explore.trial import Schedule, Trial
from simulator.services.faulty_disk import DiskFault, DiskHarm
from simulator.services.wire_faults import Harm, WireFault

SHORT_PATIENCE_SECONDS = 5.0
"""Of trials whose fault does not pass: the minute that a run has otherwise would be spent waiting for what is known."""
ANSWER_SECONDS = 1.0
"""How long a trial's S3 client waits for an answer, in place of 300 s, so that a timeout fits into a search."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong in one trial, as `Trial.faults` carries it."""

    names: tuple[str, ...]
    wire: tuple[WireFault, ...] = ()
    disk: tuple[DiskFault, ...] = ()
    passes: bool = True

    def __str__(self) -> str:
        return " and ".join(
            [
                *(_wire_sentence(name, fault) for name, fault in zip(self.names, self.wire, strict=False)),
                *(_disk_sentence(fault) for fault in self.disk),
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """As `Trial.faults` and files have it."""
        return {
            "names": list(self.names),
            "passes": self.passes,
            "wire": [fault.as_dict() for fault in self.wire],
            "disk": [fault.as_dict() for fault in self.disk],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Faults:
        """Read back. Raises UsageError for anything else."""
        try:
            return cls(
                tuple(str(name) for name in fields.get("names", ())),
                tuple(WireFault.from_dict(fault) for fault in fields.get("wire", ())),
                tuple(DiskFault.from_dict(fault) for fault in fields.get("disk", ())),
                bool(fields.get("passes", True)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                "the trial's faults are not understood",
                f"{type(error).__name__}: {error}",
                "let `spot-simulator explore faults` write the file again",
            ) from error

    @property
    def in_parts(self) -> bool:
        """Whether files of every size have to go up by multipart, or small checkpoints would never meet the fault."""
        return any("Multipart" in operation or "Part" in operation for f in self.wire for operation in f.operations)

    @property
    def patience_seconds(self) -> float:
        """How long the run asks an S3 that refuses."""
        return PATIENCE_SECONDS if self.passes else SHORT_PATIENCE_SECONDS

    def options(self, options: EngineOptions) -> EngineOptions:
        """The engine's options for a run under these."""
        return replace(options, sync=replace(options.sync, patience_seconds=self.patience_seconds))


def fault_trials(schedules: Sequence[Schedule], seed: int, most: int, why_no_mounts: str = "") -> Iterator[Trial]:
    """Up to `most` trials, the same for the same arguments: every fault of the catalogue once, in an order of the
    seed's, then again with other draws, every third time two that pass together; each under one of `schedules`.
    `why_no_mounts`: why no disk can be mounted, empty where it can; see `not_tried`."""
    if not schedules:
        return
    able = [fault for fault in CATALOGUE if not (why_no_mounts and fault.needs_root)]
    seen: set[str] = set()
    number = 0
    for round_ in range(1 + 4 * most // len(able)):
        chance = random.Random(f"{seed}:{round_}")
        for fault in chance.sample(able, len(able)):
            others = [other for other in able if other.passes and other is not fault]
            pair = [fault, chance.choice(others)] if round_ % 3 == 2 and fault.passes else [fault]
            faults, schedule = _together(pair, chance), chance.choice(schedules)
            label = f"{faults}; {schedule}"
            if label in seen:
                continue
            seen.add(label)
            number += 1
            if number > most:
                return
            yield Trial(number, schedule, label, faults=faults.as_dict())


def not_tried(why_no_mounts: str) -> list[str]:
    """What a search here leaves out, a sentence each."""
    return [
        f"{fault.name} ({fault.imitates}): not tried: {why_no_mounts}"
        for fault in CATALOGUE
        if why_no_mounts and fault.needs_root
    ]


def _together(faults: Sequence[Fault], chance: random.Random) -> Faults:
    drawn = [fault.draw(chance) for fault in faults]
    return Faults(
        tuple(fault.name for fault in sorted(faults, key=lambda fault: not fault.draw(random.Random(0))[0])),
        tuple(fault for wire, _ in drawn for fault in wire),
        tuple(fault for _, disk in drawn for fault in disk),
        all(fault.passes for fault in faults),
    )


def _wire_sentence(name: str, fault: WireFault) -> str:
    if fault.harm is Harm.BANDWIDTH:
        return f"{name}: {fault.bytes_per_second / 1e6:g} MB/s"
    requests = " or ".join(fault.operations) or "request"
    many = "for good" if fault.count is None else f"{fault.count} time{'s' if fault.count != 1 else ''}"
    return f"{name}: from {requests} {fault.first} on, {many}"


def _disk_sentence(fault: DiskFault) -> str:
    if fault.harm is DiskHarm.SLOW:
        return f"the disk reads and writes {fault.bytes_per_second / 1e6:g} MB/s"
    return (
        f"the disk is {fault.harm} from write {fault.first} on, "
        f"{'until the instance goes' if fault.seconds is None else f'for {fault.seconds:g} s'}"
    )

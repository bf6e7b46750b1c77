"""What can go wrong on the way to S3 and on the instance's disk, and trials of it: drawn by a seed, and by it alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulator.checkpoints.patience import PATIENCE_SECONDS
from simulator.core.errors import UsageError
from simulator.engine.job_run import EngineOptions
from simulator.explore.trial import Schedule, Trial
from simulator.services.faulty_disk import DiskFault, DiskHarm
from simulator.services.wire_faults import Harm, WireFault

GOOD_BANDWIDTH = 1_000_000.0
SLOW_DISK = 2_000_000.0
SHORT_PATIENCE_SECONDS = 5.0
"""Of trials whose fault does not pass: the minute that a run has otherwise would be spent waiting for what is known."""
ANSWER_SECONDS = 2.0
"""How long a trial's S3 client waits for an answer, in place of 300 s, so that a timeout fits into a search."""

_TRANSFERS = ("PutObject", "GetObject", "UploadPart")
_ALL: tuple[str, ...] = ()
_PERFORMANCE = "Best practices design patterns: optimizing Amazon S3 performance, Amazon S3 User Guide"
_ERRORS = "Error responses, Amazon S3 API Reference"
_FIVES = "How do I troubleshoot HTTP 5xx errors from Amazon S3?, AWS re:Post Knowledge Center"
_CONNECTION = "Retry behavior, AWS SDKs and Tools Reference Guide: connection errors are transient"
_VOLUMES = "Managing storage paths for different types of instance local storage, SageMaker Developer Guide"
_COMPLETE = "CompleteMultipartUpload, Amazon S3 API Reference"

Harms = tuple[tuple[WireFault, ...], tuple[DiskFault, ...]]


@dataclass(frozen=True)
class Fault:
    """A fault of the catalogue. `imitates`: what goes wrong, `source`: where that is documented. `passes`: whether a
    run has to outlast it; where not, ending as the environment's failure is as right. `draw` decides from which
    request on, and how many."""

    name: str
    imitates: str
    source: str
    passes: bool
    draw: Callable[[random.Random], Harms]

    @property
    def needs_root(self) -> bool:
        """Whether it takes a mount."""
        return any(fault.needs_root for fault in self.draw(random.Random(0))[1])


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


def _wire(harm: Harm, operations: tuple[str, ...], most_first: int, counts: tuple[int, int] | None, **more: Any) -> Any:
    """Draws a fault: from one of the first requests on; so many of them, None for all."""

    def draw(chance: random.Random) -> Harms:
        count = None if counts is None else chance.randint(*counts)
        return (WireFault(harm, operations, chance.randint(1, most_first), count, **more),), ()

    return draw


def _error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"status": status, "code": code, "message": message}


def _disk(harm: DiskHarm, seconds: float | None) -> Any:
    return lambda chance: ((), (DiskFault(harm, chance.randint(2, 4), seconds),))


_SLOW_DOWN = _error(503, "SlowDown", "Please reduce your request rate.")
_SKEWED = _error(
    403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large."
)

CATALOGUE: tuple[Fault, ...] = (
    Fault(
        "slow-down",
        "S3 throttles a prefix: 503 SlowDown, request after request",
        _FIVES,
        True,
        _wire(Harm.ERROR, _ALL, 20, (2, 8), **_SLOW_DOWN),
    ),
    Fault(
        "internal-error",
        "S3 answers 500 InternalError",
        _FIVES,
        True,
        _wire(Harm.ERROR, _ALL, 20, (1, 5), **_error(500, "InternalError", "We encountered an internal error.")),
    ),
    Fault(
        "late-answer",
        "S3 answers late, each request by 0.7 s",
        _PERFORMANCE,
        True,
        _wire(Harm.DELAY, _ALL, 10, (3, 8), seconds=0.7),
    ),
    Fault(
        "no-answer",
        "S3 does not answer, until the client gives the request up",
        _PERFORMANCE,
        True,
        _wire(Harm.SILENCE, _TRANSFERS, 4, (1, 3)),
    ),
    Fault(
        "reset",
        "the network resets connections in the middle of requests",
        _CONNECTION,
        True,
        _wire(Harm.RESET, _TRANSFERS, 6, (1, 5)),
    ),
    Fault(
        "answer-lost",
        "S3 carries an upload out, and its answer is lost",
        _CONNECTION,
        True,
        _wire(Harm.ANSWER_LOST, ("PutObject", "UploadPart"), 6, (1, 4)),
    ),
    Fault(
        "bandwidth",
        "1 MB/s for all transfers together",
        "an assumption: S3 documents 85–90 MB/s for one connection, and nobody what is left beside training",
        True,
        _wire(Harm.BANDWIDTH, _ALL, 1, None, bytes_per_second=GOOD_BANDWIDTH),
    ),
    Fault(
        "clock-skew",
        "the instance's clock is wrong for some requests: 403 RequestTimeTooSkewed",
        _ERRORS,
        True,
        _wire(Harm.ERROR, _ALL, 12, (1, 4), **_SKEWED),
    ),
    Fault(
        "clock-stays-wrong",
        "the instance's clock goes wrong and stays so: 403 RequestTimeTooSkewed",
        _ERRORS,
        False,
        _wire(Harm.ERROR, _ALL, 12, None, **_SKEWED),
    ),
    Fault(
        "access-denied",
        "the role loses its rights half-way: 403 AccessDenied",
        "Troubleshoot access denied (403 Forbidden) errors in Amazon S3, Amazon S3 User Guide",
        False,
        _wire(Harm.ERROR, _ALL, 25, None, **_error(403, "AccessDenied", "Access Denied")),
    ),
    Fault(
        "outage",
        "S3 answers 503 and does not recover",
        _FIVES,
        False,
        _wire(Harm.ERROR, _ALL, 20, None, **_error(503, "ServiceUnavailable", "Service is unable to handle request.")),
    ),
    Fault(
        "multipart-fails-late",
        "CompleteMultipartUpload answers 200 with an error in its body",
        _COMPLETE,
        True,
        _wire(
            Harm.ERROR_IN_200,
            ("CompleteMultipartUpload",),
            3,
            (1, 4),
            **_error(200, "InternalError", "We encountered an internal error. Please try again."),
        ),
    ),
    Fault(
        "multipart-answer-lost",
        "CompleteMultipartUpload completes, and its answer is lost",
        _COMPLETE,
        True,
        _wire(Harm.ANSWER_LOST, ("CompleteMultipartUpload",), 3, (1, 3)),
    ),
    Fault(
        "multipart-never-completes",
        "CompleteMultipartUpload is never answered, and nothing is completed",
        _COMPLETE + ': "processing … could take several minutes"',
        False,
        _wire(Harm.SILENCE, ("CompleteMultipartUpload",), 3, None),
    ),
    Fault(
        "truncated-download",
        "a download ends in its middle",
        _CONNECTION,
        True,
        _wire(Harm.TRUNCATE, ("GetObject",), 1, (1, 4)),
    ),
    Fault(
        "moto-restarted",
        "the S3 of the run is started again, and has lost all that it held",
        "moto keeps objects in memory",
        False,
        _wire(Harm.RESTART, _ALL, 20, (1, 1)),
    ),
    Fault(
        "disk-full",
        "the instance's disk is full from a save on",
        _VOLUMES + ": the size is VolumeSizeInGB's, or the instance's own",
        False,
        _disk(DiskHarm.FULL, None),
    ),
    Fault(
        "disk-full-for-a-while",
        "the instance's disk is full for a second",
        "as above; something else made room",
        False,
        _disk(DiskHarm.FULL, 1.0),
    ),
    Fault(
        "disk-read-only",
        "the instance's disk turns read-only, as ext4 does after an error",
        "errors=remount-ro: ext4(5)",
        False,
        _disk(DiskHarm.READ_ONLY, None),
    ),
    Fault(
        "disk-slow",
        "the uploader reads the instance's disk, and restores write it, at 2 MB/s",
        "an assumption: a volume whose burst credits are spent; the script's own writes are not slowed",
        True,
        lambda chance: ((), (DiskFault(DiskHarm.SLOW, bytes_per_second=SLOW_DISK),)),
    ),
)
BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in CATALOGUE}


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

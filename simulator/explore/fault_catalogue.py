"""The catalogue of what can go wrong on the way to S3 and on the instance's disk: data, each with its source."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.services.faulty_disk import DiskFault, DiskHarm
from simulator.services.wire_faults import Harm, WireFault

BANDWIDTH_BYTES_PER_SECOND = 1_000_000.0
SLOW_DISK_BYTES_PER_SECOND = 2_000_000.0

_TRANSFERS = ("PutObject", "GetObject", "UploadPart")
_ALL: tuple[str, ...] = ()
_PERFORMANCE = "Best practices design patterns: optimizing Amazon S3 performance, Amazon S3 User Guide"
_ERRORS = "Error responses, Amazon S3 API Reference"
_FIVES = "How do I troubleshoot HTTP 5xx errors from Amazon S3?, AWS re:Post Knowledge Center"
_CONNECTION = "Retry behavior, AWS SDKs and Tools Reference Guide: connection errors are transient"
_VOLUMES = "Managing storage paths for different types of instance local storage, SageMaker Developer Guide"
_COMPLETE = "CompleteMultipartUpload, Amazon S3 API Reference"

Harms = tuple[tuple[WireFault, ...], tuple[DiskFault, ...]]
Draw = Callable[[random.Random], Harms]


@dataclass(frozen=True)
class Fault:
    """A fault of the catalogue. `imitates`: what goes wrong, `source`: where that is documented. `passes`: whether a
    run has to outlast it; where not, ending as the environment's failure is as right. `draw` decides from which
    request on, and how many."""

    name: str
    imitates: str
    source: str
    passes: bool
    draw: Draw

    @property
    def needs_root(self) -> bool:
        """Whether it takes a mount."""
        return any(fault.needs_root for fault in self.draw(random.Random(0))[1])


def _wire(
    harm: Harm, operations: tuple[str, ...], most_first: int, counts: tuple[int, int] | None, **more: Any
) -> Draw:
    """Draws a fault: from one of the first requests on; so many of them, None for all."""

    def draw(chance: random.Random) -> Harms:
        count = None if counts is None else chance.randint(*counts)
        return (WireFault(harm, operations, chance.randint(1, most_first), count, **more),), ()

    return draw


def _error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"status": status, "code": code, "message": message}


def _disk(harm: DiskHarm, seconds: float | None) -> Draw:
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
        "S3 answers late, each request by 0.5 s",
        _PERFORMANCE,
        True,
        _wire(Harm.DELAY, _ALL, 10, (3, 8), seconds=0.5),
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
        _wire(Harm.BANDWIDTH, _ALL, 1, None, bytes_per_second=BANDWIDTH_BYTES_PER_SECOND),
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
        lambda chance: ((), (DiskFault(DiskHarm.SLOW, bytes_per_second=SLOW_DISK_BYTES_PER_SECOND),)),
    ),
)
BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in CATALOGUE}

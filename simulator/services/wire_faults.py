"""What can go wrong between a client and S3, as data: which requests, from which one on, how many, and what is done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Harm(StrEnum):
    """What is done to a request."""

    ERROR = "error"  # answered with `status` and `code`; S3 never sees it
    ERROR_IN_200 = "error-in-200"  # answered 200 with an error in the body (CompleteMultipartUpload's reference)
    DELAY = "delay"  # handed on after `seconds`
    SILENCE = "silence"  # taken and never answered; S3 never sees it
    RESET = "reset"  # the connection is reset in the middle of the request; S3 never sees it
    ANSWER_LOST = "answer-lost"  # S3 carries it out, and the connection is reset in place of the answer
    TRUNCATE = "truncate"  # half of the answer's body comes, then the connection ends
    BANDWIDTH = "bandwidth"  # bodies pass at `bytes_per_second`, all such requests together
    RESTART = "restart"  # the server is killed and started again, empty, before the request is handed on


@dataclass(frozen=True)
class WireFault:
    """A harm to the requests of some operations (S3's names, empty: all), from the `first` such request on (counted
    from 1, the client's own retries too), to `count` of them; None: to all that follow."""

    harm: Harm
    operations: tuple[str, ...] = ()
    first: int = 1
    count: int | None = 1
    status: int = 0
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    bytes_per_second: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; what is not set is left out."""
        default = WireFault(self.harm)
        kept = {name: value for name, value in asdict(self).items() if value != getattr(default, name)}
        operations = {"operations": list(self.operations)} if self.operations else {}
        return {"harm": self.harm.value, **kept, **operations}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> WireFault:
        """Read back. Raises TypeError and ValueError for anything else."""
        operations = tuple(str(name) for name in fields.get("operations", ()))
        return cls(**{**fields, "harm": Harm(fields["harm"]), "operations": operations})

    def hits(self, number: int) -> bool:
        """Whether the harm is done to the request of this number among those of its operations."""
        return number >= self.first and (self.count is None or number < self.first + self.count)


class WirePlan:
    """Decides what is done to each request, and counts it. Thread-safe; what it decides follows from the order in
    which requests come, and from nothing else."""

    def __init__(self, faults: Sequence[WireFault]) -> None:
        self.faults = tuple(faults)
        self._matching = [0] * len(self.faults)
        self._done = [0] * len(self.faults)
        self._operations: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next(self, operation: str) -> list[int]:
        """Take in a request; the indices of the faults that it meets."""
        with self._lock:
            self._operations[operation] += 1
            met = []
            for index, fault in enumerate(self.faults):
                if not fault.operations or operation in fault.operations:
                    self._matching[index] += 1
                    if fault.hits(self._matching[index]):
                        met.append(index)
            return met

    def did(self, index: int) -> None:
        """A harm was really done."""
        with self._lock:
            self._done[index] += 1

    @property
    def done(self) -> list[int]:
        """How often each fault's harm was done."""
        with self._lock:
            return list(self._done)

    @property
    def operations(self) -> dict[str, int]:
        """How many requests of each operation came, retries too."""
        with self._lock:
            return dict(self._operations)


def operation_of(method: str, target: str) -> str:
    """S3's name of a path-style request's operation; method and path's shape for one that is none of ours."""
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True)
    has_key = bool(url.path.lstrip("/").partition("/")[2])
    match method, has_key:
        case "PUT", True:
            return "UploadPart" if "uploadId" in query else "PutObject"
        case "POST", True if "uploads" in query:
            return "CreateMultipartUpload"
        case "POST", True if "uploadId" in query:
            return "CompleteMultipartUpload"
        case "DELETE", True:
            return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
        case "GET", True:
            return "ListParts" if "uploadId" in query else "GetObject"
        case "HEAD", True:
            return "HeadObject"
        case "GET", False if url.path.strip("/"):
            return "ListObjectsV2"
        case "HEAD", False:
            return "HeadBucket"
        case "PUT", False:
            return "CreateBucket"
    return f"{method} {'object' if has_key else 'bucket'}"

"""Which hosts a command tried to reach, and who answered in their place; pure but for a lock."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

_AWS = re.compile(r"(^|\.)(amazonaws\.com(\.cn)?|api\.aws|on\.aws|aws\.amazon\.com)$")
_IAM = re.compile(r"^iam(-fips)?(\.[a-z0-9-]+)?\.(amazonaws\.com(\.cn)?|api\.aws)$")
_SAGEMAKER = re.compile(r"^api(-fips)?\.sagemaker\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)$")
_STEP_FUNCTIONS = re.compile(r"^(sync-)?states(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)$")


class AnsweredBy(StrEnum):
    """Who answered."""

    SIMULATOR = "simulator"
    MOTO = "moto"
    ITSELF = "itself"  # a host that --allow-host lets through
    NOBODY = "refused"


def is_aws(host: str) -> bool:
    """Whether a host name is one of AWS's; those are never reached, whatever is allowed."""
    return _AWS.search(_plain(host)) is not None


def is_sagemaker_api(host: str) -> bool:
    """Whether a host name is a region's endpoint of the SageMaker API."""
    return _SAGEMAKER.match(_plain(host)) is not None


def is_iam(host: str) -> bool:
    """Whether a host name is an endpoint of IAM."""
    return _IAM.match(_plain(host)) is not None


def is_step_functions(host: str) -> bool:
    """Whether a host name is a region's endpoint of Step Functions."""
    return _STEP_FUNCTIONS.match(_plain(host)) is not None


def is_loopback(host: str) -> bool:
    """Whether a name means this machine; of other names nothing is looked up."""
    plain = _plain(host)
    return plain in ("localhost", "::1") or plain.endswith(".localhost") or bool(re.match(r"127(\.\d+){3}$", plain))


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


class HostLedger:
    """Counts requests by host and by who answered them. Any thread may write."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, AnsweredBy]] = Counter()
        self._lock = threading.Lock()

    def note(self, host: str, by: AnsweredBy) -> None:
        """One request to `host` was answered."""
        with self._lock:
            self._counts[_plain(host), by] += 1

    def rows(self) -> list[tuple[str, AnsweredBy, int]]:
        """(host, who answered, requests), in the order of names, what was refused last."""
        with self._lock:
            found = [(host, by, count) for (host, by), count in self._counts.items()]
        return sorted(found, key=lambda row: (row[1] is AnsweredBy.NOBODY, row[0], row[1]))


def describe(rows: Iterable[tuple[str, AnsweredBy, int]]) -> list[str]:
    """The lines that a person reads after a command."""
    lines = []
    for host, by, count in rows:
        times = "1 request" if count == 1 else f"{count} requests"
        if by is AnsweredBy.NOBODY:
            lines.append(
                f"  {host}: {times}, refused; let through with --allow-host {host}"
                if not is_aws(host)
                else f"  {host}: {times}, refused: nothing here answers for it, and AWS is never reached"
            )
        elif by is AnsweredBy.ITSELF:
            lines.append(f"  {host}: {times}, let through")
        else:
            lines.append(f"  {host}: {times}, answered here ({'moto' if by is AnsweredBy.MOTO else 'the simulator'})")
    return lines

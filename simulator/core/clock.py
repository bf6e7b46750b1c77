"""Where time comes from: a run is scheduled and recorded on one monotonic clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Seconds since the run began, never going backwards, and the wall clock for people."""

    def now(self) -> float:
        """Monotonic seconds since this clock was made."""
        ...

    def wall(self) -> datetime:
        """The wall-clock time, in UTC, of this moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass; zero or less returns at once."""
        ...


def as_iso(moment: datetime) -> str:
    """A moment as EC2 writes it: 2017-09-18T08:22:00Z, with milliseconds when there are any."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")

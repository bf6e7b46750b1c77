"""The clock of real runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Monotonic seconds since it was made; its wall clock is the start's plus those, so that the two never disagree."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.started_at = datetime.now(UTC)

    def now(self) -> float:
        """Monotonic seconds since this clock was made."""
        return time.monotonic() - self._started

    def wall(self) -> datetime:
        """This moment in UTC."""
        return self.wall_at(self.now())

    def wall_at(self, at: float) -> datetime:
        """The UTC moment `at` run seconds."""
        return self.started_at + timedelta(seconds=at)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        if seconds > 0:
            time.sleep(seconds)

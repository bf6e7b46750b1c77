"""What comes to a running job next, and when: for the live page's countdowns."""

from __future__ import annotations

from datetime import datetime

from simulator.core.attempt import STOP_GRACE_SECONDS
from simulator.core.timeline import Kind
from simulator.service.jobs import JobEntry


def countdown(entry: JobEntry) -> tuple[str, datetime] | None:
    """The next instant that is known of the attempt that runs: SIGTERM or the end after a notice, SIGKILL after
    SIGTERM; None where nothing is on its way."""
    timeline = entry.timeline
    attempts = timeline.attempts
    if entry.is_over or not attempts:
        return None
    now = attempts[-1]
    exited = len(timeline.of(Kind.PROCESS_EXITED, attempt=now))  # one a host
    if exited >= len(entry.job.hosts) or timeline.first(Kind.ATTEMPT_ENDED, now):
        return None
    signal = timeline.last(Kind.SIGNAL_SENT, now)
    if signal is not None:
        grace = STOP_GRACE_SECONDS if entry.stop_asked else entry.plan.profile.grace_seconds
        return "SIGKILL", entry.wall(float(signal.data["scheduled_at"]) + grace)
    notice = timeline.last(Kind.NOTICE_GIVEN, now)
    if notice is not None:
        what = "SIGTERM" if entry.plan.profile.sigterm else "the instance goes"
        return what, entry.wall(float(notice.data["terminate_at"]))
    return None

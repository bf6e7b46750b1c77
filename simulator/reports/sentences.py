"""The sentence for each event that people are told of; most events have none."""

from __future__ import annotations

from collections.abc import Callable

from simulator.core.hosts import is_a_followers
from simulator.core.plan import Profile
from simulator.core.timeline import Event, Kind
from simulator.reports.progress import Progress
from simulator.reports.wording import clean, count, number, seconds, size


def sentence(event: Event, before: str, progress: Progress) -> str | None:
    """What is said of an event, None for nothing. `before`: the status until it; `progress`: the state after it."""
    if is_a_followers(event, progress.hosts):
        return None  # what happens to all of them is said once
    tell = _SENTENCES.get(event.kind)
    return tell(event, before, progress) if tell is not None else None


def how_it_goes(profile: Profile) -> str:
    """A profile in words: `120 s of notice, then SIGTERM, then SIGKILL 120 s later`."""
    steps = []
    if profile.warning_seconds is not None:
        steps.append(f"{seconds(profile.warning_seconds)} of notice")
    if profile.sigterm:
        steps.append("SIGTERM")
        steps.append(f"SIGKILL {seconds(profile.grace_seconds)} later")
    else:
        steps.append("SIGKILL")
    return ", then ".join(steps)


def _run_started(event: Event, before: str, progress: Progress) -> str:
    waits = ", ".join(progress.interruptions) or "no interruption"
    how = f" ({progress.profile.name}: {how_it_goes(progress.profile)})" if progress.profile else ""
    return f"job {clean(progress.job)}, runtime {progress.runtime}; interruptions: {clean(waits)}{how}"


def _status(event: Event, before: str, progress: Progress) -> str | None:
    return f"{before} → {progress.status}" if before else progress.status


def _process_started(event: Event, before: str, progress: Progress) -> str:
    return f"{before} → the script runs ({clean(str(event.data.get('identity', '')))[:24]})"


def _restored(event: Event, before: str, progress: Progress) -> str:
    objects = int(event.data.get("objects", 0))
    if not objects:
        return f"{before} → nothing in S3 to restore"
    took = seconds(float(event.data.get("seconds", 0.0)))
    return f"{before} → restored {count(objects, 'file')}, {size(event.data.get('bytes', 0))}, from S3 in {took}"


def _upload_failed(event: Event, before: str, progress: Progress) -> str:
    return f"{before} → upload of {clean(str(event.data.get('path')))} failed: {clean(str(event.data.get('error')))}"


def _triggered(event: Event, before: str, progress: Progress) -> str | None:
    if progress.profile is not None and progress.profile.warning_seconds is not None and before == "Training":
        return None  # the notice comes at the same moment, and says it
    return f"{before} → the interruption begins ({_trigger(progress)})"


def _notice(event: Event, before: str, progress: Progress) -> str:
    data = event.data
    left = float(data.get("terminate_at", event.at)) - float(data.get("scheduled_at", event.at))
    return f"{before} → notice: the instance goes in {seconds(left)} ({_trigger(progress)})"


def _trigger(progress: Progress) -> str:
    return " ".join(part for part in ("trigger", clean(progress.trigger), progress.trigger_observed) if part)


def _signal(event: Event, before: str, progress: Progress) -> str:
    name = event.data.get("signal")
    if not event.data.get("delivered", True):
        return f"{before} → {name} came too late: the script had ended"
    then = f"; SIGKILL in {seconds(progress.countdown.at - event.at)}" if progress.countdown else ""
    return f"{before} → {name} sent{then}"


def _killed(event: Event, before: str, progress: Progress) -> str:
    if not event.data.get("process", True):
        return f"{before} → the instance goes while it restores; there was no script to kill yet"
    if event.data.get("observed"):
        return f"{before} → SIGKILL: the script was still running"
    return f"{before} → the instance goes; the script had ended"


def _exited(event: Event, before: str, progress: Progress) -> str:
    after = " after SIGTERM" if event.data.get("after_sigterm") else ""
    return f"{before} → the script ended{after}, exit code {number(float(event.data.get('exit_code') or 0))}"


def _wiped(event: Event, before: str, progress: Progress) -> str:
    left = [clean(str(path)) for path in event.data.get("left") or ()]
    return "the instance and all on it is gone" + (f", except {', '.join(left)}" if left else "")


def _warning(event: Event, before: str, progress: Progress) -> str:
    return f"warning: {clean(str(event.data.get('message', '')))}"


def _finished(event: Event, before: str, progress: Progress) -> str:
    return f"the job ended: {event.data.get('status') or progress.status}"


_SENTENCES: dict[Kind, Callable[[Event, str, Progress], str | None]] = {
    Kind.RUN_STARTED: _run_started,
    Kind.SECONDARY_STATUS: _status,
    Kind.PROCESS_STARTED: _process_started,
    Kind.RESTORE_FINISHED: _restored,
    Kind.UPLOAD_FAILED: _upload_failed,
    Kind.TRIGGER_FIRED: _triggered,
    Kind.NOTICE_GIVEN: _notice,
    Kind.SIGNAL_SENT: _signal,
    Kind.KILLED: _killed,
    Kind.PROCESS_EXITED: _exited,
    Kind.INSTANCE_WIPED: _wiped,
    Kind.WARNING: _warning,
    Kind.RUN_FINISHED: _finished,
}

"""Where a run stands: events and log lines in, what a person wants to see out. No terminal in here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.core.attempt import STOP_GRACE_SECONDS, Reclaim, schedule
from simulator.core.errors import UsageError
from simulator.core.hosts import is_a_followers
from simulator.core.plan import Profile, Trigger, When, parse_when
from simulator.core.timeline import Event, Kind
from simulator.reports.wording import clean, number

LOG_TAIL_LINES = 8
FIRST_METRICS = ("step", "epoch", "loss")  # shown before the others


@dataclass(frozen=True)
class Countdown:
    """What comes next by time alone, when (run seconds), and since when it has been counting."""

    what: str
    at: float
    since: float

    def left(self, now: float) -> float:
        """Seconds until it comes, never below zero."""
        return max(0.0, self.at - now)


class Progress:
    """The state of a run as its events tell it. Not thread-safe: whoever shows it feeds it from one thread."""

    def __init__(self) -> None:
        self.job = ""
        self.runtime = ""
        self.attempt = 0
        self.hosts: list[str] = []  # where there are several, the leading one first
        self.status = ""
        self.status_since = 0.0
        self.metrics: dict[str, float] = {}
        self.objects: dict[str, int] = {}  # path → bytes, durable in S3
        self.in_flight: dict[str, int] = {}  # path → bytes
        self.uploads = 0
        self.abandoned = 0
        self.warnings = 0
        self.log_tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self.finished = False
        self.trigger_observed = ""
        self.countdown: Countdown | None = None
        self._interruptions: list[str] = []
        self._profile: Profile | None = None
        self._restart_delay = 0.0
        self._reclaim: Reclaim | None = None

    @property
    def durable_bytes(self) -> int:
        """Checkpoint bytes in S3."""
        return sum(self.objects.values())

    @property
    def progress_text(self) -> str:
        """`step 63 · epoch 6 · loss 0.42`; empty before the first metric."""
        names = [name for name in FIRST_METRICS if name in self.metrics]
        names += [name for name in self.metrics if name not in FIRST_METRICS]
        return " · ".join(f"{clean(name)} {number(self.metrics[name])}" for name in names[:5])

    @property
    def trigger(self) -> str:
        """What the present attempt's interruption waits for, as the user wrote it; empty for none."""
        return self._interruptions[self.attempt - 1] if 0 < self.attempt <= len(self._interruptions) else ""

    @property
    def interruptions(self) -> list[str]:
        """All planned interruptions."""
        return list(self._interruptions)

    @property
    def profile(self) -> Profile | None:
        """How the instances go."""
        return self._profile

    @property
    def reclaim(self) -> Reclaim | None:
        """The instants of the reclaim that has begun."""
        return self._reclaim

    def on_log(self, line: bytes | str, host: str = "") -> None:
        """Take in a line of the script; `host` is empty where the job has only one."""
        self.log_tail.append(f"{host}| {clean(line)}" if host else clean(line))

    def on_event(self, event: Event) -> None:
        """Take in what happened."""
        data = event.data
        if is_a_followers(event, self.hosts):
            return
        match event.kind:
            case Kind.RUN_STARTED:
                self._begin(data)
            case Kind.ATTEMPT_STARTED:
                self.attempt, self._reclaim, self.countdown = event.attempt, None, None
                self.hosts = list(data.get("hosts", ()))
                self.metrics, self.in_flight = {}, {}
                self.trigger_observed = ""
            case Kind.SECONDARY_STATUS:
                self.status, self.status_since = str(data.get("status", "")), event.at
            case Kind.PROCESS_STARTED:
                self._count_down_to_trigger(event.at)
            case Kind.METRIC:
                self.metrics[str(data["name"])] = float(data["value"])
            case Kind.MANIFEST:
                if data.get("when") in ("before-restore", "kill", "end"):
                    self.objects = {path: int(facts.get("bytes", 0)) for path, facts in data.get("files", {}).items()}
            case Kind.UPLOAD_STARTED:
                self.in_flight[str(data["path"])] = int(data.get("bytes", 0))
            case Kind.UPLOAD_FINISHED:
                self.in_flight.pop(str(data["path"]), None)
                self.objects[str(data["path"])] = int(data.get("bytes", 0))
                self.uploads += 1
            case Kind.UPLOAD_FAILED:
                self.in_flight.pop(str(data["path"]), None)
            case Kind.UPLOAD_ABANDONED:
                self.in_flight.pop(str(data["path"]), None)
                self.abandoned += 1
            case Kind.OBJECT_DELETED:
                self.objects.pop(str(data["path"]), None)
            case Kind.TRIGGER_FIRED:
                self._begin_reclaim(float(data.get("observed_at", event.at)))
            case Kind.SIGNAL_SENT:
                self._signal_sent(event)
            case Kind.KILLED:
                self.countdown = None
            case Kind.ATTEMPT_ENDED:
                self._end_attempt(event)
            case Kind.WARNING:
                self.warnings += 1
            case Kind.RUN_FINISHED:
                self.finished, self.countdown = True, None

    def _begin(self, data: Mapping[str, Any]) -> None:
        self.job, self.runtime = str(data.get("job", "")), str(data.get("runtime", ""))
        self._interruptions = [str(text) for text in data.get("interruptions", ())]
        self._profile = Profile(**data["profile"]) if data.get("profile") else None
        self._restart_delay = float(data.get("restart_delay_seconds", 0.0))

    def _count_down_to_trigger(self, at: float) -> None:
        trigger = _parsed(self.trigger)
        if trigger is not None and trigger.when is When.SECONDS and self._reclaim is None:
            self.countdown = Countdown("the interruption", at + trigger.value, at)

    def _begin_reclaim(self, at: float) -> None:
        trigger = _parsed(self.trigger)
        if trigger is not None and trigger.when is When.METRIC and trigger.name in self.metrics:
            self.trigger_observed = f"observed at {trigger.name} {number(self.metrics[trigger.name])}"
        if self._profile is not None:
            self._reclaim = plan = schedule(self._profile, at)
            signal = "SIGTERM" if plan.sigterm_at is not None else "SIGKILL"
            self.countdown = Countdown(signal, plan.sigterm_at or plan.sigkill_at, at)

    def _signal_sent(self, event: Event) -> None:
        if event.data.get("signal") != "SIGTERM":
            return
        due = self._reclaim.sigkill_at if self._reclaim is not None else event.at + STOP_GRACE_SECONDS
        self.countdown = Countdown("SIGKILL", due, event.at)

    def _end_attempt(self, event: Event) -> None:
        self.in_flight, self.countdown, self._reclaim = {}, None, None
        if event.data.get("outcome") == "reclaimed" and self._restart_delay > 0:
            self.countdown = Countdown("the next instance", event.at + self._restart_delay, event.at)


def _parsed(text: str) -> Trigger | None:
    try:
        return parse_when(text) if text else None
    except UsageError:
        return None

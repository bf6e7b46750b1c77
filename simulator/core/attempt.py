"""One attempt as a pure machine: events and time in, commands out. Every instant of a reclaim is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simulator.core.plan import ExitAfterSigterm, Profile, Trigger, TriggerWatch
from simulator.core.timeline import Event

STOP_GRACE_SECONDS = 120.0  # StopTrainingJob and StoppingCondition: SIGKILL 120 s after SIGTERM [documented]
LOOK_AHEAD_SECONDS = 1.0  # the processes are looked at this long before SIGTERM, so that the look delays nothing


class Act(StrEnum):
    """What the engine is to do to the instance."""

    TRIGGERED = "triggered"
    GIVE_NOTICE = "give-notice"
    LOOK_AT_PROCESSES = "look-at-processes"
    SIGTERM = "sigterm"
    SIGKILL = "sigkill"


class Outcome(StrEnum):
    """How an attempt ended."""

    RECLAIMED = "reclaimed"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


class Stop(StrEnum):
    """Why the service itself stops a job; the value is the SecondaryStatus in which it ends."""

    REQUESTED = "Stopped"  # StopTrainingJob

    MAX_RUNTIME = "MaxRuntimeExceeded"
    MAX_WAIT = "MaxWaitTimeExceeded"


@dataclass(frozen=True)
class Command:
    """One act and the instant (run seconds) it is scheduled for; `terminate_at` is when the notice says it ends."""

    act: Act
    scheduled_at: float
    terminate_at: float = 0.0


@dataclass(frozen=True)
class Reclaim:
    """The instants of one reclaim, in run seconds; None where the profile leaves a step out."""

    notice_at: float | None
    sigterm_at: float | None
    sigkill_at: float


def schedule(profile: Profile, triggered_at: float) -> Reclaim:
    """The trigger begins the reclaim: the notice comes then, where there is one, otherwise SIGTERM or SIGKILL."""
    gone_at = triggered_at + (profile.warning_seconds or 0.0)
    return Reclaim(
        notice_at=triggered_at if profile.warning_seconds is not None else None,
        sigterm_at=gone_at if profile.sigterm else None,
        sigkill_at=gone_at + profile.grace_seconds if profile.sigterm else gone_at,
    )


class AttemptMachine:
    """What is to be done to one instance, and when.

    `trigger` None leaves the attempt alone. `stop_at` is the instant at which the service would stop the job
    (StoppingCondition), with its `stop_reason`.
    """

    def __init__(
        self,
        trigger: Trigger | None,
        profile: Profile,
        exit_after_sigterm: ExitAfterSigterm = ExitAfterSigterm.INTERRUPTION,
        stop_at: float | None = None,
        stop_reason: Stop | None = None,
    ) -> None:
        self._profile = profile
        self._watch = TriggerWatch(trigger) if trigger is not None else None
        self._exit_after_sigterm = exit_after_sigterm
        self._stop_at, self._stop_reason = stop_at, stop_reason
        self._pending: list[Command] = []
        self.reclaim: Reclaim | None = None
        self.stopping: Stop | None = None
        self.sigterm_sent = False
        self.sigkill_sent = False

    @property
    def deadline(self) -> float | None:
        """The next instant at which time alone makes something happen."""
        candidates = [command.scheduled_at for command in self._pending[:1]]
        if self._waiting and self._watch is not None and self._watch.deadline is not None:
            candidates.append(self._watch.deadline)
        if self._stop_at is not None and not self._ending:
            candidates.append(self._stop_at)
        return min(candidates, default=None)

    @property
    def grace_ends_at(self) -> float | None:
        """When SIGKILL is due, once the reclaim or stop is on its way; the last instant of the machine's life."""
        kills = [command.scheduled_at for command in self._pending if command.act is Act.SIGKILL]
        return kills[0] if kills else None

    def on_event(self, event: Event) -> None:
        """Take in what happened."""
        if self._waiting and self._watch is not None and self._watch.observe(event):
            self._begin_reclaim(event.at)

    def on_line(self, line: str, at: float) -> bool:
        """Take in a log line; True when a `line=` trigger waited for it."""
        if self._waiting and self._watch is not None and self._watch.observe_line(line):
            self._begin_reclaim(at)
            return True
        return False

    def interrupt(self, at: float) -> bool:
        """Begin the reclaim now, as someone asked for it from outside; False where the end is on its way already."""
        if not self._waiting:
            return False
        self._begin_reclaim(at)
        return True

    def stop(self, at: float, reason: Stop = Stop.REQUESTED) -> bool:
        """Begin to stop the job now (StopTrainingJob). False where a stop is under way, or where the reclaim has sent
        its signal: that instance goes as it would have, and no other follows it."""
        if self._ending:
            return False
        self._stop_reason = reason
        self._begin_stop(at)
        return True

    def due(self, now: float) -> list[Command]:
        """The commands whose time has come, in order; each is given once."""
        if self._waiting and self._watch is not None:
            at = self._watch.deadline
            if at is not None and at <= now:
                self._begin_reclaim(at)
        if self._stop_at is not None and not self._ending and self._stop_at <= now:
            self._begin_stop(self._stop_at)
        ready = [command for command in self._pending if command.scheduled_at <= now]
        self._pending = [command for command in self._pending if command.scheduled_at > now]
        return ready

    def delivered(self, act: Act) -> None:
        """Take in that a signal was seen to arrive; one that nobody was there to get does not count."""
        self.sigterm_sent |= act is Act.SIGTERM
        self.sigkill_sent |= act is Act.SIGKILL

    def outcome(self, exit_code: int) -> Outcome:
        """What an exit means at this moment. Before SIGTERM it is the script's own word; after it the interruption's,
        unless the plan says otherwise (AWS documents nothing: a named assumption)."""
        if self.stopping is not None and self.sigterm_sent:
            return Outcome.STOPPED
        if self.sigkill_sent:
            return Outcome.RECLAIMED
        if self.sigterm_sent and self._exit_after_sigterm is ExitAfterSigterm.INTERRUPTION:
            return Outcome.RECLAIMED
        return Outcome.COMPLETED if exit_code == 0 else Outcome.FAILED

    @property
    def _waiting(self) -> bool:
        return self.reclaim is None and self.stopping is None

    @property
    def _ending(self) -> bool:
        """Whether the end is on its way already: a stop, or a reclaim whose signal was sent."""
        return self.stopping is not None or self.sigterm_sent or self.sigkill_sent

    def _begin_reclaim(self, at: float) -> None:
        self.reclaim = plan = schedule(self._profile, at)
        gone_at = plan.sigterm_at if plan.sigterm_at is not None else plan.sigkill_at
        commands = [Command(Act.TRIGGERED, at)]
        if plan.notice_at is not None:
            commands.append(Command(Act.GIVE_NOTICE, plan.notice_at, terminate_at=gone_at))
        if plan.sigterm_at is not None:
            commands.append(Command(Act.LOOK_AT_PROCESSES, max(at, plan.sigterm_at - LOOK_AHEAD_SECONDS)))
            commands.append(Command(Act.SIGTERM, plan.sigterm_at))
        commands.append(Command(Act.SIGKILL, plan.sigkill_at))
        self._pending = commands

    def _begin_stop(self, at: float) -> None:
        self.stopping = self._stop_reason
        self._pending = [Command(Act.SIGTERM, at), Command(Act.SIGKILL, at + STOP_GRACE_SECONDS)]

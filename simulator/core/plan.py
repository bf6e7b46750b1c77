"""When the instance is taken away, and how: triggers, profiles, and the matching of triggers to what happens."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from simulator.core.errors import UsageError
from simulator.core.temporary_names import is_temporary
from simulator.core.timeline import Event, Kind


class When(StrEnum):
    """The things an interruption can wait for."""

    SECONDS = "seconds"
    METRIC = "metric"
    LINE = "line"
    CHECKPOINT = "checkpoint"
    SAVE = "save"
    UPLOAD = "upload"
    UPLOADED = "uploaded"
    START = "start"
    DOWNLOAD = "download"
    RESTORED = "restored"


COUNTED = (When.CHECKPOINT, When.SAVE, When.UPLOAD, When.UPLOADED)
"""What comes more than once in an attempt, so that a number tells which."""
_WITHOUT_NUMBER = (When.START, When.DOWNLOAD, When.RESTORED)


@dataclass(frozen=True)
class Trigger:
    """`text` is what the user wrote; `value` the seconds, metric value or count; `name` the metric or expression."""

    text: str
    when: When
    value: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Profile:
    """How an instance goes: seconds before the reclaim for the notice, and after SIGTERM until SIGKILL.

    `warning_seconds` None gives no notice; `sigterm` False goes straight to SIGKILL. Every number is an assumption or
    a fact with its `source`.
    """

    name: str
    warning_seconds: float | None
    sigterm: bool
    grace_seconds: float
    source: str


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("two-minute", 120, True, 120, "the project's card; SageMaker's stop rule for the grace"),
        Profile("sagemaker", None, True, 120, "StoppingCondition's documentation"),
        Profile("ec2", 120, False, 0, "EC2 spot interruption notices"),
        Profile("sudden", None, False, 0, "an instance can be lost without notice"),
    )
}
DEFAULT_PROFILE = "two-minute"


class ExitAfterSigterm(StrEnum):
    """What an exit between SIGTERM and SIGKILL means; AWS documents nothing, so it is a named assumption."""

    INTERRUPTION = "interruption"
    AS_IS = "as-is"


@dataclass(frozen=True)
class Plan:
    """The interruptions, one an attempt, in order; after the last one the job runs to its end."""

    interruptions: Sequence[Trigger]
    profile: Profile
    restart_delay_seconds: float = 0.0
    capacity_gaps_seconds: Sequence[float] = ()
    exit_after_sigterm: ExitAfterSigterm = ExitAfterSigterm.INTERRUPTION
    seed: int = 0

    def trigger_of(self, attempt: int) -> Trigger | None:
        """The trigger of an attempt (from 1), or None when it is left alone."""
        return self.interruptions[attempt - 1] if attempt <= len(self.interruptions) else None

    def wait_before(self, attempt: int) -> float:
        """Seconds without spot capacity before an attempt (from 1): the plan's gaps in order, then the restart delay;
        the first attempt waits only where a gap says so."""
        if attempt <= len(self.capacity_gaps_seconds):
            return self.capacity_gaps_seconds[attempt - 1]
        return self.restart_delay_seconds if attempt > 1 else 0.0

    def without_interruptions(self) -> Plan:
        """The same plan for the uninterrupted run."""
        return replace(self, interruptions=(), capacity_gaps_seconds=())


def profile_named(name: str, warning_seconds: float | None, grace_seconds: float | None) -> Profile:
    """A profile with the user's numbers in place of its own. Raises UsageError for unknown names, negative numbers
    and a warning for a profile that gives no notice."""
    try:
        profile = PROFILES[name]
    except KeyError:
        raise UsageError(
            f"there is no profile {name!r}", f"the profiles are {', '.join(PROFILES)}", "use --profile two-minute"
        ) from None
    for option, value in (("--warning", warning_seconds), ("--grace", grace_seconds)):
        if value is not None and value < 0:
            raise UsageError(f"{option} {value} is negative", "it is a number of seconds", f"use {option} 0 or more")
    if warning_seconds is not None:
        if profile.warning_seconds is None:
            raise UsageError(
                f"--warning does not go with the profile {name!r}",
                "that profile gives the container no notice",
                "use --profile two-minute or ec2, or leave --warning out",
            )
        profile = replace(profile, warning_seconds=warning_seconds)
    return profile if grace_seconds is None else replace(profile, grace_seconds=grace_seconds)


def gives_notice(name: str) -> bool:
    """Whether --warning goes with the profile of this name; True where there is none, which is refused elsewhere."""
    return name not in PROFILES or PROFILES[name].warning_seconds is not None


_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_RANGE = re.compile(r"(.*?)(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)(s?)")


def parse_when(text: str, draw: random.Random | None = None) -> Trigger:
    """Read WHEN: `60s`, `start`, `step=200`, `epoch=3`, `METRIC=VALUE`, `line=REGEX`, `save=2`, `checkpoint=2`,
    `upload=2`, `uploaded=2`, `download`, `restored`; `save`, `upload` and `uploaded` are the first. A range
    (`step=50..200`, `20s..60s` as `20..60s`) is drawn from `draw`. Raises UsageError otherwise."""
    if not text.startswith("line=") and (ranged := _RANGE.fullmatch(text)):
        head, low, high, unit = ranged.groups()
        chosen = _between(float(low), float(high), draw or random.Random(0))
        return parse_when(f"{head}{chosen}{unit}")
    if text in (When.SAVE, When.UPLOAD, When.UPLOADED):
        return Trigger(text, When(text), 1)
    if text in _WITHOUT_NUMBER:
        return Trigger(text, When(text))
    if seconds := _SECONDS.fullmatch(text):
        return Trigger(text, When.SECONDS, float(seconds.group(1)))
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise _no_when(text, "it is none of the forms")
    if name == When.LINE:
        try:
            re.compile(value)
        except re.error as error:
            raise _no_when(text, f"its expression is wrong: {error}") from error
        return Trigger(text, When.LINE, name=value)
    try:
        number = float(value)
    except ValueError:
        raise _no_when(text, f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise _no_when(text, f"no metric ever reaches {value}")
    if name in _WITHOUT_NUMBER:
        raise _no_when(text, f"{name} comes once in an attempt and takes no number")
    if name in COUNTED:
        if number < 1 or number != int(number):
            raise _no_when(text, f"the count of {name} is a whole number from 1")
        return Trigger(text, When(name), number)
    return Trigger(text, When.METRIC, number, name)


def _between(low: float, high: float, draw: random.Random) -> float | int:
    """A whole number between whole ends, any number with six digits otherwise."""
    if low.is_integer() and high.is_integer():
        return draw.randint(int(low), max(int(low), int(high)))
    return round(draw.uniform(low, max(low, high)), 6)


def _no_when(text: str, why: str) -> UsageError:
    return UsageError(
        f"--interrupt {text!r} is not understood",
        why,
        "use 60s, start, step=200, epoch=3, METRIC=VALUE, line=REGEX, save=2, checkpoint=2, upload=2, uploaded=2, "
        "download or restored",
    )


class Count:
    """Counts the saves and transfers of one attempt, a temporary file and the one that it becomes as one.

    Whether a temporary file is noticed before it is renamed is luck, and must not move the count: a save or upload
    that began with one is the same that its final file goes on with, and only final files end one."""

    _KINDS: Mapping[When, Kind] = {
        When.SAVE: Kind.FILE_CHANGED,
        When.CHECKPOINT: Kind.FILE_SETTLED,
        When.UPLOAD: Kind.UPLOAD_STARTED,
        When.UPLOADED: Kind.UPLOAD_FINISHED,
    }

    def __init__(self, when: When) -> None:
        self._kind = self._KINDS[when]
        self._begins = when in (When.SAVE, When.UPLOAD)
        self._aside = 0  # temporary files that were counted, and whose final file is still to come
        self.number = 0

    def observe(self, event: Event) -> bool:
        """Take in what happened; True when it made the count go up."""
        if event.kind is not self._kind:
            return False
        aside = is_temporary(str(event.data["path"]))
        if aside and not self._begins:
            return False
        if not aside and self._aside:
            self._aside -= 1
            return False
        self._aside += aside
        self.number += 1
        return True


class TriggerWatch:
    """Tells, event by event, whether a trigger has come; pure, so that replays agree."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self._count = Count(trigger.when) if trigger.when in COUNTED else None
        self._started_at: float | None = None
        self._regex = re.compile(trigger.name) if trigger.when is When.LINE else None

    @property
    def deadline(self) -> float | None:
        """The instant (run seconds) at which a time trigger comes, known once training has started."""
        if self.trigger.when is not When.SECONDS or self._started_at is None:
            return None
        return self._started_at + self.trigger.value

    def observe(self, event: Event) -> bool:
        """Take in what happened in this attempt; True when it is what the trigger waits for."""
        match self.trigger.when, event.kind:
            case When.SECONDS, Kind.PROCESS_STARTED:
                self._started_at = event.at
            case When.METRIC, Kind.METRIC:
                return bool(event.data["name"] == self.trigger.name and event.data["value"] >= self.trigger.value)
            case When.START, Kind.PROCESS_STARTED:
                return True
            case (When.DOWNLOAD, Kind.RESTORE_STARTED) | (When.RESTORED, Kind.RESTORE_FINISHED):
                return int(event.data.get("objects", 0)) > 0
        if self._count is not None:
            return self._count.observe(event) and self._count.number >= self.trigger.value
        return False

    def observe_line(self, line: str) -> bool:
        """Take in a log line; True when a `line=` trigger waits for it."""
        return self._regex is not None and self._regex.search(line) is not None

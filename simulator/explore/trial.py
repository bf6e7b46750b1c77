"""What a search tries, and what came of it: plain data, which travels to workers, into files and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from simulator.verdict import Answer, Verdict


class Search(StrEnum):
    """The three searches."""

    SCHEDULES = "schedules"
    STATES = "states"
    FAULTS = "faults"


@dataclass(frozen=True)
class Schedule:
    """When the job is interrupted, a WHEN an attempt in order, and by which profile each instance goes.

    Two schedules are the same when these are; what orders them by simplicity is in `explore.shrink`."""

    interruptions: tuple[str, ...]
    profile: str

    def __str__(self) -> str:
        return f"{', '.join(self.interruptions) or 'not interrupted'} ({self.profile})"


@dataclass(frozen=True)
class Trial:
    """One thing to try. `number` is its place in the search's order, from 1.

    `state`: the name of a recorded crash state that S3 holds when the first attempt of this trial begins, empty for
    none (see `explore.states`). `faults`: what goes wrong on the way, as `explore.faults` writes it, empty for none.
    `label`: what people are shown.
    """

    number: int
    schedule: Schedule
    label: str
    state: str = ""
    faults: Mapping[str, Any] = field(default_factory=dict)


class Outcome(StrEnum):
    """What came of a trial."""

    SURVIVED = "survived"  # the verdict: interrupted, observed, resumed
    RESTARTED = "restarted"  # completed from the start, as nothing had been at stake when the instance went
    FAILED = "failed"  # the script does not survive this
    MISSED = "missed"  # an interruption did not come: the script ended before
    UNPROVED = "unproved"  # completed, and nothing shows that it resumed
    BROKEN = "broken"  # the machine or the simulator failed: no word on the script
    UNDECIDED = "undecided"  # a fault's doing (see `explore.fault_verdict`), as it may be: no word on the script


SOUND = frozenset({Outcome.SURVIVED, Outcome.RESTARTED})
"""The outcomes that count as survived."""
COUNTED = SOUND | {Outcome.FAILED, Outcome.UNPROVED}
"""The outcomes of trials that took place."""


@dataclass(frozen=True)
class TrialResult:
    """What came of one trial. `rules` and `warnings` are the ids of what the verdict found; `seconds` is how long it
    took on its machine; `evidence` the message of the first finding, or why nothing was proved."""

    trial: Trial
    outcome: Outcome
    evidence: str
    rules: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tier: int | None = None
    seconds: float = 0.0

    @property
    def told(self) -> tuple[int, str, tuple[str, ...]]:
        """What two searches of the same seed must agree on: the trial, its outcome and the rules."""
        return self.trial.number, self.outcome.value, self.rules

    def as_dict(self) -> dict[str, Any]:
        """A line of trials.jsonl."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrialResult:
        """A line of trials.jsonl, read back. Raises KeyError, TypeError and ValueError for anything else."""
        trial = dict(fields["trial"])
        schedule = Schedule(tuple(trial["schedule"]["interruptions"]), str(trial["schedule"]["profile"]))
        return cls(
            **{
                **fields,
                "trial": Trial(**{**trial, "schedule": schedule}),
                "outcome": Outcome(fields["outcome"]),
                "rules": tuple(fields["rules"]),
                "warnings": tuple(fields["warnings"]),
            }
        )


def result_of(trial: Trial, verdict: Verdict, seconds: float, last: float | None = None) -> TrialResult:
    """What a verdict means for its trial. `last`: the progress at which the uninterrupted run ended, where known: an
    instance that goes after that has nothing to resume, and its interruption came too late to tell anything."""
    errors = tuple(finding.rule for finding in verdict.findings if finding.severity == "error")
    warnings = tuple(sorted({f.rule for f in verdict.findings if f.severity == "warning"} - set(errors)))
    first = next((finding.message for finding in verdict.findings if finding.severity == "error"), "")
    outcome = _outcome_of(verdict)
    if outcome is Outcome.UNPROVED and last is not None and _reached(verdict) >= last:
        outcome, first = Outcome.MISSED, "training was over when the instance went"
    return TrialResult(
        trial,
        outcome,
        first or f"{verdict.reason.what}: {verdict.reason.why}",
        tuple(dict.fromkeys(errors)),
        warnings,
        verdict.tier,
        round(seconds, 3),
    )


def _reached(verdict: Verdict) -> float:
    """How far training had come when the last instance went."""
    known = [loss.reached for loss in verdict.losses.interruptions if loss.reached is not None]
    return max(known, default=float("-inf"))


def _outcome_of(verdict: Verdict) -> Outcome:
    if verdict.verdict is Answer.SURVIVED:
        return Outcome.SURVIVED
    if verdict.verdict is Answer.FAILED:
        return Outcome.FAILED
    if not verdict.completed or verdict.broken_checks:
        return Outcome.BROKEN
    if verdict.interruptions_missed:
        return Outcome.MISSED
    return Outcome.UNPROVED if verdict.at_stake else Outcome.RESTARTED

"""What a search tried, of how many, and what came of it: one value, from which all reports of an explore are made.

Pure. Restarted trials (nothing was at stake when the instance went) count as survived and are said in words; missed
ones (the script ended before) did not take place, and count nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from simulator.explore.strip import Landmark, Strip
from simulator.explore.trial import COUNTED, SOUND, Outcome, Schedule, Search, Trial, TrialResult


class Stop(StrEnum):
    """Why a search ended."""

    EXHAUSTED = "exhausted"
    DRAWN = "drawn"
    BUDGET = "budget"
    UNTIL_FAILURE = "until-failure"
    INTERRUPTED = "interrupted"


STOPS: Mapping[Stop, str] = {
    Stop.EXHAUSTED: "all that there are were tried",
    Stop.DRAWN: "as many as were to be drawn were tried",
    Stop.BUDGET: "the budget ended",
    Stop.UNTIL_FAILURE: "it was to stop at the first failure",
    Stop.INTERRUPTED: "it was interrupted by you",
}
_WHOLE = frozenset({Stop.EXHAUSTED, Stop.DRAWN})


@dataclass(frozen=True)
class Tried:
    """A result, and where on the recorded run each of its interruptions came: 0 to 1, None where that is not known."""

    result: TrialResult
    places: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Smallest:
    """A failure made as small as it gets, and confirmed on the slow, true path.

    `found_as`: the number of the trial that it was shrunk from. `replay` and `pytest`: names of files in the run's
    folder, empty where there is none.
    """

    schedule: Schedule
    label: str
    evidence: str
    rules: tuple[str, ...] = ()
    state: str = ""
    faults: Mapping[str, Any] = field(default_factory=dict)
    found_as: int = 0
    confirmed: bool = True
    replay: str = ""
    pytest: str = ""


@dataclass(frozen=True)
class Explored:
    """A finished (or stopped) search.

    `total`: how many there are in all, None where nobody can count them. `start`: how attempts were started, told in a
    sentence (forked from a zygote that has the script's imports, or cold and why). `seconds`: how long the search took,
    without the recording. `recorded_seconds`: how long the recorded run trained, the length of the strip. `notes`: what
    else is to be said (shortened notice, failures that were not confirmed), a sentence each. `earlier`: how many of the
    trials were not made now, but by the session that this one goes on with; `seconds` are this one's.
    """

    search: Search
    seed: int
    tried: Sequence[Tried]
    total: int | None
    stopped: Stop
    seconds: float
    jobs: int
    backend: str
    start: str = ""
    budget_seconds: float | None = None
    smallest: Smallest | None = None
    landmarks: Sequence[Landmark] = ()
    recorded_seconds: float = 0.0
    notes: Sequence[str] = ()
    earlier: int = 0

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many trials came out how; every outcome is there."""
        seen = Counter(one.result.outcome for one in self.tried)
        return {outcome: seen[outcome] for outcome in Outcome}

    @property
    def survived(self) -> int:
        """The trials that count as survived."""
        return sum(number for outcome, number in self.counts.items() if outcome in SOUND)

    @property
    def counted(self) -> int:
        """The trials that took place."""
        return sum(number for outcome, number in self.counts.items() if outcome in COUNTED)

    @property
    def failures(self) -> list[TrialResult]:
        """The trials that the script did not survive, smallest first."""
        failed = [one.result for one in self.tried if one.result.outcome is Outcome.FAILED]
        return sorted(failed, key=_simplicity)

    @property
    def trials_per_minute(self) -> float:
        """Trials a minute of the search's own time."""
        made = max(0, len(self.tried) - self.earlier)
        return round(60 * made / self.seconds, 1) if self.seconds > 0 else 0.0

    def line(self) -> str:
        """The line for CI: `survived 400 of 400 schedules, seed 7`, and after a semicolon what else must be known."""
        return coverage_line([self])

    def caveats(self) -> list[str]:
        """What the two numbers of the line do not say, a phrase each."""
        counts = self.counts
        told = [
            (counts[Outcome.RESTARTED], "began again from the start, as nothing had been at stake"),
            (counts[Outcome.UNPROVED], "completed without anything to show that it resumed"),
            (counts[Outcome.MISSED], "did not take place and {} not counted, as the script had ended before"),
            (counts[Outcome.BROKEN], "could not be carried out here and {} not counted"),
            (counts[Outcome.UNDECIDED], "ended by the fault's doing, as the run may then, and {} not counted"),
        ]
        phrases = [f"{number} {phrase.format('is' if number == 1 else 'are')}" for number, phrase in told if number]
        if self.stopped not in _WHOLE:
            of = f", of {self.total} in all" if self.total is not None else ""
            phrases.append(f"stopped after {len(self.tried)}{of}: {STOPS[self.stopped]}")
        return phrases

    def as_dict(self) -> dict[str, Any]:
        """The `explored` of report.json. The evidence of a trial that survived is only in trials.jsonl."""
        return {
            "search": self.search.value,
            "seed": self.seed,
            "line": self.line(),
            "survived": self.survived,
            "counted": self.counted,
            "tried": len(self.tried),
            "total": self.total,
            "counts": {outcome.value: number for outcome, number in self.counts.items()},
            "stopped": self.stopped.value,
            "stopped_because": STOPS[self.stopped],
            "seconds": round(self.seconds, 3),
            "trials_per_minute": self.trials_per_minute,
            "budget_seconds": self.budget_seconds,
            "jobs": self.jobs,
            "backend": self.backend,
            "start": self.start,
            "smallest": None if self.smallest is None else _smallest(self.smallest),
            "recorded_seconds": round(self.recorded_seconds, 3),
            "landmarks": [{"deed": mark.deed.value, "at": mark.at} for mark in self.landmarks],
            "notes": list(self.notes),
            "trials": [_trial(one) for one in sorted(self.tried, key=lambda one: one.result.trial.number)],
        }


def tried_on(
    strip: Strip | None, results: Iterable[TrialResult], left_at: Mapping[str, float] | None = None
) -> tuple[Tried, ...]:
    """Results with their interruptions' places on the recorded run; without one the places are not known. `left_at`:
    when in the recorded run (seconds of its clock) an instance would have left each state of S3, by the state's name.
    """
    if strip is None:
        return tuple(Tried(result) for result in results)
    return tuple(Tried(result, _places(strip, result.trial, left_at or {})) for result in results)


def _places(strip: Strip, trial: Trial, left_at: Mapping[str, float]) -> tuple[float | None, ...]:
    if trial.state in left_at:
        return (strip.place_at(left_at[trial.state]), *strip.places(trial.schedule.interruptions))
    return strip.places(trial.schedule.interruptions)


def coverage_line(parts: Sequence[Explored]) -> str:
    """The line for CI of one search or several: `survived 400 of 400 schedules, 214 of 214 states, seed 7`."""
    told = ", ".join(f"{part.survived} of {part.counted} {part.search.value}" for part in parts)
    seeds = sorted({part.seed for part in parts})
    seed = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    return "; ".join([f"survived {told}, {seed}", *(phrase for part in parts for phrase in part.caveats())])


def _simplicity(result: TrialResult) -> tuple[int, int, int]:
    return len(result.trial.schedule.interruptions), len(result.trial.faults), result.trial.number


def _smallest(found: Smallest) -> dict[str, Any]:
    fields = asdict(found)
    schedule = fields.pop("schedule")
    return {
        "interruptions": list(schedule["interruptions"]),
        "profile": schedule["profile"],
        **fields,
        "rules": list(found.rules),
    }


def _trial(one: Tried) -> dict[str, Any]:
    result, trial = one.result, one.result.trial
    return {
        "number": trial.number,
        "label": trial.label,
        "outcome": result.outcome.value,
        "interruptions": list(trial.schedule.interruptions),
        "profile": trial.schedule.profile,
        "state": trial.state,
        "faults": dict(trial.faults),
        "places": list(one.places),
        "rules": list(result.rules),
        "warnings": list(result.warnings),
        "tier": result.tier,
        "seconds": result.seconds,
        "evidence": "" if result.outcome in SOUND else result.evidence,
    }

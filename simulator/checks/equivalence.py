"""The interrupted run held against uninterrupted ones: equal bit by bit, equal within a tolerance, or how they differ.

Exactness first, a stated tolerance second. A number in which two uninterrupted runs differ between themselves says
nothing about restoring, and is never blamed on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose, isnan

from simulator.checks.evidence import Evidence
from simulator.checks.progress import placed
from simulator.core.timeline import Kind

Series = Mapping[tuple[str, float], Sequence[float]]
"""(metric, progress) → every value logged there, in order; more than one where work was done again."""


@dataclass(frozen=True)
class Difference:
    """The first place at which two runs differ, for people."""

    where: str
    interrupted: float | None
    uninterrupted: float | None

    def __str__(self) -> str:
        return f"{self.where}: {_number(self.interrupted)} instead of {_number(self.uninterrupted)}"


@dataclass(frozen=True)
class Comparison:
    """What comparing with the uninterrupted runs showed. `tier` is 1, 2 or None; `open` says what was not shown."""

    tier: int | None
    evidence: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    differs: Difference | None = None


def compare(evidence: Evidence) -> Comparison:
    """The best tier that the uninterrupted runs can show, and why not a better one."""
    baselines = evidence.baselines
    if not baselines:
        return Comparison(None, open=["tiers 1 and 2: no uninterrupted run was made (--baseline)"])
    progress = evidence.progress
    if progress is None:
        return Comparison(None, open=["tiers 1 and 2: no metric tells the progress, so there is nothing to compare"])
    run, reference = series_of(evidence), series_of(baselines[0])
    names = _compared(reference)
    run, reference = _only(run, names), _only(reference, names)
    if not reference:
        return Comparison(None, open=["tiers 1 and 2: the uninterrupted run logged no metric besides its progress"])
    others = [_only(series_of(baseline), names) for baseline in baselines[1:]]
    allowed = len(evidence.reclaimed)
    label = progress.axis.describe

    steps = len({place for _, place in reference})
    what = f"{', '.join(sorted(names))} at {steps} places"
    near = _near(evidence.options.rtol)
    unlike = next((d for other in others if (d := _difference(other, reference, near, label, 0))), None)
    if unlike is not None:
        return Comparison(None, open=[f"tiers 1 and 2: the uninterrupted runs differ between themselves, at {unlike}"])
    differs = _difference(run, reference, near, label, allowed)
    if differs is not None:
        return Comparison(None, open=[f"tier 2: the interrupted run differs, at {differs}"], differs=differs)

    equivalent = f"{what}: within {evidence.options.rtol:g} of the uninterrupted run's"
    not_seen = "the order of samples: nothing in the timeline tells it"
    exact = _why_not_exact(evidence, run, reference, others, label, allowed)
    if exact is not None:
        return Comparison(2, [equivalent], [f"tier 1: {exact}", not_seen])
    return Comparison(
        1,
        [
            f"{what}: equal to the uninterrupted run's, bit by bit",
            "the model's content: equal to the uninterrupted run's",
        ],
    )


def series_of(evidence: Evidence) -> Series:
    """Every metric besides the progress itself, by progress; a value without one belongs to the last told."""
    progress = evidence.progress
    if progress is None:
        return {}
    series: dict[tuple[str, float], list[float]] = {}
    for attempt, lines in evidence.lines.items():
        walk = progress.walks.get(attempt)
        known = {reading.value for reading in walk.readings} if walk else set()
        for line, place, _ in placed(progress.axis, lines):
            if place not in known or place is None:
                continue
            for name, value in line.values.items():
                if name not in (progress.axis.name, progress.axis.within, "epoch", "step"):
                    series.setdefault((name, place), []).append(value)
    return series


def _compared(series: Series) -> set[str]:
    """Losses, or where none are logged, whatever there is: throughput never repeats, and must not decide."""
    names = {name for name, _ in series}
    return {name for name in names if "loss" in name.lower()} or names


def _only(series: Series, names: set[str]) -> Series:
    return {key: values for key, values in series.items() if key[0] in names}


def _near(rtol: float) -> Callable[[float, float], bool]:
    return lambda one, other: _equal(one, other) or isclose(one, other, rel_tol=rtol)


def _equal(one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))


def _difference(
    run: Series,
    reference: Series,
    same: Callable[[float, float], bool],
    label: Callable[[float], str],
    may_lack: int,
) -> Difference | None:
    """The first place where they differ. What was logged at a place again after a resume must be the same too; a line
    that a kill cut off may be lacking, one for each interruption."""
    lacking: list[tuple[float, Difference]] = []
    for key in sorted(reference, key=lambda key: (key[1], key[0])):
        name, place = key
        expected = reference[key][-1]
        if key not in run:
            lacking.append((place, Difference(f"{name} of {label(place)}", None, expected)))
            continue
        # A line may repeat within a place (a progress bar): then the runs' last values count, and one a resume.
        values = run[key] if len(reference[key]) == 1 else run[key][-1:]
        for value in values:
            if not same(value, expected):
                return Difference(f"{name} of {label(place)}", value, expected)
    last = max(place for _, place in reference)
    if lacking and (lacking[-1][0] == last or len({place for place, _ in lacking}) > may_lack):
        return lacking[-1 if lacking[-1][0] == last else 0][1]
    return None


def _why_not_exact(
    evidence: Evidence,
    run: Series,
    reference: Series,
    others: Sequence[Series],
    label: Callable[[float], str],
    allowed: int,
) -> str | None:
    """Why tier 1 is not shown; None when it is."""
    if not others:
        return "only one uninterrupted run was made; a second must show that the script repeats itself exactly"
    digests = [_model_digests(baseline) for baseline in evidence.baselines]
    if any(other != digests[0] for other in digests[1:]):
        return "not available: the models of two uninterrupted runs differ"
    unlike = next((d for other in others if (d := _difference(other, reference, _equal, label, 0))), None)
    if unlike is not None:
        return f"not available: two uninterrupted runs differ, at {unlike}"
    differs = _difference(run, reference, _equal, label, allowed)
    if differs is not None:
        return f"the interrupted run differs, at {differs}"
    if not digests[0]:
        return "no model was written that could be compared"
    if _model_digests(evidence) != digests[0]:
        return "the model's content differs from the uninterrupted run's"
    return None


def _model_digests(evidence: Evidence) -> Mapping[str, str]:
    if not evidence.attempts:
        return {}
    event = evidence.last(Kind.MODEL_FILES, evidence.attempts[-1])
    return {} if event is None else {path: str(facts["digest"]) for path, facts in event.data["files"].items()}


def _number(value: float | None) -> str:
    return "nothing" if value is None else repr(value)

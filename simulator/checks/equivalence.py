"""The interrupted run held against uninterrupted ones: equal bit by bit, equal within a tolerance, or how they differ.

Exactness first, a stated tolerance second. A number in which two uninterrupted runs differ between themselves, or in
which the interrupted one differed before it was interrupted, says nothing about restoring, and is never blamed on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isclose, isfinite, isnan

from simulator.checks.evidence import Evidence
from simulator.checks.final_state import NO_CHECKPOINT, result_differs, states_compared
from simulator.checks.ledger import ledger_of, order_difference, tells_order
from simulator.checks.progress import placed
from simulator.checks.resume import resumes
from simulator.checks.states import last_checkpoint

Series = Mapping[tuple[str, float], Sequence[float]]
"""(metric, progress) → every value logged there by one attempt, in order."""
Same = Callable[[str, float, float], bool]

_NOISE_ALLOWED = 10  # what is blamed on the restart differs this much more than uninterrupted runs between themselves
_NOTHING = 1e-6
_END = 0.1  # the part of what came after the restart that tells whether a difference stayed


@dataclass(frozen=True)
class Difference:
    """A place at which two runs differ, for people."""

    where: str
    interrupted: float | None
    uninterrupted: float | None
    name: str = ""
    place: float = 0.0
    attempt: int = 0

    @property
    def relative(self) -> float | None:
        """How far apart the two values are, of the larger; None where there are not two numbers."""
        if self.interrupted is None or self.uninterrupted is None:
            return None
        return _apart(self.interrupted, self.uninterrupted)

    def __str__(self) -> str:
        return f"{self.where}: {_number(self.interrupted)} instead of {_number(self.uninterrupted)}"


@dataclass(frozen=True)
class Divergence:
    """How the run differs from the uninterrupted ones since it was restored. `first` and `last`: the places where it
    does; `first_unequal`: where it does at all, if only in the last bit; `differing` of `compared` places; `stays`: it
    still does near the end; `beyond_one_epoch`: None where no epochs are told; `beyond_noise`: by more than the
    uninterrupted runs differ between themselves; `result_differs`: whether the model
    or the last checkpoint does, None where that could not be told."""

    first: Difference
    last: Difference
    first_unequal: Difference
    differing: int
    compared: int
    stays: bool
    beyond_one_epoch: bool | None
    equal_at_end: bool
    beyond_noise: bool
    tolerance: float
    result_differs: bool | None


@dataclass(frozen=True)
class Comparison:
    """What comparing with the uninterrupted runs showed. `tier` is 1, 2 or None; `open` says what was not shown;
    `divergence` is there only where the restart is to blame for a difference."""

    tier: int | None
    evidence: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    differs: Difference | None = None
    divergence: Divergence | None = None


def compare(evidence: Evidence) -> Comparison:
    """The best tier that the uninterrupted runs can show, and why not a better one."""
    return evidence.once(_compare)


def _compare(evidence: Evidence) -> Comparison:
    baselines = evidence.baselines
    if not baselines:
        return Comparison(None, open=["tiers 1 and 2: no uninterrupted run was made (--baseline)"])
    if evidence.progress is None:
        return Comparison(None, open=["tiers 1 and 2: no metric tells the progress, so there is nothing to compare"])
    if not _reference(baselines[0]):
        return Comparison(None, open=["tiers 1 and 2: the uninterrupted run logged no metric besides its progress"])
    return _Runs(evidence).compare()


def first_unequal(evidence: Evidence) -> Difference | None:
    """The first number that is not, to the last bit, the first uninterrupted run's; None where none is, or where none
    are told that could be compared."""
    baselines = evidence.baselines
    if not baselines or evidence.progress is None or not _reference(baselines[0]):
        return None
    return _Runs(evidence).first_unequal()


def series_by_attempt(evidence: Evidence) -> Mapping[int, Series]:
    """Every metric besides the progress itself, by progress; a value without one belongs to the last told."""
    return evidence.once(_series_by_attempt)


def _series_by_attempt(evidence: Evidence) -> Mapping[int, Series]:
    progress = evidence.progress
    if progress is None:
        return {}
    progress_names = {progress.axis.name, progress.axis.within, "epoch", "step"}
    found: dict[int, Series] = {}
    for attempt, lines in evidence.lines.items():
        series: dict[tuple[str, float], list[float]] = {}
        walk = progress.walks.get(attempt)
        known = {reading.value for reading in walk.readings} if walk else set()
        for line, place, _ in placed(progress.axis, lines):
            if place not in known or place is None:
                continue
            for name, value in line.values.items():
                if name not in progress_names:
                    series.setdefault((name, place), []).append(value)
        found[attempt] = series
    return found


def _reference(baseline: Evidence) -> Series:
    """The one attempt of an uninterrupted run."""
    return next((series for series in series_by_attempt(baseline).values() if series), {})


def _compared(series: Series) -> set[str]:
    """Losses, or where none are logged, whatever there is: throughput never repeats, and must not decide."""
    names = {name for name, _ in series}
    return {name for name in names if "loss" in name.lower()} or names


def _only(series: Series, names: set[str]) -> Series:
    return {key: values for key, values in series.items() if key[0] in names}


class _Runs:
    """One interrupted run and its uninterrupted ones, ready to be compared."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        whole = _reference(evidence.baselines[0])
        self._names = _compared(whole)
        self._reference = _only(whole, self._names)
        self._order = sorted(self._reference, key=lambda key: (key[1], key[0]))
        self._run = {number: _only(series, self._names) for number, series in series_by_attempt(evidence).items()}
        self._others = [_only(_reference(baseline), self._names) for baseline in evidence.baselines[1:]]
        self._cut_at = self._cut_places()
        self._rtol = evidence.options.rtol
        self._finest = _finest(self._reference)
        self._label = evidence.progress.axis.describe if evidence.progress else str

    def compare(self) -> Comparison:
        unlike = next((d for other in self._others if (d := self._unlike(other, self._near))), None)
        if unlike is not None:
            why = f"the uninterrupted runs differ between themselves, at {unlike}; the restart is not to blame"
            return Comparison(None, open=[f"tiers 1 and 2: not available: {why}"])
        differs = self._first(self._near)
        if differs is not None:
            divergence = self._divergence() if self._others else None
            why = f"the interrupted run differs, at {differs}"
            if differs.interrupted is not None and not self._is_resumed(differs):
                why += ", before anything was restored: the restart is not to blame"
            return Comparison(
                None,
                open=[f"tier 2: {why}", *self._what_came_back(divergence)],
                differs=differs,
                divergence=divergence,
            )
        return self._equal()

    def first_unequal(self) -> Difference | None:
        """The first number that is not exactly the first uninterrupted run's."""
        return self._first(_exactly)

    def _equal(self) -> Comparison:
        order, unordered = self._samples()
        if unordered is not None:
            return Comparison(
                None, open=[f"tier 2: the order of samples differs from the uninterrupted run's, at {unordered}"]
            )
        places = len({place for _, place in self._reference})
        what = f"{', '.join(sorted(self._names))} at {places} places"
        not_seen = [] if order else ["the order of samples: nothing in the timeline tells it (see `sample-ids`)"]
        exact = self._why_not_exact()
        shown, lacking = states_compared(self._evidence) if exact is None else ([], None)
        if exact is not None or lacking is not None:
            equivalent = f"{what}: within {self._rtol:g} of the uninterrupted run's"
            return Comparison(2, [equivalent, *order], [f"tier 1: {exact or lacking}", *not_seen])
        equal = f"{what}: equal to the uninterrupted run's, bit by bit"
        missing = [] if last_checkpoint(self._evidence.baselines[0]) else [NO_CHECKPOINT]
        # With all content equal, what the order of samples was no longer matters to the result: it need not be told.
        return Comparison(1, [equal, *shown, *order], missing)

    def _samples(self) -> tuple[list[str], str | None]:
        """What is shown of the order of samples, and where it differs."""
        evidence = self._evidence
        if not tells_order(evidence):
            return [], None
        first = evidence.baselines[0]
        if any(order_difference(other, first) for other in evidence.baselines[1:]):
            return [], None
        unlike = order_difference(evidence, first)
        count = len(ledger_of(first).batches)
        return (
            ([f"the order of samples: that of the uninterrupted run, in {count} batches"], None)
            if unlike is None
            else (
                [],
                unlike,
            )
        )

    def _why_not_exact(self) -> str | None:
        if not self._others:
            return "only one uninterrupted run was made; a second must show that the script repeats itself exactly"
        unlike = next((d for other in self._others if (d := self._unlike(other, _exactly))), None)
        if unlike is not None:
            return f"not available: two uninterrupted runs differ, at {unlike}; the restart is not to blame"
        differs = self._first(_exactly)
        return None if differs is None else f"the interrupted run differs, at {differs}"

    # Where runs differ.

    def _near(self, name: str, one: float, other: float) -> bool:
        """Within the tolerance, or too close to tell."""
        return _exactly(name, one, other) or isclose(
            one, other, rel_tol=self._rtol, abs_tol=self._finest.get(name, 0.0)
        )

    def _unlike(self, other: Series, same: Same) -> Difference | None:
        """The first place at which another uninterrupted run differs from the first."""
        return self._first_of({1: other}, same, 0)

    def _first(self, same: Same) -> Difference | None:
        return self._first_of(self._run, same, len(self._evidence.reclaimed))

    def _first_of(self, run: Mapping[int, Series], same: Same, may_lack: int) -> Difference | None:
        """The first place where they differ. What was logged at a place again after a resume must be the same too; a
        line that a kill cut off may be lacking, one for each interruption; and nothing may come after the end."""
        lacking: list[Difference] = []
        for key in self._order:
            name, place = key
            expected = self._reference[key][-1]
            told = any(key in series for series in run.values())
            for attempt, value in self._values(run, key):
                if not same(name, value, expected):
                    return self._at(name, place, value, expected, attempt)
            if not told:
                lacking.append(self._at(name, place, None, expected, 0))
        last = max(place for _, place in self._reference)
        if lacking and lacking[-1].place == last:
            return lacking[-1]
        if len({one.place for one in lacking}) > may_lack:
            return lacking[0]
        beyond = [(key[1], key[0], attempt) for attempt, series in run.items() for key in series if key[1] > last]
        if beyond:
            place, name, attempt = min(beyond)
            return self._at(name, place, run[attempt][name, place][-1], None, attempt)
        return None

    def _values(self, run: Mapping[int, Series], key: tuple[str, float]) -> list[tuple[int, float]]:
        """What was logged at a place, by attempt. A line may repeat within a place (a progress bar): then the last one
        counts, and none of an attempt that was cut off there, before its last."""
        if len(self._reference[key]) == 1:
            return [(attempt, value) for attempt, series in run.items() for value in series.get(key, ())]
        found = [(attempt, series[key][-1]) for attempt, series in run.items() if key in series]
        return [(attempt, value) for attempt, value in found if self._cut_at.get(attempt) != key[1]][-1:]

    def _cut_places(self) -> dict[int, float]:
        """Attempt → where it was when its instance went."""
        evidence = self._evidence
        walks = {attempt: evidence.walk(attempt) for attempt in evidence.reclaimed}
        return {attempt: walk.last.value for attempt, walk in walks.items() if walk is not None}

    def _at(self, name: str, place: float, value: float | None, expected: float | None, attempt: int) -> Difference:
        return Difference(f"{name} of {self._label(place)}", value, expected, name, place, attempt)

    # Whether the restart is to blame.

    def _first_resumed(self) -> int | None:
        """The first attempt that went on from restored state: until then a difference is the script's own."""
        return next((resume.attempt for resume in resumes(self._evidence) if resume.shows_progress), None)

    def _is_resumed(self, differs: Difference) -> bool:
        first = self._first_resumed()
        return first is not None and differs.attempt >= first

    def _divergence(self) -> Divergence | None:
        """What is to blame on the restart; None where nothing is."""
        first_resumed = self._first_resumed()
        if first_resumed is None:
            return None
        found: list[Difference] = []
        places: list[float] = []
        unequal: list[Difference] = []
        for key in self._order:
            name, place = key
            expected = self._reference[key][-1]
            values = self._values(self._run, key)
            unlike = [(n, v) for n, v in values if not self._near(name, v, expected)]
            if any(attempt < first_resumed for attempt, _ in unlike):
                return None  # it differed before anything was restored: it does not repeat itself
            if any(attempt >= first_resumed for attempt, _ in values):
                places.append(place)
            unequal += [
                self._at(name, place, value, expected, attempt)
                for attempt, value in values
                if attempt >= first_resumed and not _exactly(name, value, expected)
            ]
            found += [self._at(name, place, value, expected, attempt) for attempt, value in unlike]
        if not found or not places:
            return None
        ends_at = places[-max(1, round(_END * len(places)))]
        noise = max(
            (
                _apart(o[key][-1], self._reference[key][-1])
                for o in self._others
                for key in o.keys() & self._reference.keys()
            ),
            default=0.0,
        )
        threshold = max(self._rtol, _NOISE_ALLOWED * noise)
        return Divergence(
            first=found[0],
            last=found[-1],
            first_unequal=unequal[0],
            differing=len({one.place for one in found}),
            compared=len(set(places)),
            stays=found[-1].place >= ends_at,
            beyond_one_epoch=self._beyond_one_epoch(found[0], found[-1]),
            equal_at_end=unequal[-1].place < ends_at,
            beyond_noise=max((one.relative or 0.0) for one in found) > threshold,
            tolerance=self._rtol,
            result_differs=result_differs(self._evidence),
        )

    def _beyond_one_epoch(self, first: Difference, last: Difference) -> bool | None:
        """Whether they are in different epochs: a mean over the epoch that began anew ends with it."""
        walk = self._evidence.walk(last.attempt)
        epochs = {reading.value: reading.epoch for reading in walk.readings} if walk else {}
        one, other = epochs.get(first.place), epochs.get(last.place)
        return None if one is None or other is None else one != other

    def _what_came_back(self, divergence: Divergence | None) -> list[str]:
        if divergence is None or not divergence.equal_at_end:
            return []
        back = f"{divergence.last.name} is equal again after {self._label(divergence.last.place)}"
        return [f"{back}: what differed is what the script logs (a mean that began anew), not what it trains"]


# Numbers.


def _exactly(name: str, one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))


def _apart(one: float, other: float) -> float:
    if one == other or (isnan(one) and isnan(other)):
        return 0.0
    if not (isfinite(one) and isfinite(other)):
        return float("inf")
    return abs(one - other) / max(abs(one), abs(other))


def _finest(series: Series) -> dict[str, float]:
    """Metric → the difference that says nothing: one unit of the last digit that the log prints of it, or a millionth
    of the largest value (a loss that has come down to nothing is all rounding)."""
    digits: dict[str, int] = {}
    largest: dict[str, float] = {}
    for (name, _), values in series.items():
        for value in values:
            if isfinite(value):
                exponent = Decimal(repr(value)).normalize().as_tuple().exponent
                digits[name] = min(digits.get(name, 0), int(exponent) if isinstance(exponent, int) else 0)
                largest[name] = max(largest.get(name, 0.0), abs(value))
    return {name: max(1.001 * 10.0 ** digits[name], _NOTHING * largest[name]) for name in digits}


def _number(value: float | None) -> str:
    return "nothing" if value is None else repr(value)

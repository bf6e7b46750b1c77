"""The divergence bisector: of a run that differs since its restart, the first step that does, and the likely cause.

It looks, in this order, at what says most: the sample ledger, the optimizer's count of updates in checkpoints of the
same step, the learning rate in the log, random states in these checkpoints, and the shape of the difference. A loss
that is still equal at the first step after the restart was made of the same weights and the same batch, and what
differs next is how the weights were changed. Everything else differs in consequence, so that one cause is named:
"likely", with what tells it, or "unknown".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isclose, isfinite

from simulator.checks.equivalence import Divergence, series_by_attempt
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import may_be_a_checkpoint
from simulator.checks.ledger import order_difference, tells_order
from simulator.checks.progress import placed
from simulator.checks.resume import Resume, resumes
from simulator.checks.states import (
    StateDifference,
    StateRead,
    difference,
    left_at_end,
    same_step_pairs,
)
from simulator.checks.tensors import Role

_RATE = re.compile(r"(?i)(?<![\w])(?:lr|learning[_ ]rate)\s*[=: ]\s*([-+]?[0-9.]+(?:e[-+]?\d+)?)")
_RATE_NAMES = re.compile(r"(?i)^(lr|learning[_ ]?rate)$")
_LOOKED_AT = 5  # places after the restart, for means
_ENOUGH = 3  # of them to tell a pattern from chance
_SHOWN = 4


class Cause(StrEnum):
    """What was not brought back, most likely."""

    WEIGHTS = "weights"
    OPTIMIZER = "optimizer slots"
    RATE = "learning rate"
    RANDOM = "random state or augmentation"
    ORDER = "sample order"
    ORDER_OR_RANDOM = "sample order or random state"
    POSITION = "position in the training"
    UNSAVED = "state that no checkpoint holds"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Diagnosis:
    """The likely cause and what tells it, a sentence each. `compared`: the checkpoints of the same step that were."""

    cause: Cause
    because: list[str] = field(default_factory=list)
    compared: str | None = None


def diagnose(evidence: Evidence, divergence: Divergence) -> Diagnosis:
    """The likely cause of a divergence that compare() found."""
    resume = next(
        (one for one in reversed(resumes(evidence)) if one.shows_progress and one.attempt <= divergence.first.attempt),
        None,
    )
    if resume is None or evidence.progress is None:
        return Diagnosis(Cause.UNKNOWN)
    return _Bisector(evidence, divergence, resume).diagnosis()


class _Bisector:
    def __init__(self, evidence: Evidence, divergence: Divergence, resume: Resume) -> None:
        self._evidence, self._divergence, self._resume = evidence, divergence, resume
        self._baseline = evidence.baselines[0]
        self._progress = evidence.progress
        self._label = evidence.progress.axis.describe if evidence.progress else str
        self._unlike, self._alike = self._first_checkpoint()

    def diagnosis(self) -> Diagnosis:
        """The first cause, in the order of what says most, that something tells."""
        looks: tuple[tuple[Cause, Callable[[], str | None]], ...] = (
            (Cause.ORDER, self._order),
            (Cause.OPTIMIZER, self._updates),
            (Cause.RATE, self._rate),
            (Cause.UNSAVED, self._unsaved),
            (Cause.RANDOM, self._random),
            (Cause.POSITION, self._position),
            (Cause.OPTIMIZER, self._forward),
            (Cause.WEIGHTS, self._weights),
            (Cause.WEIGHTS, self._far_off),
        )
        for cause, tells in looks:
            because = tells()
            if because is not None:
                rate = self._rate() if cause is Cause.OPTIMIZER else None
                besides = [*([rate] if rate else []), *(self._slots() if cause is Cause.OPTIMIZER else [])]
                return self._say(cause, because, *besides)
        return self._by_what_is_left()

    def _say(self, cause: Cause, *because: str) -> Diagnosis:
        compared = self._unlike.mine if self._unlike else self._alike
        return Diagnosis(cause, list(because), compared.path if compared else None)

    def _by_what_is_left(self) -> Diagnosis:
        """Nothing that was read differs besides the weights themselves: then by what was fed to them."""
        since = self._divergence.first_unequal.place
        if not self._logs_every_step():
            return self._say(Cause.UNKNOWN, *self._slots())
        if since != self._resume.first_value:
            return self._say(Cause.ORDER_OR_RANDOM, f"all was equal until {self._label(since)}, after the restart")
        first = f"the first loss after the restart already differs, at {self._label(self._resume.first_value)}"
        if tells_order(self._evidence):
            return self._say(Cause.RANDOM, f"{first}, and the order of samples is the uninterrupted run's")
        held = self._random_states_held()
        if held:
            return self._say(Cause.ORDER, f"{first}, and the random states in {held} are equal")
        return self._say(Cause.ORDER_OR_RANDOM, first, *self._no_random_state())

    # What tells a cause.

    def _order(self) -> str | None:
        if not tells_order(self._evidence):
            return None
        unlike = order_difference(self._evidence, self._baseline)
        return None if unlike is None else f"the samples told in the log differ at {unlike}"

    def _updates(self) -> str | None:
        """The optimizer's own count began anew, or was left behind."""
        if self._unlike is None:
            return None
        for name in self._unlike.with_role(Role.UPDATES):
            mine, other = (facts.get("value") for facts in self._unlike.tensors[name])
            if isinstance(mine, int | float) and isinstance(other, int | float) and mine < other:
                return f"{name} in {self._unlike.mine.path} is {mine:g} instead of {other:g}: the optimizer began anew"
        return None

    def _unsaved(self) -> str | None:
        """All checkpoints of the same step are equal, and what is logged is not: it was made of something else too."""
        if self._alike is None or self._unlike is not None or not self._divergence.result_differs:
            return None
        return (
            f"{self._alike.path} and what else was saved since hold what the uninterrupted run's do, so that what "
            "differs is in none of them (an average of the weights, a target network, a generator)"
        )

    def _position(self) -> str | None:
        """The resumed losses are the uninterrupted run's of a step or an epoch beside."""
        name = self._divergence.first.name
        mine = self._means(self._evidence, self._resume.attempt, name)
        reference = self._means(self._baseline, None, name)
        if self._progress is None or not self._progress.regular:
            return None
        places = [place for place in mine if place >= self._divergence.first.place][:_LOOKED_AT]
        for shift in (1, -1, 2, -2):
            pairs = [(mine[place], reference.get(place + shift * self._progress.stride)) for place in places]
            known = [(one, other) for one, other in pairs if other is not None]
            if len(known) < _ENOUGH or len({other for _, other in known}) < _ENOUGH:
                continue
            if all(isclose(one, other, rel_tol=1e-6) for one, other in known):
                other_place = self._label(places[0] + shift * self._progress.stride)
                return (
                    f"{name} of {self._label(places[0])} is the uninterrupted run's of {other_place}, and so it goes on"
                )
        return None

    def _random(self) -> str | None:
        names = self._unlike.with_role(Role.RANDOM) if self._unlike else []
        if not names or self._unlike is None:
            return None
        return f"random states in {self._unlike.mine.path} differ from the uninterrupted run's: {_few(names)}"

    def _slots(self) -> list[str]:
        names = self._unlike.with_role(Role.OPTIMIZER) if self._unlike else []
        return [f"in {self._unlike.mine.path} differ {_few(names)}"] if names and self._unlike else []

    def _forward(self) -> str | None:
        """The first loss after the restart is equal, so that weights, batch and random states were; the next is not."""
        if not self._logs_every_step():
            return None
        since = self._divergence.first_unequal
        mine = series_by_attempt(self._evidence).get(self._resume.attempt, {})
        began = self._resume.first_value
        if since.place != began + 1 or (since.name, began) not in mine:
            return None  # much later it is what comes with a new epoch: the order of samples, or what is drawn
        return (
            f"{since.name} of {self._label(began)}, the first after the restart, is the uninterrupted run's, so that "
            f"the weights were; that of {self._label(since.place)} is not, so that they were changed otherwise"
        )

    def _weights(self) -> str | None:
        """The loss went back to where training began."""
        name = self._divergence.first.name
        reference = self._means(self._baseline, None, name)
        mine = self._means(self._evidence, self._resume.attempt, name)
        places = [place for place in mine if place in reference][:_LOOKED_AT]
        start = [reference[place] for place in list(reference)[:_LOOKED_AT]]
        if not places or not start:
            return None
        got, expected, began = (
            sum(values) / len(values)
            for values in ([mine[place] for place in places], [reference[place] for place in places], start)
        )
        if not all(map(isfinite, (got, expected, began))) or began <= 1.2 * expected:
            return None
        if got - expected <= 0.5 * (began - expected):
            return None
        return f"{name} went back to {got:.4g}, near the {began:.4g} of the beginning, from {expected:.4g}"

    def _far_off(self) -> str | None:
        """The first loss is far outside what the steps around it have: no other batch makes that."""
        since = self._divergence.first_unequal
        reference = self._means(self._baseline, None, since.name)
        before = [value for place, value in reference.items() if place <= since.place][-_LOOKED_AT:]
        after = [value for place, value in reference.items() if place > since.place][:_LOOKED_AT]
        around = [*before, *after]
        if not self._logs_every_step() or since.place != self._resume.first_value or len(around) < _LOOKED_AT:
            return None
        lowest, highest, got = min(around), max(around), since.interrupted
        reach = 2 * (highest - lowest)
        if got is None or not reach or lowest - reach <= got <= highest + reach:
            return None
        return (
            f"{since.name} of {self._label(since.place)} is {got:.4g}, where the steps around have {lowest:.4g} to "
            f"{highest:.4g}: no other batch makes that much"
        )

    def _means(self, evidence: Evidence, attempt: int | None, name: str) -> Mapping[float, float]:
        series = series_by_attempt(evidence)
        chosen = series.get(attempt, {}) if attempt is not None else next(iter(series.values()), {})
        return {place: values[-1] for (metric, place), values in sorted(chosen.items()) if metric == name}

    def _rate(self) -> str | None:
        """The learning rate in the log, where it differs no later than the loss."""
        mine, theirs = self._rates(self._evidence, self._resume.attempt), self._rates(self._baseline, None)
        for place in sorted(mine.keys() & theirs.keys()):
            if place > self._divergence.first.place:
                return None
            if not isclose(mine[place], theirs[place], rel_tol=1e-6):
                start = next(iter(sorted(theirs.items())))[1]
                anew = ", as at the beginning" if isclose(mine[place], start, rel_tol=0.05) else ""
                return (
                    f"the learning rate at {self._label(place)} is {mine[place]:g} instead of {theirs[place]:g}{anew}"
                )
        return None

    def _rates(self, evidence: Evidence, attempt: int | None) -> Mapping[float, float]:
        """Read from the metric where one is named so, or from the lines that gave other numbers."""
        if self._progress is None or evidence.progress is None or not evidence.attempts:
            return {}
        rates: dict[float, float] = {}
        for line, place, _ in placed(self._progress.axis, evidence.lines[attempt or evidence.attempts[0]]):
            if place is None:
                continue
            named = next((value for name, value in line.values.items() if _RATE_NAMES.match(name)), None)
            found = None if named is not None else _RATE.search(line.text)
            try:
                rates[place] = named if named is not None else float(found.group(1)) if found else rates[place]
            except (KeyError, ValueError):
                continue
        return rates

    # Checkpoints of the same step.

    def _first_checkpoint(self) -> tuple[StateDifference | None, StateRead | None]:
        """The first checkpoint after the restart that differs from the uninterrupted run's of the same step, in what
        both uninterrupted runs agree on; and one that is equal, or the last compared."""
        pairs = same_step_pairs(self._evidence, self._baseline, self._resume.attempt)
        mine, theirs = (left_at_end(run, "checkpoints") for run in (self._evidence, self._baseline))
        pairs += [(mine[path], theirs[path]) for path in mine if path in theirs and may_be_a_checkpoint(path)]
        alike = None
        for one, other in pairs:
            unlike = difference(one, other)
            if unlike is not None and unlike.tensors:
                return unlike, one
            alike = one
        return None, alike

    def _random_states_held(self) -> str:
        """The checkpoint that holds random states, all equal; empty where none does."""
        state = self._unlike.mine if self._unlike else self._alike
        if state is None or Role.RANDOM not in state.roles().values():
            return ""
        return state.path

    def _no_random_state(self) -> list[str]:
        state = self._unlike.mine if self._unlike else None
        if state is None or not state.tensors or Role.UNNAMED in state.roles().values() or len(state.tensors) < 2:
            return []
        return [f"{state.path} holds no random state"]

    def _logs_every_step(self) -> bool:
        """Whether a place is a single update of the weights; an epoch is many."""
        if self._progress is None or not self._progress.regular or self._progress.stride != 1:
            return False
        return self._progress.axis.within is not None or "epoch" not in self._progress.axis.name.lower()


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")

"""The order of a search: trials until they are exhausted, the budget is spent, one fails, or the user has enough."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.core.errors import UsageError
from simulator.engine.interrupts import UserInterrupt
from simulator.explore.coverage import Stop
from simulator.explore.pool import Run
from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult


@dataclass(frozen=True)
class Budget:
    """How much may be tried: seconds from the first trial on, or trials; None for no bound."""

    seconds: float | None = None
    trials: int | None = None

    def of(self, total: int | None) -> int | None:
        """How many of `total` trials there may be, None where nobody knows."""
        return min((number for number in (self.trials, total) if number is not None), default=None)


_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|)")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_budget(text: str) -> Budget:
    """Read `90s`, `10m`, `2h`, or a number of trials. Raises UsageError otherwise."""
    matched = _BUDGET.fullmatch(text.strip())
    if matched and float(matched.group(1)) > 0:
        if unit := matched.group(2):
            return Budget(seconds=float(matched.group(1)) * _UNIT_SECONDS[unit])
        if matched.group(1).isdigit():
            return Budget(trials=int(matched.group(1)))
    raise UsageError(
        f"--budget {text!r} is not understood",
        "it is a time, or a whole number of trials, and more than nothing",
        "use for example --budget 10m, --budget 90s or --budget 400",
    )


@dataclass(frozen=True)
class Searched:
    """What a search came to: its results in the trials' order, and why it ended."""

    results: Sequence[TrialResult]
    stopped: Stop
    seconds: float = 0.0

    @property
    def failures(self) -> list[TrialResult]:
        """The trials that the script did not survive."""
        return [result for result in self.results if result.outcome is Outcome.FAILED]


@dataclass
class Searcher:
    """Carries a search out. `known`: results of an earlier session of the same search, which are not tried again.
    `on_result` hears of each new one as it comes."""

    run: Run
    budget: Budget
    until_failure: bool = False
    known: Mapping[int, TrialResult] = field(default_factory=dict)
    on_result: Callable[[TrialResult], None] = lambda result: None
    now: Callable[[], float] = time.monotonic

    def search(self, trials: Iterable[Trial]) -> Searched:
        """Try what is to be tried. An interrupt by the user ends it like a budget: what was found is kept."""
        began = self.now()
        results: dict[int, TrialResult] = {}
        gate = _Gate(self, began)
        try:
            for result in self.run(gate.pass_on(self._unknown(trials, results))):
                results[result.trial.number] = result
                self.on_result(result)
                gate.take(result)
        except UserInterrupt:
            gate.close(Stop.INTERRUPTED)
        ordered = [results[number] for number in sorted(results)]
        return Searched(ordered, gate.stopped or Stop.EXHAUSTED, self.now() - began)

    def _unknown(self, trials: Iterable[Trial], results: dict[int, TrialResult]) -> Iterator[Trial]:
        for trial in trials:
            earlier = self.known.get(trial.number)
            if earlier is not None and earlier.trial == trial and earlier.outcome is not Outcome.BROKEN:
                results[trial.number] = earlier
            else:
                yield trial


class _Gate:
    """Lets trials through as long as there is budget. The pool asks for them from threads of its own."""

    def __init__(self, searcher: Searcher, began: float) -> None:
        self._searcher, self._began = searcher, began
        self._lock = threading.Lock()
        self._passed = 0
        self.stopped: Stop | None = None

    def pass_on(self, trials: Iterator[Trial]) -> Iterator[Trial]:
        """The trials that there is budget for."""
        for trial in trials:
            with self._lock:
                if self.stopped is None and self._is_spent():
                    self.stopped = Stop.BUDGET
                if self.stopped is not None:
                    return
                self._passed += 1
            yield trial

    def take(self, result: TrialResult) -> None:
        """Hear of a result: the first failure may be all that was wanted."""
        if self._searcher.until_failure and result.outcome is Outcome.FAILED:
            self.close(Stop.UNTIL_FAILURE)

    def close(self, why: Stop) -> None:
        """Let no more through."""
        with self._lock:
            self.stopped = self.stopped or why

    def _is_spent(self) -> bool:
        budget = self._searcher.budget
        if budget.trials is not None:
            return self._passed >= budget.trials
        return budget.seconds is not None and self._searcher.now() - self._began >= budget.seconds


def numbered(schedules: Iterable[Schedule], first: int = 1) -> Iterator[Trial]:
    """Schedules as trials, in their order."""
    for number, schedule in enumerate(schedules, first):
        yield Trial(number, schedule, str(schedule))


class Tries:
    """Whether schedules fail, asked of the pool in batches: what shrinking asks for. A schedule is tried once.

    `rules`: only failures by one of these count, so that the smallest schedule shows the failure that was found and no
    other; none given, all count."""

    def __init__(self, run: Run, first_number: int, rules: Iterable[str] = ()) -> None:
        self._run, self._numbers = run, itertools.count(first_number)
        self._rules = frozenset(rules)
        self._failed: dict[Schedule, TrialResult] = {}
        self._sound: set[Schedule] = set()

    def __call__(self, schedules: Sequence[Schedule]) -> list[bool]:
        """For each schedule whether the script fails under it."""
        new = dict.fromkeys(s for s in schedules if s not in self._failed and s not in self._sound)
        for result in self._run([Trial(next(self._numbers), schedule, str(schedule)) for schedule in new]):
            if result.outcome is Outcome.FAILED and (not self._rules or self._rules & set(result.rules)):
                self._failed[result.trial.schedule] = result
            else:
                self._sound.add(result.trial.schedule)
        return [schedule in self._failed for schedule in schedules]

    @property
    def count(self) -> int:
        """How many were tried."""
        return len(self._failed) + len(self._sound)

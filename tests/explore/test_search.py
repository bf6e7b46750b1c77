"""A search ends when nothing is left, when its budget is spent, at a failure, or when the user has enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.core.errors import UsageError
from simulator.engine.interrupts import UserInterrupt
from simulator.explore.coverage import Stop
from simulator.explore.search import Budget, Searcher, Tries, numbered, parse_budget
from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult


def schedules(count: int) -> list[Schedule]:
    return [Schedule((f"step={number}",), "sudden") for number in range(1, count + 1)]


class Script:
    """A script that fails the trials of these numbers; runs them one at a time, as they are asked for."""

    def __init__(self, *failing: int, interrupt_at: int = 0) -> None:
        self.failing, self.interrupt_at = set(failing), interrupt_at
        self.ran: list[int] = []

    def __call__(self, trials: Iterable[Trial]) -> Iterator[TrialResult]:
        for trial in trials:
            if trial.number == self.interrupt_at:
                raise UserInterrupt
            self.ran.append(trial.number)
            failed = trial.number in self.failing
            yield TrialResult(trial, Outcome.FAILED if failed else Outcome.SURVIVED, "", ("SPOT002",) if failed else ())


class Clock:
    """A second passes whenever it is read."""

    def __init__(self) -> None:
        self.seconds = -1.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def test_what_can_be_exhausted_is():
    script = Script(2)
    searched = Searcher(script, Budget(seconds=1e9)).search(numbered(schedules(3)))
    assert searched.stopped is Stop.EXHAUSTED
    assert [result.trial.number for result in searched.results] == [1, 2, 3]
    assert [result.trial.number for result in searched.failures] == [2]


def test_a_budget_of_trials_is_kept_to_the_trial():
    searched = Searcher(Script(), Budget(trials=4)).search(numbered(schedules(9)))
    assert (searched.stopped, len(searched.results)) == (Stop.BUDGET, 4)


def test_a_budget_that_is_just_enough_has_exhausted_the_search():
    assert Searcher(Script(), Budget(trials=4)).search(numbered(schedules(4))).stopped is Stop.EXHAUSTED


def test_a_budget_of_time_ends_the_search():
    searched = Searcher(Script(), Budget(seconds=5), now=Clock()).search(numbered(schedules(99)))
    assert searched.stopped is Stop.BUDGET
    assert 0 < len(searched.results) <= 5


def test_until_failure_begins_nothing_after_one():
    script = Script(2)
    searched = Searcher(script, Budget(trials=9), until_failure=True).search(numbered(schedules(9)))
    assert (searched.stopped, script.ran) == (Stop.UNTIL_FAILURE, [1, 2])


def test_an_interrupt_keeps_what_was_found():
    searched = Searcher(Script(1, interrupt_at=3), Budget(trials=9)).search(numbered(schedules(9)))
    assert (searched.stopped, [result.outcome for result in searched.results]) == (
        Stop.INTERRUPTED,
        [Outcome.FAILED, Outcome.SURVIVED],
    )


@given(done=st.sets(st.integers(1, 9)), broken=st.sets(st.integers(1, 9)))
def test_what_an_earlier_session_has_tried_is_not_tried_again_unless_the_machine_had_failed(
    done: set[int], broken: set[int]
) -> None:
    trials = list(numbered(schedules(9)))
    known = {
        trial.number: TrialResult(trial, Outcome.BROKEN if trial.number in broken else Outcome.SURVIVED, "")
        for trial in trials
        if trial.number in done
    }
    script = Script()
    searched = Searcher(script, Budget(trials=99), known=known).search(trials)
    assert script.ran == [number for number in range(1, 10) if number not in done or number in broken]
    assert [result.trial.number for result in searched.results] == list(range(1, 10))


def test_a_result_of_another_schedule_is_not_taken_for_this_ones():
    other = Trial(1, Schedule(("save",), "ec2"), "")
    script = Script()
    Searcher(script, Budget(trials=9), known={1: TrialResult(other, Outcome.SURVIVED, "")}).search(
        numbered(schedules(1))
    )
    assert script.ran == [1]


def test_shrinking_tries_a_schedule_once():
    script = Script(101)
    tries = Tries(script, 100)
    first, second, third = schedules(3)
    assert tries([first, second]) == [False, True]
    assert tries([second, first, third]) == [True, False, False]
    assert (script.ran, tries.count) == ([100, 101, 102], 3)


@pytest.mark.parametrize(("rules", "counts"), [((), True), (("SPOT002", "SPOT009"), True), (("SPOT001",), False)])
def test_only_the_failure_that_was_found_is_made_smaller(rules, counts):
    tries = Tries(Script(1), 1, rules)
    assert tries(schedules(1)) == [counts]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90)),
        ("10m", Budget(seconds=600)),
        ("1.5h", Budget(seconds=5400)),
        ("400", Budget(trials=400)),
    ],
)
def test_budgets_are_times_or_counts(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "0", "0s", "ten", "-5", "1.5", "5 parsecs"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        parse_budget(text)


def test_results_survive_a_file():
    trial = Trial(3, Schedule(("step=4", "save"), "ec2"), "two", state="s-1", faults={"name": "slow"})
    result = TrialResult(trial, Outcome.FAILED, "gone", ("SPOT002",), ("SPOT007",), None, 1.5)
    assert TrialResult.from_dict(result.as_dict()) == result

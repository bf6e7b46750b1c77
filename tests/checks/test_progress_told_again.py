"""Numbers that a later attempt tells otherwise than the first: counted from one again, or told from its history."""

from __future__ import annotations

from simulator.checks.progress import LoggedLine, counted_on, progress_of
from simulator.verdict import Answer, judge
from tests.checks.build import Attempt, Run, train


def lines(*texts: str, every: float = 1.0, begin: float = 0.0) -> list[LoggedLine]:
    return [
        LoggedLine(begin + at * every, text, {"epoch": float(text.split()[1].partition("/")[0])})
        for at, text in enumerate(texts)
    ]


def epochs(told: dict[int, list[LoggedLine]], attempt: int = 2) -> list[float]:
    return [line.values["epoch"] for line in counted_on(told)[attempt]]


def test_what_is_left_is_counted_on() -> None:
    first, second = lines("epoch 1/8", "epoch 2/8", "epoch 3/8"), lines(*(f"epoch {e}/5" for e in range(1, 6)))
    assert epochs({1: first, 2: second}) == [4, 5, 6, 7, 8]


def test_a_start_from_scratch_counts_to_the_same_total_and_stays_one() -> None:
    first, second = lines("epoch 1/8", "epoch 2/8", "epoch 3/8"), lines("epoch 1/8", "epoch 2/8")
    assert epochs({1: first, 2: second}) == [1, 2]


def test_fewer_than_were_ever_done_are_not_what_is_left() -> None:
    first, second = lines("epoch 1/8", "epoch 2/8"), lines("epoch 1/3", "epoch 2/3", "epoch 3/3")
    assert epochs({1: first, 2: second}) == [1, 2, 3]


TOLD = [f"epoch {e}" for e in range(1, 9)]


def test_a_history_told_again_at_once_is_no_training() -> None:
    second = lines(*TOLD[:6], every=0.001, begin=2.0) + lines("epoch 7", "epoch 8", begin=3.0)
    progress = progress_of({1: lines(*TOLD[:6]), 2: second}, began={1: -1.0, 2: 0.0})
    assert progress is not None and progress.walks[2].first.value == 7


def test_lines_that_are_read_late_are_no_history() -> None:
    second = lines(*TOLD[:6], every=0.001, begin=7.0) + lines("epoch 7", "epoch 8", begin=8.0)
    progress = progress_of({1: lines(*TOLD[:6]), 2: second}, began={1: -1.0, 2: 0.0})
    assert progress is not None and progress.walks[2].first.value == 1


def test_work_done_again_at_the_usual_pace_is_no_history() -> None:
    progress = progress_of({1: lines(*TOLD[:6]), 2: lines(*TOLD)}, began={1: -1.0, 2: -1.0})
    assert progress is not None and progress.walks[2].first.value == 1


def test_a_trainer_that_prints_its_history_survives() -> None:
    def tell(attempt: Attempt, stop: int) -> None:
        for step in range(1, stop):
            attempt.wait(0.001)
            attempt.log(f"step={step} loss={1 / (step + 1):.6f}")

    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        tell(second, 51)
        train(second, 51, 101, save_every=10)
        second.exit()
    assert judge(run.timeline()).verdict is Answer.SURVIVED

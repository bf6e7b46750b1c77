"""Which metric tells the progress, and what is only a banner."""

from __future__ import annotations

import pytest

from simulator.checks.progress import Axis, LoggedLine, lines_of, progress_of
from simulator.core.metrics import DEFAULT_METRICS, MetricReader
from simulator.core.timeline import Event, Kind


def logged(*lines: str) -> list[LoggedLine]:
    reader = MetricReader(DEFAULT_METRICS)
    return lines_of(
        Event(float(at), Kind.METRIC, 1, {"name": reading.name, "value": reading.value, "line": line})
        for at, line in enumerate(lines)
        for reading in reader.read(line)
    )


def steps(*values: float) -> list[LoggedLine]:
    return [LoggedLine(float(at), f"step={value:g}", {"step": value}) for at, value in enumerate(values)]


def first_of(attempts: dict[int, list[LoggedLine]], attempt: int = 2) -> float:
    progress = progress_of(attempts)
    assert progress is not None
    return progress.walks[attempt].first.value


def test_numbers_of_one_line_belong_together() -> None:
    (line,) = logged("epoch 2 step 7 loss: 0.5")
    assert line.values == {"step": 7, "epoch": 2, "loss": 0.5}


def test_numbers_without_a_line_belong_together_by_time() -> None:
    events = [
        Event(at, Kind.METRIC, 1, {"name": name, "value": value})
        for at, name, value in [(1.0, "epoch", 1), (2.0, "step", 5), (2.001, "loss", 0.5), (3.0, "step", 6)]
    ]
    assert [dict(line.values) for line in lines_of(events)] == [{"epoch": 1}, {"step": 5, "loss": 0.5}, {"step": 6}]


def test_the_step_is_preferred_to_the_epoch() -> None:
    progress = progress_of({1: logged("epoch 1 step 1", "epoch 1 step 2", "epoch 2 step 3")})
    assert progress is not None and progress.axis == Axis("step")


def test_a_number_that_never_changes_is_no_progress_for_all_its_banners() -> None:
    first = logged("max steps 500", "step=0/0 queue=7", *(f"epoch {e} | step=0/0" for e in range(9)))
    second = logged("max steps 500", "resuming: step 60, epoch 8", *(f"epoch {e} | step=0/0" for e in range(8, 12)))
    progress = progress_of({1: first, 2: second})
    assert progress is not None and progress.axis == Axis("epoch")


def test_steps_that_begin_again_in_each_epoch_are_counted_within_it() -> None:
    progress = progress_of({1: logged(*(f"epoch {e} step {s}" for e in (1, 2, 3) for s in (1, 2, 3)))})
    assert progress is not None
    assert progress.axis == Axis("epoch", within="step", span=4)
    assert len(progress.walks[1].readings) == 9
    assert progress.axis.describe(progress.walks[1].last.value) == "epoch 3, step 3"


def test_steps_under_an_epoch_headline_are_counted_within_it() -> None:
    lines = [text for e in (1, 2, 3) for text in (f"Epoch {e}/3", "step 10", "step 20")]
    progress = progress_of({1: logged(*lines)})
    assert progress is not None and progress.axis.within == "step"
    assert [reading.value for reading in progress.walks[1].readings] == sorted(
        reading.value for reading in progress.walks[1].readings
    )


def test_a_step_count_that_is_only_announced_is_no_progress() -> None:
    lines = logged("train.py --steps 1000", "Epoch 1/3", "Epoch 2/3", "Epoch 3/3")
    progress = progress_of({1: lines})
    assert progress is not None and progress.axis == Axis("epoch")


def test_a_loss_alone_is_no_progress() -> None:
    assert progress_of({1: logged("loss: 1.0", "loss: 2.0", "loss: 3.5")}) is None


def test_a_counter_of_ones_own_is_progress() -> None:
    lines = [LoggedLine(at, "", {"samples": 64.0 * at, "accuracy": 0.1 * at}) for at in range(5)]
    progress = progress_of({1: lines})
    assert progress is not None and progress.axis == Axis("samples")


def test_an_accuracy_that_only_grows_is_no_progress() -> None:
    assert progress_of({1: [LoggedLine(at, "", {"accuracy": 0.1 * at}) for at in range(5)]}) is None


def test_the_wanted_metric_is_taken() -> None:
    lines = [LoggedLine(at, "", {"step": at, "tokens": 512.0 * at}) for at in range(5)]
    progress = progress_of({1: lines}, "tokens")
    assert progress is not None and progress.axis == Axis("tokens")


@pytest.mark.parametrize(
    ("second", "began"),
    [
        ((51, 52, 53), 51),
        ((0, 51, 52, 53), 51),  # "step=0" while compiling
        ((1000, 51, 52, 53), 51),  # "--steps 1000"
        ((50, 1, 2, 3, 4), 1),  # "restored at step=50", and over again
        ((1, 2, 3, 4), 1),
        ((51,), 51),
        ((0, 1, 51, 52, 53), 51),  # warm-up steps
    ],
)
def test_banners_do_not_tell_where_an_attempt_began(second: tuple[float, ...], began: float) -> None:
    assert first_of({1: steps(*range(1, 58)), 2: steps(*second)}) == began


def test_a_leap_that_the_first_attempt_made_too_is_no_banner() -> None:
    first = steps(1, 100, 101, 102, 103, 104)
    assert first_of({1: first, 2: steps(1, 100, 101, 102, 103)}) == 1


def test_logging_by_time_is_not_regular() -> None:
    progress = progress_of({1: steps(7, 19, 28, 41, 50, 66)})
    assert progress is not None and not progress.regular


def test_a_number_that_is_none_is_left_out() -> None:
    progress = progress_of({1: steps(1, float("nan"), 2, 3)})
    assert progress is not None and [r.value for r in progress.walks[1].readings] == [1, 2, 3]

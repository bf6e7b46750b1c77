"""Numbers from log lines, by SageMaker's own MetricDefinitions."""

from __future__ import annotations

import pytest

from simulator.core.errors import UsageError
from simulator.core.job import MetricDefinition
from simulator.core.metrics import DEFAULT_METRICS, MetricReader


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("step=12 loss=0.53", {"step": 12, "loss": 0.53}),
        ("Epoch 3/10", {"epoch": 3}),
        ("[train] epoch: 2, global_step: 400, loss: 1.5e-3", {"epoch": 2, "step": 400, "loss": 0.0015}),
        ("Step 7 of 9 Loss -0.1", {"step": 7, "loss": -0.1}),
        ("val_loss: 0.4", {}),
        ("timestep 4", {}),
        ("nothing here", {}),
        ("loss=.", {}),
    ],
)
def test_the_default_metrics_read_common_lines(line: str, numbers: dict[str, float]) -> None:
    assert {reading.name: reading.value for reading in MetricReader(DEFAULT_METRICS).read(line)} == numbers


def test_a_loss_that_is_not_a_number_is_read_as_such() -> None:
    (reading,) = MetricReader(DEFAULT_METRICS).read("loss: nan")
    assert reading.value != reading.value


def test_only_the_first_match_of_a_line_counts() -> None:
    (reading,) = MetricReader([MetricDefinition("a", r"a=(\d+)")]).read("a=1 a=2")
    assert reading.value == 1


def test_a_group_that_did_not_take_part_gives_nothing() -> None:
    assert MetricReader([MetricDefinition("a", r"a(?:=(\d+))?")]).read("a") == []


@pytest.mark.parametrize("regex", [r"step=\d+", r"(\w+)=(\d+)", "step=("])
def test_an_expression_without_exactly_one_group_is_refused(regex: str) -> None:
    with pytest.raises(UsageError, match="unusable expression"):
        MetricReader([MetricDefinition("step", regex)])

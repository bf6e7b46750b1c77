"""SPOT014 save-overhead: what holds up training, and what only goes on beside it."""

from __future__ import annotations

import random
from dataclasses import replace
from math import ceil

import pytest

from simulator.checks import Severity, save_overhead
from simulator.core.timeline import Kind
from tests.checks.build import Run, interrupted, only


def trained(
    saves: int = 12,
    save_seconds: float = 0.4,
    every: int = 10,
    held_up: float | None = None,
    step_seconds: float = 0.1,
    aside: bool = False,
    noise: float = 0.02,
    settle: float = 0.0,
) -> Run:
    """Steps, with a save after every so many: it takes `save_seconds`, and training waits for `held_up` of them."""
    draw = random.Random(5)
    run = Run()
    held_up = save_seconds if held_up is None else held_up
    with run.attempt() as first:
        for step in range(1, saves * every + 1):
            first.wait(step_seconds * draw.uniform(1 - noise, 1 + noise))
            first.log(f"step={step}")
            if step % every == 0:
                name, now = f"ckpt-{step}.npz", run.now
                first.add(Kind.FILE_CHANGED, at=now + 0.01, path=name + ".tmp" * aside, bytes=0)
                if aside:
                    first.add(Kind.FILE_DELETED, at=now + save_seconds, path=name + ".tmp")
                    first.add(Kind.FILE_CHANGED, at=now + save_seconds, path=name, bytes=1000)
                first.add(Kind.FILE_SETTLED, at=now + save_seconds + settle + 0.001, path=name, bytes=1000)
                first.wait(held_up)
        first.exit()
    return run


@pytest.mark.parametrize("aside", [False, True])
def test_saves_that_hold_up_training_too_much_are_a_warning(aside: bool) -> None:
    finding = only(save_overhead.check(trained(aside=aside).evidence()))
    assert (finding.severity, finding.attempt) == (Severity.WARNING, 1)
    assert 0.2 < finding.evidence["share"] < 0.3
    assert finding.evidence["save_so_many_times_as_rarely"] >= 6


def test_saves_within_the_bound_are_right() -> None:
    assert save_overhead.check(trained(save_seconds=0.03).evidence()) == []
    assert save_overhead.check(trained(every=200, saves=6).evidence()) == []


def test_a_saver_in_the_background_costs_nothing() -> None:
    assert save_overhead.check(trained(save_seconds=0.8, held_up=0.0).evidence()) == []


def test_the_time_until_a_file_is_taken_for_settled_is_not_the_scripts() -> None:
    assert save_overhead.check(trained(save_seconds=0.01, settle=0.5, held_up=0.01).evidence()) == []


def test_an_evaluation_beside_a_short_save_is_not_its_cost() -> None:
    assert save_overhead.check(trained(save_seconds=0.02, held_up=1.0).evidence()) == []


@pytest.mark.parametrize("tiny", [{"saves": 4}, {"every": 1}, {"step_seconds": 0.001, "save_seconds": 0.01}])
def test_too_little_tells_nothing(tiny: dict[str, float]) -> None:
    assert save_overhead.check(trained(**tiny).evidence()) == []  # type: ignore[arg-type]


def test_a_log_in_bursts_tells_nothing() -> None:
    run = trained(save_seconds=0.15)
    run.events = [
        replace(event, at=float(ceil(event.at))) if event.kind is Kind.METRIC else event for event in run.events
    ]
    assert save_overhead.check(run.evidence()) == []


def test_what_is_saved_once_the_instance_is_going_is_not_counted() -> None:
    assert save_overhead.check(interrupted(51, save_every=25, write=5.0).evidence()) == []

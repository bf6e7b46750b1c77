"""Curves: each metric along the progress, thinned without losing a spike, and where an attempt went on."""

from __future__ import annotations

import math

from simulator.core.timeline import Event, Kind, Timeline
from simulator.reports.curves import PANELS, POINTS, curves, thinned
from tests.reports.runs import uninterrupted, with_loss
from tests.reports.story import story


def readings(attempt: int, values, name: str = "loss", start: int = 1) -> list[Event]:
    found = []
    for step, value in enumerate(values, start):
        line = f"step={step} {name}={value}"
        for metric, number in (("step", float(step)), (name, float(value))):
            found.append(Event(step * 0.2, Kind.METRIC, attempt, {"name": metric, "value": number, "line": line}))
    return found


def test_a_metric_is_drawn_along_the_steps_of_each_attempt_and_uninterrupted_run():
    found = curves(Timeline(with_loss(story())), [Timeline(uninterrupted())])
    (panel,) = found.panels
    assert (found.unit, panel.metric) == ("step", "loss")
    assert [curve.name for curve in panel.curves] == ["uninterrupted run 1", "attempt 1", "attempt 2"]
    assert panel.curves[1].points[39] == (40.0, 1 / 40)
    assert panel.curves[2].points[0] == (41.0, 1 / 41)


def test_a_restart_is_where_an_attempt_went_on_and_tells_what_was_done_twice():
    found = curves(Timeline(with_loss(story())))
    (restart,) = found.restarts
    assert (restart.attempt, restart.at, restart.reached, found.redone) == (2, 41, 45, True)


def test_steps_that_begin_again_in_every_epoch_are_drawn_in_epochs():
    events = []
    for epoch in range(4):
        for step in range(10):
            at = epoch * 10.0 + step
            line = f"epoch={epoch} step={step} loss=1"
            for name, value in (("epoch", epoch), ("step", step), ("loss", 1.0)):
                events.append(Event(at, Kind.METRIC, 1, {"name": name, "value": float(value), "line": line}))
    found = curves(Timeline([*story()][:1] + events))
    assert found.unit == "epoch"
    assert found.panels[0].curves[0].points[25] == (2.5, 1.0)


def test_a_run_that_logged_no_progress_is_drawn_in_seconds():
    events = [
        Event(at, Kind.METRIC, 1, {"name": "loss", "value": (-1) ** at * 0.5, "line": str(at)}) for at in range(5)
    ]
    found = curves(Timeline(events))
    assert found.unit == "seconds"
    assert found.panels[0].curves[0].points[3] == (3, -0.5)


def test_readings_that_are_no_numbers_are_counted_and_not_drawn():
    found = curves(Timeline(readings(1, [1.0, math.nan, math.inf, 0.5])))
    assert found.not_numbers == 2
    assert [y for _, y in found.panels[0].curves[0].points] == [1.0, 0.5]


def test_without_a_metric_there_is_nothing_to_draw():
    assert curves(Timeline(story())).panels == []
    assert curves(Timeline()).readings == 0


def test_more_metrics_than_fit_are_named():
    events = [event for name in "abcde" for event in readings(1, [0.5, 0.25, 0.75], name)]
    found = curves(Timeline(events))
    assert len(found.panels) == PANELS
    assert len(found.left_out) == 2


def test_ten_thousand_points_are_thinned_and_no_spike_is_lost():
    points = [(float(x), 1 / (x + 1)) for x in range(10_000)]
    points[7777] = (7777.0, 50.0)
    points[3333] = (3333.0, -50.0)
    few = thinned(points)
    assert len(few) <= POINTS
    assert {points[0], points[-1], points[7777], points[3333]} <= set(few)
    assert few == sorted(few)


def test_few_points_stay_as_they_are():
    assert thinned([(1.0, 2.0), (0.5, 1.0)]) == [(1.0, 2.0), (0.5, 1.0)]

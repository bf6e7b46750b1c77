"""How a search is watched: estimates that keep their word, lines where there is no terminal, and nothing in the way."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from simulator.explore.trial import Outcome
from simulator.reports.explore_progress import (
    FAILURES_TOLD,
    LEAST_RESULTS,
    LINE_RESULTS,
    LINE_SECONDS,
    OVER,
    WINDOW,
    ExploreBackground,
    ExploreBar,
    ExploreLines,
    ExploreProgress,
    bar,
    open_explore_view,
)
from tests.explore.results import result


def progress(done: int, *, every: float = 1.0, total: int | None = 100, budget: float | None = None) -> ExploreProgress:
    """A search with a result every so many seconds."""
    made = ExploreProgress(total, budget)
    for number in range(1, done + 1):
        made.on_result(result(number, "save"), number * every)
    return made


def shown(made: ExploreProgress, now: float, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(bar(made, now))
    return stream.getvalue()


def test_the_estimate_is_what_is_left_at_the_measured_rate():
    assert progress(20).estimate(20) == "about 80 s left"
    assert progress(20, every=3).estimate(60) == "about 4 min 0 s left"


def test_there_is_no_estimate_before_there_is_a_rate():
    assert progress(LEAST_RESULTS - 1).estimate(9) == ""
    assert progress(0, budget=60).estimate(2) == "58 s of the budget left"


def test_where_the_budget_ends_first_the_estimate_says_how_many_it_holds():
    assert progress(20, budget=50).estimate(20) == "30 s of the budget left, which holds about 30 more"
    assert progress(20, budget=500).estimate(20) == "about 80 s left"


def test_without_a_total_the_rate_is_told():
    assert progress(20, total=None).estimate(20) == "60 a minute"
    assert progress(20, total=None).of_how_many() == "20 trials"


def test_a_search_that_slows_down_is_estimated_by_its_last_results():
    made = progress(100, total=200)
    for number in range(WINDOW + 2):
        made.on_result(result(101 + number, "save"), 100 + 10.0 * number)
    now = 100 + 10.0 * (WINDOW + 1)
    assert made.rate(now) == pytest.approx(0.1, rel=0.05)


def test_the_rate_falls_while_no_result_comes():
    made = progress(20)
    first, later = made.rate(20), made.rate(200)
    assert first is not None and later is not None and later < first / 2


def test_lines_come_every_so_many_results():
    stream = io.StringIO()
    lines = ExploreLines(200, None, stream)
    for number in range(LINE_RESULTS * 2):
        lines.on_result(result(number, "save"), number * 0.01)
    assert len(stream.getvalue().splitlines()) == 2
    assert "50 of 200; 50 survived; about" in stream.getvalue()


def test_lines_come_every_so_many_seconds_where_something_came():
    stream = io.StringIO()
    lines = ExploreLines(None, None, stream)
    lines.tick(LINE_SECONDS * 2)
    assert stream.getvalue() == ""
    lines.on_result(result(1, "save"), LINE_SECONDS * 2 + 1)
    lines.tick(LINE_SECONDS * 5)
    assert stream.getvalue() == "[   21.0 s] 1 trial; 1 survived\n"


def test_a_failure_is_told_at_once_and_made_harmless():
    stream = io.StringIO()
    lines = ExploreLines(None, None, stream)
    lines.on_result(result(1, "save=2", outcome=Outcome.FAILED, evidence="it\x1b[31m died"), 1)
    assert stream.getvalue() == "[    1.0 s] failed: save=2 (sudden), SPOT004: it died\n"
    lines.close()
    assert stream.getvalue().splitlines()[1] == "[    0.0 s] 1 trial; 1 failed"


def test_a_script_that_always_fails_does_not_flood_the_log_and_a_new_kind_is_told():
    stream = io.StringIO()
    lines = ExploreLines(None, None, stream)
    for number in range(40):
        lines.on_result(result(number, "save", outcome=Outcome.FAILED), 1)
    lines.on_result(result(41, "save", outcome=Outcome.FAILED, rules=("SPOT017",)), 1)
    told = stream.getvalue().splitlines()
    assert len(told) == FAILURES_TOLD + 2
    assert "only counted here" in told[-2] and "SPOT017" in told[-1]


def test_the_bar_shows_counts_the_estimate_and_the_last_failure():
    made = progress(20)
    made.on_result(result(21, "step=4", outcome=Outcome.FAILED), 21)
    told = shown(made, 21)
    assert "21 of 100" in told and "20 survived  1 failed" in told and "about 79 s left" in told
    assert "last failed: step=4 (sudden), SPOT004" in told


def test_the_bar_says_when_the_budget_is_over():
    assert "the budget has ended" in shown(progress(20, budget=10), 20)


def test_a_line_says_when_the_budget_is_over():
    assert progress(20, budget=10).estimate(20) == OVER == progress(0, budget=10).estimate(20)


def test_time_counts_from_when_the_trials_begin():
    now = [0.0]
    stream = io.StringIO()
    behind = ExploreBackground(ExploreLines(None, 60, stream), lambda: now[0])
    now[0] = 100.0  # so long the recording took
    behind.expect(2)
    now[0] = 103.0
    behind.on_result(result(1, "save", outcome=Outcome.FAILED))
    behind.close()
    assert stream.getvalue().startswith("[    3.0 s] failed")


def test_a_narrow_terminal_is_no_error():
    assert shown(progress(20), 20, width=20)


def test_the_bar_is_taken_away_and_failures_stay():
    stream = io.StringIO()
    live = ExploreBar(None, 60.0, stream, force_terminal=True, width=80)
    live.on_result(result(1, "save", outcome=Outcome.FAILED), 1)
    live.tick(2)
    live.say("shrinking")
    live.close()
    live.close()
    assert "failed: save" in stream.getvalue() and "shrinking" in stream.getvalue()
    assert stream.getvalue().rstrip("\x1b[2K1A\r\n").endswith("\x1b[?25h") or "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize(("view", "lines"), [("auto", 3), ("plain", 3), ("quiet", 0)])
def test_the_view_of_a_pipe_is_lines(view, lines):
    stream = io.StringIO()
    with open_explore_view(view, 1, 60.0, stream) as shown_by:
        shown_by.say("recording")
        shown_by.expect(2)
        shown_by.on_result(result(1, "save", outcome=Outcome.FAILED))
    told = stream.getvalue().splitlines()
    assert len(told) == lines
    assert not lines or (told[0] == "recording" and "1 of 2; 1 failed" in told[2])

"""The live view: what its panel shows, and that nothing a script prints can break it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from simulator.core.timeline import Event, Kind
from simulator.reports.live import LiveView, panel
from simulator.reports.progress import Progress
from tests.reports.story import story, until

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def drawn(progress: Progress, now: float, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(panel(progress, now))
    return capture.get()


def terminal(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=30, markup=False, highlight=False)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def after(seconds: float) -> Progress:
    progress = Progress()
    for event in until(seconds):
        progress.on_event(event)
    return progress


def test_the_panel_shows_phase_countdown_step_and_what_is_in_s3():
    text = drawn(after(8.2), 9.1)
    assert "my-job" in text
    assert "Training" in text
    assert "SIGTERM in 4 s" in text
    assert "step 40" in text
    assert "4 checkpoint files, 4.8 kB" in text


def test_the_panel_shows_the_last_lines_of_the_script():
    progress = after(5)
    progress.on_log(b"epoch 3 [red]loss[/red]")
    assert "| epoch 3 [red]loss[/red]" in drawn(progress, 5)


@pytest.mark.parametrize("width", [1, 5, 20, 40, 200])
def test_the_panel_fits_any_terminal(width):
    progress = after(8.2)
    progress.on_log("wide 漢字 " * 100)
    assert all(len(line) <= width for line in drawn(progress, 9, width).splitlines())


def test_before_anything_has_happened_there_is_a_panel_already():
    assert "nothing logged yet" in drawn(Progress(), 0)


def test_what_matters_scrolls_by_above_the_panel():
    console = terminal()
    with LiveView(console=console) as live:
        for event in story():
            live.on_event(event)
    assert "notice: the instance goes in 5 s" in shown(console)


def test_no_bytes_of_a_script_reach_the_terminal_as_commands():
    console = terminal()
    with LiveView(console=console) as live:
        for event in until(5):
            live.on_event(event)
        live.on_log(1, bytes(range(256)))
        live.on_log(1, b"\x1b[2J\x1b]0;title\x07[/nonsense]")
        live.say("\x1b[2J[/nonsense] said")
        live.tick(6)
    assert "\x1b[2J" not in shown(console)
    assert "title" not in shown(console)
    assert "[/nonsense]" in shown(console)


def test_a_metric_that_is_not_a_number_is_shown_as_such():
    progress = after(5)
    progress.on_event(Event(5, Kind.METRIC, 1, {"name": "loss", "value": float("nan")}))
    assert "loss nan" in drawn(progress, 5)


def test_the_cursor_comes_back_at_the_end():
    console = terminal()
    with LiveView(console=console):
        pass
    assert shown(console).rfind(SHOW_CURSOR) > shown(console).rfind(HIDE_CURSOR) >= 0


def test_the_cursor_comes_back_after_an_exception():
    console = terminal()
    with pytest.raises(KeyboardInterrupt), LiveView(console=console) as live:
        live.tick(1)
        raise KeyboardInterrupt
    assert shown(console).rfind(SHOW_CURSOR) > shown(console).rfind(HIDE_CURSOR) >= 0


def test_no_color_means_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal()
    with LiveView(console=console) as live:
        for event in until(9):
            live.on_event(event)
    assert "\x1b[32m" not in shown(console)

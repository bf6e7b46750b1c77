"""Watching a run never holds it up, and never ends it."""

from __future__ import annotations

import io
import threading
import time
from typing import TextIO, cast

import pytest

from simulator.core.timeline import Event
from simulator.reports.stream import as_forgiving
from simulator.reports.views import Background, Quiet, open_view
from tests.reports.story import story


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Stuck(Quiet):
    """A terminal on hold: nothing comes back until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def say(self, line: str) -> None:
        self.released.wait(30)


class Broken(Quiet):
    def on_event(self, event: Event) -> None:
        raise RuntimeError("a bug in a view")


class Seen(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ticks: list[float] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        self.lines.append(str(line))

    def tick(self, now: float) -> None:
        self.ticks.append(now)


def test_without_a_terminal_the_view_is_plain_lines():
    stream = io.StringIO()
    with open_view("auto", stream) as view:
        for event in story():
            view.on_event(event)
    assert "notice: the instance goes in 5 s" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_the_view_is_live(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with open_view("auto", stream) as view:
        for event in story():
            view.on_event(event)
    assert "╭" in stream.getvalue()


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with open_view("auto", stream) as view:
        view.say("hello")
    assert stream.getvalue() == "hello\n"


def test_quiet_shows_nothing():
    stream = io.StringIO()
    with open_view("quiet", stream) as view:
        view.say("hello")
        for event in story():
            view.on_event(event)
    assert stream.getvalue() == ""


def test_everything_said_before_the_end_is_shown():
    seen = Seen()
    background = Background(seen)
    for number in range(1000):
        background.say(str(number))
    background.close()
    assert seen.lines == [str(number) for number in range(1000)]


def test_a_terminal_on_hold_delays_nobody():
    stuck = Stuck()
    background = Background(stuck)
    began = time.monotonic()
    background.say("this one hangs")
    for event in story():
        background.on_event(event)
    took = time.monotonic() - began
    stuck.released.set()
    background.close()
    assert took < 1


def test_a_chatty_script_before_a_terminal_on_hold_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("simulator.reports.views.QUEUED_LOG_LINES", 10)
    stuck = Stuck()
    background = Background(stuck)
    background.say("this one hangs")
    for _ in range(1000):
        background.on_log(1, b"line")
    assert background._work.qsize() < 20
    stuck.released.set()
    background.close()


def test_a_bug_in_a_view_does_not_end_the_run():
    background = Background(Broken())
    for event in story():
        background.on_event(event)
    background.close()
    assert isinstance(background.failure, RuntimeError)


def test_the_time_goes_on_while_nothing_happens(monkeypatch):
    monkeypatch.setattr("simulator.reports.background.IDLE_SECONDS", 0.01)
    seen = Seen()
    background = Background(seen)
    background.tick(100)
    deadline = time.monotonic() + 5
    while not any(now > 100 for now in seen.ticks) and time.monotonic() < deadline:
        time.sleep(0.005)
    background.close()
    assert any(now > 100 for now in seen.ticks)


def test_closing_twice_is_allowed():
    background = Background(Quiet())
    background.close()
    background.close()


def test_a_reader_that_went_away_is_no_error():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with open_view("plain", Gone()) as view:
        view.say("hello")


def test_a_terminal_of_few_characters_gets_question_marks():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    forgiving = as_forgiving(cast(TextIO, stream))
    forgiving.write("Starting → Downloading\n")
    forgiving.flush()
    assert raw.getvalue() == b"Starting ? Downloading\n"


def test_the_terminal_is_left_in_order_when_the_run_is_interrupted(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), open_view("live", stream) as view:
        for event in story():
            view.on_event(event)
        raise KeyboardInterrupt
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l") >= 0

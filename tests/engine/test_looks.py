"""Looks at the processes within a grace: when they come, that they delay nothing, and when they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Event, Kind
from simulator.engine.clock import SystemClock
from simulator.engine.looks import Looks, look_times
from simulator.engine.recorder import Recorder
from simulator.runtimes.port import ProcessInfo
from tests.engine.fakes import Container, FakeAttempt
from tests.engine.test_job_run import QUICK, good_trainer
from tests.engine.test_job_run import run as run_job

SECONDS = 20.0


class Watched:
    """A running attempt of which only the processes can be asked."""

    def __init__(self, processes: Callable[[], Sequence[ProcessInfo]]) -> None:
        self.processes = processes


def one_process() -> Sequence[ProcessInfo]:
    return [ProcessInfo(1, 0, "python train.py", True, False, False)]


def test_a_whole_grace_has_few_looks_at_growing_distances_and_one_before_its_end() -> None:
    times = look_times(100.0, 220.0)
    gaps = [after - before for (before, _), (after, _) in pairwise(times)]
    assert len(times) <= 8
    assert gaps[:-2] == sorted(gaps[:-2])
    assert times[0][0] < 101
    assert times[-1] == (219.0, "before-sigkill")


@pytest.mark.parametrize("grace", [0.05, 0.5, 2.0, 5.0, 30.0, 120.0])
def test_every_look_lies_between_sigterm_and_sigkill(grace: float) -> None:
    times = [at for at, _ in look_times(10.0, 10.0 + grace)]
    assert times == sorted(set(times))
    assert all(10.0 < at < 10.0 + grace for at in times)


def recorded(processes: Callable[[], Sequence[ProcessInfo]], grace: float, wait: threading.Event) -> list[Event]:
    clock = SystemClock()
    recorder = Recorder(clock)
    looks = Looks(
        Watched(processes),  # type: ignore[arg-type]
        clock,
        lambda kind, data: recorder.record(kind, 1, data),
        clock.now(),
        clock.now() + grace,
    )
    wait.wait(SECONDS)
    looks.stop()
    return recorder.timeline.of(Kind.PROCESSES)


def test_looks_are_recorded_with_the_instant_at_which_they_began() -> None:
    seen = threading.Event()
    count: list[int] = []

    def processes() -> Sequence[ProcessInfo]:
        count.append(1)
        if len(count) == 2:
            seen.set()
        return one_process()

    events = recorded(processes, 1.5, seen)
    assert events[0].data["when"] == "after-sigterm"
    assert events[0].data["looked_at"] <= events[0].at
    assert events[0].data["processes"][0]["pends_sigterm"] is False


def test_a_look_that_comes_back_after_the_end_is_not_recorded() -> None:
    begun, released = threading.Event(), threading.Event()

    def processes() -> Sequence[ProcessInfo]:
        begun.set()
        released.wait(0.5)
        return one_process()

    assert recorded(processes, 0.2, begun) == []


def test_an_engine_that_fails_during_a_look_is_left_to_others() -> None:
    asked = threading.Event()

    def processes() -> Sequence[ProcessInfo]:
        asked.set()
        raise EnvironmentFailure("the engine died", "", "start it")

    assert recorded(processes, 0.2, asked) == []


def test_a_look_that_hangs_delays_neither_sigkill_nor_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def processes(self: FakeAttempt) -> Sequence[ProcessInfo]:
        if self.container.terminating.is_set():
            self.container.killed.wait(SECONDS)  # answers only when the instance is gone
        return one_process()

    def stubborn(container: Container) -> int:
        if container.attempt == 1:
            container.say("step=15")
            container.killed.wait(SECONDS)
        return 0

    monkeypatch.setattr(FakeAttempt, "processes", processes)
    timeline = run_job(tmp_path, stubborn, "step=15")
    killed = timeline.of(Kind.KILLED)[0]
    assert killed.data["observed"] is True
    looks = [event for event in timeline.of(Kind.PROCESSES, attempt=1) if event.data["when"] != "before-sigterm"]
    assert all(look.at >= killed.data["scheduled_at"] for look in looks)


def test_the_lines_around_sigterm_are_on_the_timeline(tmp_path: Path) -> None:
    def trainer(container: Container) -> int:
        if container.attempt == 1:
            container.say("evaluating")
            container.say("step=15")
            container.terminating.wait(SECONDS)
            container.say("SIGTERM seen")
            return 143
        return 0

    timeline = run_job(tmp_path, trainer, "step=15")
    sent = timeline.of(Kind.SIGNAL_SENT)[0]
    assert sent.data["log_tail"] == ["evaluating", "step=15"]
    assert sent.data["sending_at"] <= sent.at
    assert "SIGTERM seen" in [event.data["line"] for event in timeline.of(Kind.LOG_LINE)]


def test_a_quiet_run_has_no_log_lines_on_the_timeline(tmp_path: Path) -> None:
    assert run_job(tmp_path, good_trainer, "step=15", profile=QUICK).of(Kind.LOG_LINE, attempt=2) == []

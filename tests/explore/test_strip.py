"""Where on the recorded run interruptions come."""

from __future__ import annotations

import pytest

from simulator.core.timeline import Event, Kind, Timeline
from simulator.explore.strip import MARKS_OF_A_KIND, Deed, Strip


def recorded(steps: int = 100, save_every: int = 10, epoch_of: int = 25) -> Timeline:
    """A run of one second a step from second 10 on: step N is at 10 + N; a save rests, and goes up, half a second
    after."""
    events = [Event(0, Kind.ATTEMPT_STARTED, 1), Event(10, Kind.PROCESS_STARTED, 1)]
    for step in range(1, steps + 1):
        at = 10.0 + step
        for name, value in (("step", step), ("epoch", step // epoch_of)):
            line = f"step={step} epoch={value}"
            events.append(Event(at, Kind.METRIC, 1, {"name": name, "value": float(value), "line": line}))
        if step % save_every == 0:
            file = {"path": f"ck-{step}", "bytes": 3}
            events.append(Event(at + 0.2, Kind.FILE_CHANGED, 1, file))
            events.append(Event(at + 0.5, Kind.FILE_SETTLED, 1, file))
            events.append(Event(at + 0.5, Kind.UPLOAD_STARTED, 1, file))
            events.append(Event(at + 0.6, Kind.UPLOAD_FINISHED, 1, file))
    return Timeline([*events, Event(10 + steps, Kind.PROCESS_EXITED, 1, {"exit_code": 0})])


@pytest.mark.parametrize(
    ("when", "place"),
    [
        ("step=50", 0.5),
        ("25s", 0.25),
        ("checkpoint=3", 0.305),
        ("line=step=70 ", 0.7),
        ("epoch=2", 0.5),
        ("save", 0.102),
        ("upload", 0.105),
    ],
)
def test_one_interruption_is_where_the_recorded_run_did_it(when, place):
    assert Strip(recorded()).places([when]) == pytest.approx((place,))


@pytest.mark.parametrize("when", ["step=500", "101s", "download", "checkpoint=99", "no such form"])
def test_what_the_recorded_run_never_did_has_no_place(when):
    assert Strip(recorded()).places([when, "step=1"]) == (None, None)


@pytest.mark.parametrize(
    ("second", "place"),
    [
        ("checkpoint=2", 0.505),  # of the second attempt, which begins at 0.305
        ("10s", 0.405),
        ("step=60", 0.6),
        ("step=10", 0.31),  # reached already: at its first step
        ("download", 0.305),
    ],
)
def test_a_second_one_counts_from_where_the_first_came(second, place):
    assert Strip(recorded()).places(["checkpoint=3", second])[1] == pytest.approx(place)


def test_a_third_one_counts_from_where_the_second_came():
    assert Strip(recorded()).places(["10.3s", "10.3s", "save"]) == pytest.approx((0.103, 0.206, 0.302))


def test_what_was_done_is_marked():
    marks = Strip(recorded()).landmarks()
    assert [mark.at for mark in marks if mark.deed is Deed.EPOCH] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert len([mark for mark in marks if mark.deed is Deed.SAVE]) == 10
    assert [mark.at for mark in marks] == sorted(mark.at for mark in marks)
    assert all(0 <= mark.at <= 1 for mark in marks)


def test_thousands_of_saves_are_thinned():
    saves = [mark for mark in Strip(recorded(3000, save_every=1)).landmarks() if mark.deed is Deed.SAVE]
    assert MARKS_OF_A_KIND / 2 < len(saves) <= MARKS_OF_A_KIND


def test_a_run_without_a_process_has_no_length():
    strip = Strip(Timeline([Event(3, Kind.ATTEMPT_STARTED, 1)]))
    assert strip.seconds == 0 and strip.places(["1s"]) == (None,) and strip.landmarks() == ()

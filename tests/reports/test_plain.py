"""Plain lines: what is told, when, and how often."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import asdict

from simulator.core.plan import PROFILES
from simulator.core.timeline import Event, Kind
from simulator.reports.plain import PlainLines
from tests.reports.story import story


def told(events: Iterable[Event] = (), quiet_logs: bool = False) -> tuple[PlainLines, io.StringIO]:
    stream = io.StringIO()
    plain = PlainLines(stream, quiet_logs)
    for event in events:
        plain.on_event(event)
        plain.tick(event.at)
    return plain, stream


def test_a_notice_says_when_the_instance_goes_and_what_triggered_it():
    _, stream = told(story())
    line = next(line for line in stream.getvalue().splitlines() if "notice:" in line)
    assert line == (
        "[    8.1 s] attempt 1  Training → notice: the instance goes in 5 s (trigger step=40 observed at step 40)"
    )


def test_the_story_of_a_run_is_told_in_order():
    _, stream = told(story())
    text = stream.getvalue()
    places = [
        text.index(part)
        for part in (
            "job my-job",
            "nothing in S3 to restore",
            "Downloading → Training",
            "SIGTERM sent; SIGKILL in 20 s",
            "the script ended after SIGTERM, exit code 0",
            "Training → Interrupted",
            "the instance and all on it is gone",
            "attempt 2  Interrupted → Starting",
            "restored 4 files, 4.8 kB, from S3 in 0.1 s",
            "the job ended: Completed",
        )
    ]
    assert places == sorted(places)


def test_uploads_are_told_at_once_the_first_time_and_then_every_few_seconds():
    uploads = [
        Event(number / 10, Kind.UPLOAD_FINISHED, 1, {"path": f"f{number}", "bytes": 1000}) for number in range(1, 100)
    ]
    _, stream = told(uploads)
    assert len(stream.getvalue().splitlines()) == 2


def test_uploads_not_yet_told_are_told_before_the_instance_goes():
    events = [Event(at, Kind.UPLOAD_FINISHED, 1, {"path": f"f{at}", "bytes": 1}) for at in (1, 2, 3)]
    _, stream = told([*events, Event(3.5, Kind.KILLED, 1, {"observed": True})])
    lines = stream.getvalue().splitlines()
    assert "3 checkpoint files" in lines[-2]
    assert "SIGKILL" in lines[-1]


def test_checkpoints_lost_on_their_way_are_counted():
    events = [Event(1, Kind.UPLOAD_ABANDONED, 1, {"path": f"f{n}", "bytes": 1}) for n in range(3)]
    _, stream = told([*events, Event(2, Kind.ATTEMPT_ENDED, 1, {"outcome": "reclaimed"})])
    assert "lost before it was in S3: 3 checkpoint files" in stream.getvalue()


def test_the_countdown_is_called_out_at_60_30_and_10_seconds():
    plain, stream = told(
        [
            Event(
                0, Kind.RUN_STARTED, 0, {"job": "j", "interruptions": ["step=1"], "profile": asdict(PROFILES["ec2"])}
            ),
            Event(0, Kind.ATTEMPT_STARTED, 1),
            Event(0, Kind.TRIGGER_FIRED, 1, {"observed_at": 0.0}),
        ]
    )
    before = len(stream.getvalue().splitlines())
    for quarter in range(1, 4 * 121):
        plain.tick(quarter / 4)
    lines = stream.getvalue().splitlines()[before:]
    assert [line.split("  ")[-1] for line in lines] == ["SIGKILL in 60 s", "SIGKILL in 30 s", "SIGKILL in 10 s"]


def test_a_late_tick_calls_the_countdown_out_once():
    plain, stream = told(
        [
            Event(
                0, Kind.RUN_STARTED, 0, {"job": "j", "interruptions": ["step=1"], "profile": asdict(PROFILES["ec2"])}
            ),
            Event(0, Kind.ATTEMPT_STARTED, 1),
            Event(0, Kind.TRIGGER_FIRED, 1, {"observed_at": 0.0}),
        ]
    )
    before = len(stream.getvalue().splitlines())
    plain.tick(115)
    plain.tick(116)
    assert len(stream.getvalue().splitlines()) == before + 1


def test_lines_of_the_script_are_marked_and_made_harmless():
    plain, stream = told()
    plain.on_log(1, b"\x1b[31mloss=0.1\x1b[0m")
    assert stream.getvalue() == "| loss=0.1\n"


def test_the_scripts_lines_can_be_left_out():
    plain, stream = told(quiet_logs=True)
    plain.on_log(1, b"loss=0.1")
    assert stream.getvalue() == ""


def test_there_is_never_an_escape_code_in_plain_lines(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    plain, stream = told(story())
    plain.on_log(1, b"\x1b[1mbold")
    assert "\x1b" not in stream.getvalue()


def test_a_signal_that_found_nobody_is_said_to_have_come_too_late():
    _, stream = told([Event(1, Kind.SIGNAL_SENT, 1, {"signal": "SIGTERM", "delivered": False})])
    assert "came too late" in stream.getvalue()

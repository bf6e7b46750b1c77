"""The append-only record, and timeline.jsonl as its other form."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.core.clock import as_iso
from simulator.core.timeline import ORDERED_KINDS, Event, Kind, Timeline, from_jsonl

EVENTS = [
    Event(0.0, Kind.RUN_STARTED, 0, {"interruptions": ["step=2"], "seed": 1}),
    Event(0.5, Kind.ATTEMPT_STARTED, 1, {"host": "algo-1"}),
    Event(1.25, Kind.METRIC, 1, {"name": "loss", "value": 0.25, "line": "loss=0.25 ü"}),
    Event(2.0, Kind.MANIFEST, 1, {"when": "kill", "files": {"a b": {"bytes": 1, "digest": "d"}}}),
    Event(3.0, Kind.ATTEMPT_STARTED, 2, {"host": "algo-1"}),
]


def lines() -> list[str]:
    return [event.to_json() + "\n" for event in EVENTS]


def test_a_timeline_read_back_is_the_same() -> None:
    assert list(from_jsonl(lines())) == EVENTS


@pytest.mark.parametrize("keep", [1, 10, -2])
def test_a_last_line_cut_by_a_crash_is_left_out(keep: int) -> None:
    *whole, last = lines()
    assert list(from_jsonl([*whole, last[:keep]])) == EVENTS[:-1]


def test_a_last_line_that_only_lacks_its_newline_is_kept() -> None:
    *whole, last = lines()
    assert list(from_jsonl([*whole, last.rstrip("\n")])) == EVENTS


def test_no_lines_are_an_empty_timeline() -> None:
    assert len(from_jsonl([])) == 0


def test_a_number_that_is_none_survives_the_round() -> None:
    (event,) = from_jsonl([Event(1.0, Kind.METRIC, 1, {"name": "loss", "value": float("nan")}).to_json()])
    assert event.data["value"] != event.data["value"]


def test_an_event_is_one_line_whatever_a_log_line_holds() -> None:
    event = Event(1.0, Kind.METRIC, 1, {"line": "a\nb\u2028c"})
    assert len(event.to_json().splitlines()) == 1


def test_what_json_does_not_know_is_written_as_text() -> None:
    (event,) = from_jsonl([Event(1.0, Kind.WARNING, 0, {"message": Path("/a")}).to_json()])
    assert event.data["message"] == "/a"


def test_events_are_found_by_kind_and_attempt() -> None:
    timeline = Timeline(EVENTS)
    first, last = timeline.first(Kind.ATTEMPT_STARTED), timeline.last(Kind.ATTEMPT_STARTED)
    assert first is not None and last is not None
    assert (first.attempt, last.attempt) == (1, 2)
    assert timeline.attempts == [1, 2]
    assert timeline.of(Kind.METRIC, attempt=2) == []
    assert timeline.first(Kind.KILLED) is None


def test_appending_keeps_the_order() -> None:
    timeline = Timeline()
    for event in EVENTS:
        timeline.append(event)
    assert list(timeline) == EVENTS and len(timeline) == len(EVENTS)


def test_transfers_and_metrics_are_not_of_the_promised_order() -> None:
    assert Kind.KILLED in ORDERED_KINDS
    assert not ORDERED_KINDS & {Kind.METRIC, Kind.UPLOAD_FINISHED, Kind.FILE_CHANGED}


@pytest.mark.parametrize(("microsecond", "text"), [(0, "2017-09-18T08:22:00Z"), (250_000, "2017-09-18T08:22:00.250Z")])
def test_a_moment_is_written_as_ec2_does(microsecond: int, text: str) -> None:
    assert as_iso(datetime(2017, 9, 18, 8, 22, 0, microsecond, tzinfo=UTC)) == text

"""The timeline as lanes: which phase an instance was in, and what is marked."""

from __future__ import annotations

from simulator.core.timeline import Event, Kind, Timeline
from simulator.reports.lanes import MOMENTS, Phase, Sign, lanes, moments
from tests.reports.story import story, until


def phases(events) -> list[list[tuple[str, float, float]]]:
    return [
        [(span.phase.name, span.start, round(span.end, 2)) for span in lane.spans] for lane in lanes(Timeline(events))
    ]


def test_a_reclaimed_attempt_goes_through_its_phases_without_a_gap():
    first, second = phases(story())
    assert first == [
        ("RESTORING", 0, 0.1),
        ("TRAINING", 0.1, 8.11),
        ("NOTICE", 8.11, 13.12),
        ("GRACE", 13.12, 13.4),
        ("FINISHING", 13.4, 13.5),
    ]
    assert [name for name, _, _ in second] == ["RESTORING", "TRAINING", "FINISHING"]


def test_signals_saves_and_uploads_are_marked_where_they_happened():
    first, second = lanes(Timeline(story()))
    assert [(mark.sign, round(mark.at, 2)) for mark in first.signals] == [
        (Sign.NOTICE, 8.11),
        (Sign.SIGTERM, 13.12),
        (Sign.GONE, 13.5),
    ]
    assert [mark.path for mark in first.saves] == ["ck-1.npz", "ck-2.npz", "ck-3.npz", "ck-4.npz"]
    assert [mark.sign for mark in first.uploads] == [Sign.UPLOAD] * 4
    assert [mark.sign for mark in second.signals] == [Sign.COMPLETED]


def test_a_signal_that_came_too_late_is_no_mark():
    events = [
        Event(e.at, e.kind, e.attempt, {**e.data, "delivered": False}) if e.kind is Kind.SIGNAL_SENT else e
        for e in story()
    ]
    assert Sign.SIGTERM not in [mark.sign for mark in lanes(Timeline(events))[0].signals]
    assert "GRACE" not in [name for name, _, _ in phases(events)[0]]


def test_an_upload_that_never_ended_reaches_to_the_end_and_one_that_was_lost_is_marked():
    started = Event(13.0, Kind.UPLOAD_STARTED, 1, {"path": "ck-9", "bytes": 1})
    abandoned = Event(13.5, Kind.UPLOAD_ABANDONED, 1, {"path": "ck-9", "bytes": 1})
    lane = lanes(Timeline([*until(13.0), started]))[0]
    assert lane.transfers[-1] == (13.0, 13.0)
    lane = lanes(Timeline([*until(13.4), started, abandoned]))[0]
    assert lane.transfers[-1] == (13.0, 13.5)
    assert lane.uploads[-1].sign is Sign.LOST


def test_an_attempt_that_was_cut_ends_with_what_was_seen_last():
    (lane,) = lanes(Timeline(until(9)))
    assert (lane.outcome, lane.spans[-1].phase) == (None, Phase.NOTICE)
    assert lane.end <= 9


def test_nothing_is_drawn_of_a_run_without_an_attempt():
    assert lanes(Timeline([next(story())])) == []


def test_the_table_has_the_sentences_that_were_told_and_says_how_many_it_left_out():
    told, left_out = moments(Timeline(story()))
    assert left_out == 0
    assert "SIGTERM sent" in " ".join(moment.text for moment in told)
    warnings = [Event(40 + n, Kind.WARNING, 0, {"message": f"number {n}"}) for n in range(1000)]
    many, left_out = moments(Timeline([*story(), *warnings]))
    assert len(many) == MOMENTS
    assert left_out == len(told) + 1000 - MOMENTS
    assert many[0] == told[0]
    assert many[-1].text == "warning: number 999"

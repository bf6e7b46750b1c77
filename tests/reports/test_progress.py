"""Where a run stands, as its events tell it."""

from __future__ import annotations

from dataclasses import asdict

from simulator.core.plan import PROFILES
from simulator.core.timeline import Event, Kind
from simulator.reports.progress import LOG_TAIL_LINES, Progress
from tests.reports.story import story, until


def after(seconds: float) -> Progress:
    progress = Progress()
    for event in until(seconds):
        progress.on_event(event)
    return progress


def test_the_phase_and_the_step_are_those_of_the_last_events():
    progress = after(5)
    assert (progress.attempt, progress.status) == (1, "Training")
    assert progress.progress_text == "step 24"


def test_checkpoint_bytes_count_only_once_they_are_in_s3():
    progress = after(2)
    progress.on_event(Event(2, Kind.UPLOAD_STARTED, 1, {"path": "a", "bytes": 10}))
    assert (progress.durable_bytes, progress.in_flight) == (0, {"a": 10})
    progress.on_event(Event(3, Kind.UPLOAD_FINISHED, 1, {"path": "a", "bytes": 10}))
    assert (progress.durable_bytes, progress.in_flight) == (10, {})


def test_an_overwritten_checkpoint_is_not_counted_twice():
    progress = Progress()
    for size in (10, 12):
        progress.on_event(Event(1, Kind.UPLOAD_FINISHED, 1, {"path": "a", "bytes": size}))
    assert progress.durable_bytes == 12


def test_an_upload_that_the_reclaim_cut_is_lost_and_not_on_its_way():
    progress = Progress()
    progress.on_event(Event(1, Kind.UPLOAD_STARTED, 1, {"path": "a", "bytes": 10}))
    progress.on_event(Event(2, Kind.UPLOAD_ABANDONED, 1, {"path": "a", "bytes": 10}))
    assert (progress.in_flight, progress.durable_bytes, progress.abandoned) == ({}, 0, 1)


def test_the_notice_starts_a_countdown_to_sigterm():
    countdown = after(8.2).countdown
    assert countdown is not None
    assert (countdown.what, round(countdown.at, 1)) == ("SIGTERM", 13.1)
    assert round(countdown.left(10.1), 1) == 3.0


def test_sigterm_starts_a_countdown_to_sigkill():
    countdown = after(13.2).countdown
    assert countdown is not None
    assert (countdown.what, round(countdown.at, 1)) == ("SIGKILL", 33.1)


def test_an_instance_that_is_gone_counts_down_to_the_next_one():
    progress = Progress()
    progress.on_event(Event(0, Kind.RUN_STARTED, 0, {"job": "j", "restart_delay_seconds": 30.0}))
    progress.on_event(Event(5, Kind.ATTEMPT_ENDED, 1, {"outcome": "reclaimed"}))
    assert progress.countdown is not None
    assert (progress.countdown.what, progress.countdown.at) == ("the next instance", 35)


def test_an_interruption_by_the_clock_is_counted_down_from_the_start_of_training():
    progress = Progress()
    profile = asdict(PROFILES["sudden"])
    progress.on_event(Event(0, Kind.RUN_STARTED, 0, {"job": "j", "interruptions": ["60s"], "profile": profile}))
    progress.on_event(Event(1, Kind.ATTEMPT_STARTED, 1))
    progress.on_event(Event(3, Kind.PROCESS_STARTED, 1))
    assert progress.countdown is not None
    assert (progress.countdown.what, progress.countdown.at) == ("the interruption", 63)


def test_a_sudden_loss_counts_down_to_nothing_but_sigkill():
    progress = Progress()
    profile = asdict(PROFILES["sudden"])
    progress.on_event(Event(0, Kind.RUN_STARTED, 0, {"job": "j", "interruptions": ["step=1"], "profile": profile}))
    progress.on_event(Event(1, Kind.ATTEMPT_STARTED, 1))
    progress.on_event(Event(2, Kind.TRIGGER_FIRED, 1, {"observed_at": 2}))
    assert progress.countdown is not None
    assert (progress.countdown.what, progress.countdown.at) == ("SIGKILL", 2)


def test_a_new_attempt_begins_with_what_is_in_s3_and_without_old_metrics():
    progress = after(33.75)
    assert (progress.attempt, progress.metrics, progress.durable_bytes) == (2, {}, 4800)


def test_only_the_last_lines_of_the_log_are_kept_and_they_are_harmless():
    progress = Progress()
    for number in range(100):
        progress.on_log(b"\x1b[2Jline %d" % number)
    assert len(progress.log_tail) == LOG_TAIL_LINES
    assert progress.log_tail[-1] == "line 99"


def test_a_finished_run_counts_down_to_nothing():
    progress = after(99)
    assert (progress.finished, progress.countdown, progress.status) == (True, None, "Completed")


def test_the_trigger_says_where_it_was_seen():
    progress = Progress()
    for event in story():
        progress.on_event(event)
        if event.kind is Kind.TRIGGER_FIRED:
            break
    assert progress.trigger_observed == "observed at step 40"

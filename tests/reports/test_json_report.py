"""report.json: what is in it, and under which names."""

from __future__ import annotations

import json

from simulator.core.errors import ExitCode
from simulator.core.timeline import Event, Kind
from simulator.reports.json_report import build_report
from tests.reports.story import record, story, until


def test_the_report_has_the_documented_fields():
    report = build_report(record())
    assert {
        "schema_version",
        "verdict",
        "reason",
        "tier",
        "tier_evidence",
        "findings",
        "not_proved",
        "not_tried",
        "losses",
        "broken_checks",
        "partial",
        "partial_reason",
        "exit_code",
        "attempts",
        "job",
        "billing",
        "plan",
        "seed",
        "runtime",
        "fidelity_lost",
        "assumptions",
        "warnings",
        "started_at",
        "versions",
        "explored",
    } == set(report)


def test_the_report_is_json_all_through():
    report = build_report(record())
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_an_interruption_is_told_as_scheduled_and_as_it_happened():
    interruption = build_report(record())["attempts"][0]["interruption"]
    assert interruption["trigger"] == "step=40"
    assert round(interruption["notice"]["actual_at"] - interruption["notice"]["scheduled_at"], 3) == 0.01
    assert round(interruption["sigterm"]["actual_at"] - interruption["sigterm"]["scheduled_at"], 3) == 0.02
    assert interruption["sigkill"]["actual_at"] is None  # the script had ended before


def test_an_attempt_tells_its_steps_uploads_and_what_was_durable_at_the_kill():
    first, second = build_report(record())["attempts"]
    assert (first["outcome"], first["first_step"], first["last_step"]) == ("reclaimed", 1, 45)
    assert first["uploads"] == {"count": 4, "bytes": 4800, "failed": 0, "abandoned": []}
    assert set(first["manifest_at_kill"]) == {"ck-1.npz", "ck-2.npz", "ck-3.npz", "ck-4.npz"}
    assert second["restored"] == {"objects": 4, "bytes": 4800, "seconds": 0.1}
    assert (second["interruption"], second["manifest_at_kill"]) == (None, None)


def test_the_losses_are_told_in_steps_and_in_seconds():
    losses = build_report(record())["losses"]
    assert losses["progress_lost"] == 5
    assert losses["seconds_lost"] > 5


def test_a_run_that_was_cut_says_so_and_has_what_happened_until_then():
    report = build_report(
        record(until(9), partial="interrupted by the user", partial_exit_code=ExitCode.INTERRUPTED_BY_USER)
    )
    assert (report["partial"], report["exit_code"]) == (True, 130)
    assert report["attempts"][0]["last_step"] == 44
    assert report["attempts"][0]["ended_at"] is None


def test_a_run_that_was_cut_before_anything_happened_has_a_report_too():
    report = build_report(record([], partial="no S3", partial_exit_code=ExitCode.ENVIRONMENT))
    assert (report["attempts"], report["verdict"]) == ([], "error")


def test_every_assumption_has_a_name_and_the_value_of_this_run():
    assumptions = {entry["name"]: entry["value"] for entry in build_report(record())["assumptions"]}
    assert (assumptions["notice"], assumptions["grace"], assumptions["restart-delay"]) == (5, 20, 20)


def test_the_grace_is_split_where_the_timeline_tells_and_the_signal_path_is_null_where_it_does_not():
    first, second = build_report(record())["attempts"]
    assert (first["grace_budget"]["from"], first["signal_path"]) == ("notice", None)  # nobody looked at processes
    assert first["grace_budget"]["segments"][-1]["name"] == "margin"
    assert (second["grace_budget"], second["signal_path"]) == (None, None)


def test_the_signal_path_is_told_where_somebody_looked():
    looked = {"when": "before-sigterm", "processes": [{"pid": 1, "ppid": 0, "command": "python train.py"}]}
    events = sorted([*story(), Event(13.0, Kind.PROCESSES, 1, looked)], key=lambda event: event.at)
    path = build_report(record(events))["attempts"][0]["signal_path"]
    assert [hop["pid"] for hop in path["hops"]] == [1]
    assert path["story"].startswith("SIGTERM reached PID 1 (python train.py)")


def test_what_a_cut_timeline_does_not_tell_is_null():
    ended = {"outcome": "reclaimed", "exit_code": None, "failure_reason": ""}
    events = [event for event in story() if event.at < 13.2 and event.kind is not Kind.RUN_STARTED]
    attempt = build_report(record([*events, Event(13.3, Kind.ATTEMPT_ENDED, 1, ended)]))["attempts"][0]
    assert (attempt["grace_budget"], attempt["signal_path"]) == (None, None)

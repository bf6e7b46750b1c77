"""The final summary: the verdict first, in words, and harmless on any terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator.core.errors import ExitCode
from simulator.core.timeline import Event, Kind
from simulator.reports.json_report import build_report
from simulator.reports.summary import print_summary, summary_text
from tests.reports.story import FIDELITY, record, story, until


def report(**changes: Any) -> dict[str, Any]:
    return build_report(record()) | changes


def one_line(text: str) -> str:
    return " ".join(text.split())


def restarted() -> dict[str, Any]:
    """The report of a run whose second attempt began at step 1 again."""
    events = [
        replace(event, data={**event.data, "value": event.data["value"] - 40})
        if event.kind is Kind.METRIC and event.attempt == 2
        else event
        for event in story()
    ]
    return build_report(record(events))


def test_the_verdict_comes_first():
    first = summary_text(report()).split("\n")[1]
    assert first == "SURVIVED  my-job  exit code 0, survives"


def test_a_script_that_does_not_survive_is_told_why_and_how_to_mend_it():
    text = summary_text(restarted())
    assert "DOES NOT SURVIVE" in text
    assert "SPOT002 restarted-from-scratch (error, attempt 2)" in text
    assert "fix   " in text


def test_what_proves_nothing_is_not_called_survived():
    text = summary_text(build_report(record(until(7))))
    assert "NOT PROVED" in text
    assert "SURVIVED" not in text


def test_the_tier_is_told_in_words():
    assert "tier 3, progress: training went on from the checkpoint" in summary_text(report())


def test_what_was_lost_is_told_in_steps_and_seconds():
    assert "attempt 1 (step=40): 5 steps and 25.7 s" in one_line(summary_text(report()))


def test_where_no_steps_are_known_that_is_said():
    events = [event for event in story() if event.kind is not Kind.METRIC]
    assert "how many steps is not known" in one_line(summary_text(build_report(record(events))))


def test_savings_are_labelled_as_the_services_and_the_price_as_unknown():
    text = one_line(summary_text(report()))
    assert "TrainingTimeInSeconds 38, BillableTimeInSeconds 18" in text
    assert "Managed Spot Training savings: 52.6 %, as the service prints it" in text
    assert "The spot price is not in this" in text


def test_what_was_not_proved_and_what_differs_from_sagemaker_is_said():
    text = summary_text(report())
    assert "no uninterrupted run was made" in text
    assert FIDELITY in text


def test_what_was_not_tried_is_said_of_a_run_that_survived():
    assert "--interrupt save" in summary_text(report())
    assert "What was not tried" not in summary_text(restarted())


def test_what_became_of_sigterm_and_of_the_grace_is_told_in_a_line_each():
    path = {"story": "SIGTERM reached PID 1 (python\x07 train.py)."}
    shown = report()
    shown["attempts"][0]["signal_path"] = path
    text = one_line(summary_text(shown))
    assert "attempt 1: SIGTERM reached PID 1 (python train.py)." in text
    assert "attempt 1: Of the 25.0 s from the notice to SIGKILL" in text


def test_a_story_that_a_finding_tells_is_not_told_twice():
    shown = restarted()
    shown["attempts"][0]["signal_path"] = {"story": shown["findings"][0]["message"]}
    assert one_line(summary_text(shown)).count(shown["findings"][0]["message"][:40]) == 1


def test_a_run_of_an_older_version_is_shown_without_them():
    shown = report()
    for attempt in shown["attempts"]:
        del attempt["signal_path"], attempt["grace_budget"]
    assert "Signal and grace" not in summary_text(shown)


def test_the_files_are_named():
    assert "runs/my-job/report.json" in summary_text(report(), Path("runs/my-job"))


def test_a_run_that_was_cut_is_summed_up_as_far_as_it_came():
    cut = record(until(9), partial="interrupted by the user", partial_exit_code=ExitCode.INTERRUPTED_BY_USER)
    text = summary_text(build_report(cut))
    assert "CUT SHORT  my-job  exit code 130, interrupted by you" in text
    assert "interrupted by the user" in text


def test_a_run_that_was_cut_before_it_began_is_summed_up_too():
    empty = build_report(record([], partial="moto died", partial_exit_code=ExitCode.ENVIRONMENT))
    assert "CUT SHORT" in summary_text(empty)


def test_messages_cannot_command_the_terminal_nor_be_taken_for_markup():
    finding = {
        "rule": "SPOT004",
        "name": "torn-checkpoint",
        "severity": "error",
        "attempt": 1,
        "message": "\x1b[2Jtorn [bold]file[/bold] [/nonsense]",
        "evidence": {"path": "a\x07b[red]", "files": ["x\x1b[1m", "y"], "bytes": 3, "table": [{"a": 1}]},
        "fix": "first [x]\n  then\x1b[0m",
    }
    text = summary_text(report(findings=[finding]))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "torn [bold]file[/bold] [/nonsense]" in text.lower()


@pytest.mark.parametrize("width", [20, 60, 200])
def test_the_summary_fits_any_width(width):
    assert all(len(line) <= width for line in summary_text(restarted(), Path("runs"), width).splitlines())


def test_the_same_warning_is_told_once():
    events = [*story(), *(Event(39, Kind.WARNING, 1, {"message": "not uploaded: pipe"}) for _ in range(9))]
    assert summary_text(build_report(record(events))).count("not uploaded: pipe") == 1


def test_without_a_terminal_the_summary_is_plain(monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    stream = io.StringIO()
    print_summary(report(), None, stream)
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue() == summary_text(report())


def test_on_a_terminal_the_summary_has_colours(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    print_summary(report(), None, stream)
    assert "\x1b[1;32m" in stream.getvalue()

"""GitHub Actions is told in its own words, and a script's text is never one of its commands."""

from __future__ import annotations

import io
from typing import Any

import pytest

from simulator.reports.finished import read_run
from simulator.reports.github import tell_github, workflow_commands
from simulator.reports.json_report import build_report
from tests.reports import runs
from tests.reports.story import record

FINDING = {
    "rule": "SPOT003",
    "name": "lost-progress",
    "severity": "error",
    "attempt": 2,
    "message": "50 % was lost",
    "evidence": {},
    "fix": "save:\n  more, often",
}


def report(**fields: Any) -> dict[str, Any]:
    return build_report(record()) | fields


def test_an_error_is_an_annotation_with_its_rule_attempt_and_fix():
    (line,) = workflow_commands(report(verdict="failed", findings=[FINDING]))
    assert line == (
        "::error title=SPOT003 lost-progress (attempt 2)::50 %25 was lost%0AHow to mend it: save:%0A  more, often"
    )


def test_a_warning_is_a_warning_and_the_verdict_a_notice():
    warning, verdict = workflow_commands(report(findings=[{**FINDING, "severity": "warning", "attempt": 0}]))
    assert warning.startswith("::warning title=SPOT003 lost-progress::")
    assert verdict.startswith("::notice title=Spot interruption%3A survived%2C tier 3::")


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("ended_failed", "Spot interruption%3A does not survive"),
        ("nothing_interrupted", "Spot interruption%3A not proved"),
        ("cut_short", "Spot interruption%3A cut short"),
        ("empty", "Spot interruption%3A cut short"),
    ],
)
def test_a_verdict_that_no_finding_tells_is_told_by_itself(kind, title):
    told = workflow_commands(read_run(runs.kept(kind)).report)
    assert [line for line in told if line.startswith("::error")][-1].startswith(f"::error title={title}::")


@pytest.mark.parametrize("text", ["a\n::add-mask::x", "a\r::stop-commands::x", "a\r\n::error::x", "\x85::error::x"])
def test_a_message_is_one_line_and_one_command(text):
    (line,) = workflow_commands(report(verdict="failed", findings=[{**FINDING, "message": text, "name": text}]))
    assert len(line.splitlines()) == 1
    title, data = line.removeprefix("::error title=").split("::", 1)
    assert ":" not in title
    assert data


def test_elsewhere_nothing_is_told(tmp_path):
    out = io.StringIO()
    tell_github(report(), out, {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")})
    assert out.getvalue() == ""
    assert not (tmp_path / "summary").exists()


def test_the_step_summary_is_added_to_what_is_there(tmp_path):
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    tell_github(report(), io.StringIO(), {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().startswith("before\n## Survived: my-job\n")


def test_a_step_summary_that_cannot_be_written_is_a_warning(tmp_path):
    out = io.StringIO()
    tell_github(report(), out, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert out.getvalue().splitlines()[-1].startswith("::warning title=Step summary::")

"""What a failing test reads: made from a report alone, so that it is tested without a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from simulator.app.simulate import Result
from simulator.checks import RULES, Finding, Severity
from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.pytest_plugin import CannotRun, DidNotSurvive, NothingProved, SpotRun
from simulator.reports.json_report import build_report
from simulator.runtimes.process.isolation import FIDELITY_LOST, Isolation
from simulator.verdict import Answer, Reason, Verdict
from tests.reports.story import record, story

FIX = "Load the newest one:\n  + start = load(newest)\n  - start = 0"
FROM_SCRATCH = Finding("SPOT002", "restarted-from-scratch", Severity.ERROR, 2, "Attempt 2 began again at step 1.", FIX)
GROWTH = Finding("SPOT010", "checkpoint-growth", Severity.WARNING, 0, "The folder grows.", "Keep three.")
REASON = Reason("the job ended Failed", "attempt 2 exited with 1", "read the log")


def run_with(verdict: Verdict | None = None, folder: Path = Path("/runs/1"), **story_of: str) -> SpotRun:
    """A recorded run under this verdict, or under the one its story deserves."""
    fields = {} if verdict is None else {"verdict": verdict}
    recorded = record(list(story(**story_of)), **fields)
    return SpotRun(Result(recorded, build_report(recorded), folder))


def told(run: SpotRun, **asked: int) -> str:
    with pytest.raises(DidNotSurvive) as failure:
        run.assert_survived(**asked)
    return str(failure.value)


def test_a_finding_is_told_with_what_why_the_fix_as_a_diff_the_folder_and_the_next_command():
    lines = told(run_with(Verdict(Answer.FAILED, REASON, findings=[FROM_SCRATCH]))).splitlines()
    assert lines[0] == "SPOT002 restarted-from-scratch: the script does not survive step=40"
    assert "  what  Attempt 2 began again at step 1." in lines
    assert any(line.startswith(f"  why   {RULES['SPOT002'].why[:40]}") for line in lines)
    fix = lines.index("  fix   Load the newest one:")
    assert lines[fix + 1 : fix + 3] == ["          + start = load(newest)", "          - start = 0"]
    assert lines[-2:] == ["  run   /runs/1", "  next  spot-simulator report /runs/1"]


def test_every_error_is_told_and_no_warning_is_taken_for_one():
    other = Finding("SPOT012", "no-model", Severity.ERROR, 2, "No model.", "Save one.")
    text = told(run_with(Verdict(Answer.FAILED, REASON, findings=[FROM_SCRATCH, other, GROWTH])))
    assert "SPOT002 restarted-from-scratch, SPOT012 no-model: " in text
    assert "No model." in text
    assert "SPOT010" not in text


def test_a_job_that_failed_without_a_finding_quotes_the_end_of_its_log(tmp_path: Path):
    log = tmp_path / "logs" / "attempt-2.log"
    log.parent.mkdir()
    log.write_text("epoch 1\n\x1b[31mMemoryError\x1b[0m\n")
    text = told(run_with(Verdict(Answer.FAILED, REASON), folder=tmp_path))
    assert text.startswith("the job ended Failed: the script does not survive step=40")
    assert "        | MemoryError\n" in text


def test_what_differs_from_sagemaker_is_told_where_it_may_be_to_blame():
    def differing(*sentences: str, findings: Sequence[Finding] = ()) -> str:
        recorded = record(verdict=Verdict(Answer.FAILED, REASON, findings=list(findings)), fidelity_lost=sentences)
        return told(SpotRun(Result(recorded, build_report(recorded), Path("/runs/1"))))

    moved = FIDELITY_LOST[Isolation.PLAIN][1]
    assert "  note  unlike SageMaker: no container" in differing("no container")
    assert "unlike SageMaker" not in differing("no container", findings=[FROM_SCRATCH])
    assert "/opt/ml is another folder" in differing("no container", moved, findings=[FROM_SCRATCH])


def test_a_proof_weaker_than_asked_says_what_is_open_and_how_to_get_it():
    run = run_with()
    run.assert_survived()
    text = told(run, tier=1)
    assert "survived step=40, tier 3 (progress), but tier 1 (bit-identical) was asked for" in text
    assert "baseline=True" in text


def test_nothing_interrupted_gives_its_next_step_in_the_words_of_a_test():
    reason = Reason(
        "nothing was interrupted", "it ended before", "use an earlier one, for example --interrupt step=20, or"
    )
    text = str(NothingProved(run_with(Verdict(Answer.ERROR, reason))))
    assert text.startswith("nothing was interrupted (step=40)")
    assert 'interrupt="step=20", or' in text


def test_a_warning_that_outlasts_the_training_is_told_so():
    recorded = record(verdict=Verdict(Answer.ERROR, REASON))
    report = build_report(recorded)
    report["attempts"] = [{**report["attempts"][0], "outcome": "completed"}]
    text = str(NothingProved(SpotRun(Result(recorded, report, Path("/runs/1")))))
    assert "  next  a warning shorter than the rest of the training: warning=2 in place of 5 s" in text


def test_an_error_of_the_machine_is_not_blamed_on_the_script(tmp_path: Path):
    failed = CannotRun.because(EnvironmentFailure("no engine", "it is down", "start it"), tmp_path)
    wrong = CannotRun.because(UsageError("no such setting", "a typo", "see --help"), tmp_path)
    assert str(failed) == "the environment fails, not the script: no engine\n  why   it is down\n  next  start it"
    assert str(wrong).startswith("the settings are wrong: no such setting")
    (tmp_path / "report.json").touch()
    assert f"  run   {tmp_path}\n" in str(CannotRun.because(failed.error, tmp_path))


def test_survived_is_a_truth_value_that_says_why():
    survived, failed = run_with().survived, run_with(Verdict(Answer.FAILED, REASON, findings=[FROM_SCRATCH])).survived
    assert survived
    assert survived == True  # noqa: E712 - as people write it
    assert not failed
    assert repr(survived) == "<survived step=40, tier 3 (progress)>"
    assert repr(failed) == "<SPOT002 restarted-from-scratch: the script does not survive step=40>"


def test_a_run_names_the_rules_of_its_errors_and_keeps_its_warnings():
    run = run_with(Verdict(Answer.SURVIVED, REASON, tier=3, findings=[GROWTH]))
    assert (run.rules, [finding.rule for finding in run.findings]) == ([], ["SPOT010"])
    assert "warnings SPOT010" in run.in_one_line()


def test_only_questions_about_the_outcome_count_as_asked():
    run = run_with()
    assert (run.report["verdict"], run.folder, run.log(1)) == ("survived", Path("/runs/1"), "")
    assert not run.was_asked
    assert run.tier == 3
    assert run.was_asked

"""Whole runs in the process runtime: unmodified scripts, moto, and the verdict that each deserves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.app.simulate import Result, simulate
from simulator.core.errors import ExitCode
from simulator.core.timeline import ORDERED_KINDS, Kind
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.app import scripts
from tests.app.harness import PATIENCE_SECONDS, harness

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml: needs namespaces"),
]


def run(tmp_path: Path, script: str, *interruptions: str, **settings: object) -> Result:
    source = scripts.write(tmp_path / "source", script)
    return simulate(
        runtime="process",
        source_dir=source,
        entry_script="train.py",
        interrupt=interruptions or ("step=35",),
        out=tmp_path / "run",
        **{"warning": 0.5, "grace": 2.0, **settings},
    )


def rules(result: Result) -> list[str]:
    return sorted(finding.rule for finding in result.verdict.findings if finding.severity == "error")


def test_a_script_that_saves_and_restores_survives(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.GOOD)
    assert (result.exit_code, result.verdict.tier, rules(result)) == (ExitCode.SURVIVED, 3, [])


def test_a_baseline_proves_equality_bit_by_bit(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.GOOD, baseline=True)
    assert (result.exit_code, result.verdict.tier) == (ExitCode.SURVIVED, 1)


def test_a_script_that_only_saves_at_intervals_survives_too(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.PERIODIC_ONLY)
    assert (result.exit_code, rules(result)) == (ExitCode.SURVIVED, [])


@pytest.mark.parametrize("profile", ["sudden", "ec2", "sagemaker"])
def test_every_profile_is_survived_and_observed(tmp_path: Path, profile: str) -> None:
    settings = {"warning": None} if profile != "ec2" else {}
    result = run(tmp_path, scripts.GOOD, profile=profile, **settings)
    assert result.exit_code is ExitCode.SURVIVED


def test_two_interruptions_in_quick_succession_and_one_while_restoring(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.GOOD, "step=25", "download", "step=80")
    assert result.exit_code is ExitCode.SURVIVED
    assert len(result.report["attempts"]) == 4


@pytest.mark.parametrize("moment", ["save", "upload", "checkpoint=2", "1s", "line=step=4\\d", "loss=0.9"])
def test_every_trigger_comes(tmp_path: Path, moment: str) -> None:
    result = run(tmp_path, scripts.GOOD, moment, profile="sudden", warning=None, grace=None)
    timeline = result.record.timeline
    assert len(timeline.of(Kind.TRIGGER_FIRED)) == 1
    assert timeline.of(Kind.KILLED)[0].data["observed"] is True


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (scripts.NEVER_LOADS, "SPOT002"),
        (scripts.NEVER_SAVES, "SPOT001"),
        (scripts.SAVES_ELSEWHERE, "SPOT009"),
        (scripts.DIES_RESTORING, "SPOT017"),
        (scripts.LEAVES_NO_MODEL, "SPOT012"),
    ],
    ids=["never-loads", "never-saves", "saves-elsewhere", "dies-restoring", "leaves-no-model"],
)
def test_a_script_that_does_not_survive_is_told_why(tmp_path: Path, script: str, expected: str) -> None:
    result = run(tmp_path, script)
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert expected in rules(result)
    finding = next(finding for finding in result.verdict.findings if finding.rule == expected)
    assert finding.fix and finding.evidence


def test_a_job_that_exceeds_its_runtime_is_stopped_and_told(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.GOOD, "step=20", max_runtime=2.5)
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert "SPOT013" in rules(result)
    assert result.report["job"]["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_run_that_interrupted_nothing_is_never_survived(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.GOOD, "step=5000")
    assert result.exit_code is ExitCode.USAGE
    assert result.report["verdict"] == "error"


def test_a_script_that_crashes_at_once_is_failed_and_quoted(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.CRASHES_AT_ONCE)
    assert result.exit_code is not ExitCode.SURVIVED
    assert result.report["job"]["TrainingJobStatus"] == "Failed"
    assert "cannot begin" in (result.folder / "logs" / "attempt-1.log").read_text()


def test_an_exit_with_zero_on_the_notice_is_no_survival(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.LEAVES_ON_NOTICE, warning=30, grace=5)
    assert result.exit_code is not ExitCode.SURVIVED
    assert result.report["job"]["TrainingJobStatus"] == "Completed"


def test_the_same_seed_and_plan_twice_give_the_same_events_in_the_same_order(tmp_path: Path) -> None:
    def order(folder: str) -> list[tuple[Kind, int]]:
        result = run(tmp_path / folder, scripts.GOOD, "step=20..60", seed=5)
        return [(event.kind, event.attempt) for event in result.record.timeline if event.kind in ORDERED_KINDS]

    assert order("first") == order("second")


def test_the_report_can_be_read_by_a_machine(tmp_path: Path) -> None:
    result = run(tmp_path, scripts.GOOD)
    report = json.loads((result.folder / "report.json").read_text())
    assert report == result.report
    assert report["schema_version"]
    assert (report["verdict"], report["tier"], report["findings"]) == ("survived", 3, [])
    assert [attempt["outcome"] for attempt in report["attempts"]] == ["reclaimed", "completed"]
    statuses = [transition["Status"] for transition in report["job"]["SecondaryStatusTransitions"]]
    assert statuses.count("Interrupted") == 1


def test_a_run_ends_with_the_path_of_its_report_and_tells_github(tmp_path: Path) -> None:
    source = scripts.write(tmp_path / "source", scripts.NEVER_LOADS)
    summary = tmp_path / "step-summary"
    options = ["--runtime", "process", "--source-dir", str(source), "--entry-script", "train.py"]
    options += ["--interrupt", "step=35", "--warning", "0.5", "--grace", "2", "--out", str(tmp_path / "run")]
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    with harness(tmp_path / "said", "run", *options, **environment) as running:
        assert running.wait(PATIENCE_SECONDS) == ExitCode.DOES_NOT_SURVIVE
    said = (tmp_path / "said").read_text().splitlines()
    assert said[-1].endswith(f"{tmp_path}/run/report.html")
    assert any(line.startswith("::error title=SPOT002 restarted-from-scratch (attempt 2)::") for line in said)
    assert summary.read_text() == (tmp_path / "run" / "summary.md").read_text() + "\n"
    assert "Does not survive" in (tmp_path / "run" / "report.html").read_text()

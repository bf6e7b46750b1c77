"""Searches as users call them: small scripts in the process runtime, reported, replayed, gone on with and cut off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.app.explore import ExploreOptions, explore, explore_settings
from simulator.app.replay import replay
from simulator.app.simulate import Result
from simulator.core.errors import ExitCode, UsageError
from simulator.explore.coverage import Stop
from simulator.explore.search import Budget
from simulator.explore.trial import Outcome, Search
from simulator.explore.trials_file import read_search
from simulator.reports.folder import read_run
from tests.app import scripts
from tests.app.harness import PATIENCE_SECONDS, harness, wait_for

pytestmark = pytest.mark.slow

SURVIVES = scripts.GOOD.replace("step < 120", "step < 50")
NEVER_LOADS = scripts.NEVER_LOADS.replace("step < 120", "step < 50")
WRITES_IN_PLACE = SURVIVES.replace('STATE + ".tmp", "w"', 'STATE, "w"').replace(
    '    os.replace(STATE + ".tmp", STATE)\n', ""
)


def settings(tmp_path: Path, script: str, **more: Any) -> dict[str, Any]:
    source = scripts.write(tmp_path / "source", script)
    return {
        "source_dir": source,
        "entry_script": "train.py",
        "out": tmp_path / "run",
        "warning": 0.5,
        "grace": 1.0,
        "view": "quiet",
        **more,
    }


def search(tmp_path: Path, script: str, trials: int, kind: Search = Search.SCHEDULES, **options: Any) -> Result:
    options = {"budget": Budget(trials=trials), "jobs": 4, **options}
    return explore(explore_settings(None, settings(tmp_path, script)), ExploreOptions(search=kind, **options))


def test_a_script_that_survives_every_moment_tried_is_said_to_have_done_so(tmp_path: Path) -> None:
    result = search(tmp_path, SURVIVES, trials=8)
    explored = result.report["explored"]
    assert (result.exit_code, explored["tried"], explored["stopped"]) == (ExitCode.SURVIVED, 8, Stop.BUDGET)
    assert explored["counts"]["failed"] == explored["counts"]["broken"] == 0
    assert explored["counts"]["survived"] > 0
    assert explored["line"].startswith(f"survived {explored['counted']} of {explored['counted']} schedules, seed 0")
    assert result.report["attempts"][0]["outcome"] == "reclaimed"
    assert len(read_search(result.folder).results) == 8
    assert read_run(result.folder).report["explored"] == explored


def test_the_smallest_failure_is_confirmed_and_replayed(tmp_path: Path) -> None:
    result = search(tmp_path, NEVER_LOADS, trials=6, until_failure=True)
    smallest = result.report["explored"]["smallest"]
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert (len(smallest["interruptions"]), smallest["profile"], smallest["rules"]) == (1, "sudden", ["SPOT002"])
    again = replay(result.folder / smallest["replay"], out=tmp_path / "again")
    assert [finding.rule for finding in again.verdict.findings if finding.severity == "error"] == ["SPOT002"]
    case = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(result.folder / smallest["pytest"])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert case.returncode == pytest.ExitCode.TESTS_FAILED, case.stdout
    assert "SPOT002" in case.stdout


def test_a_state_that_breaks_the_restore_is_found_and_replayed(tmp_path: Path) -> None:
    result = search(tmp_path, WRITES_IN_PLACE, trials=40, kind=Search.STATES, until_failure=True)
    smallest = result.report["explored"]["smallest"]
    assert result.exit_code is ExitCode.DOES_NOT_SURVIVE
    assert set(smallest["rules"]) & {"SPOT004", "SPOT017"}
    assert smallest["state"]
    again = replay(result.folder / smallest["replay"], out=tmp_path / "again")
    assert again.exit_code is ExitCode.DOES_NOT_SURVIVE


def test_a_search_goes_on_where_it_was_and_only_as_the_same_search(tmp_path: Path) -> None:
    first = search(tmp_path, SURVIVES, trials=2)
    told = [result.told for result in read_search(first.folder).results]
    more = search(tmp_path, SURVIVES, trials=2, resume=first.folder)
    results = sorted(read_search(more.folder).results, key=lambda result: result.trial.number)
    assert [result.trial.number for result in results] == [1, 2, 3, 4]
    assert [result.told for result in results[:2]] == sorted(told)
    assert more.report["explored"]["tried"] == 4
    with pytest.raises(UsageError, match="another one"):
        search(tmp_path, NEVER_LOADS, trials=2, resume=first.folder)


def test_the_same_seed_gives_the_same_trials_and_results(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        found = search(tmp_path / name, SURVIVES, trials=5)
        results.append(sorted(result.told for result in read_search(found.folder).results))
    assert results[0] == results[1]
    assert Outcome.SURVIVED.value in {outcome for _, outcome, _ in results[0]}


def test_a_script_that_fails_by_itself_is_not_searched(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="left alone"):
        search(tmp_path, scripts.CRASHES_AT_ONCE, trials=2)
    assert json.loads((tmp_path / "run" / "report.json").read_text())["partial"]


def test_an_interrupt_keeps_what_was_found_and_leaves_nothing_running(tmp_path: Path) -> None:
    source = scripts.write(tmp_path / "source", scripts.GOOD)
    arguments = ["--source-dir", str(source), "--entry-script", "train.py", "--out", str(tmp_path / "run")]
    arguments += ["--view", "plain", "--warning", "0.5", "--grace", "1", "--jobs", "2"]
    with harness(tmp_path / "said", "explore", "schedules", *arguments, TMPDIR=str(tmp_path)) as running:
        wait_for(running, tmp_path / "run" / "trials.jsonl", '"outcome"')
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_SECONDS) == ExitCode.INTERRUPTED_BY_USER
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["explored"]["stopped"] == Stop.INTERRUPTED
    assert report["explored"]["tried"] >= 1
    assert list(tmp_path.glob("spot-simulator-*")) == []
    still = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert still.stdout == ""

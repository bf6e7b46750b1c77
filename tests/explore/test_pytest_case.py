"""The ready test file: what it says, and that pytest runs it as it stands."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.explore.pytest_case import pytest_case, test_name
from simulator.explore.replay import ReplayFile
from simulator.explore.trial import Outcome, Search
from tests.app.harness import PATIENCE_SECONDS, ROOT
from tests.explore.results import result

TRAINER = """
import os, pickle, time
FILE = "/opt/ml/checkpoints/state.pickle"
step, layers = 0, [1.0] * 6
if os.path.exists(FILE):
    with open(FILE, "rb") as f:
        step, *layers = [pickle.load(f) for _ in range(7)]
while step < 60:
    step += 1
    time.sleep(0.03)
    print("step=%d" % step, flush=True)
    if step % 20 == 0:
        print("saving", flush=True)
        with open(TARGET, "wb") as f:
            for part in (step, *layers):
                pickle.dump(part, f)
                f.flush()
                time.sleep(0.3)
        os.rename(TARGET, FILE)
with open("/opt/ml/model/model.pickle", "wb") as f:
    pickle.dump(layers, f)
"""
"""Writes for two seconds; the faulty one into the file that it loads from."""


def replay_of(
    root: Path, *interruptions: str, profile: str = "sudden", settings: Any = None, **more: Any
) -> ReplayFile:
    failed = result(3, *interruptions, outcome=Outcome.FAILED, profile=profile, **more.pop("trial", {}))
    job = {"source_dir": str(root / "src"), "entry_script": "train.py"} | (settings or {})
    return ReplayFile.of(job, failed, Search.SCHEDULES, seed=7, **more)


def test_a_schedule_is_written_as_people_write_it(tmp_path):
    more = {"warning_seconds": 1.0, "grace_seconds": 5.0}
    settings = {"runtime": "process", "hyperparameters": {"epochs": "3", "it's": 'a "q"'}}
    replay = replay_of(tmp_path, "save=2", "step=30", profile="two-minute", settings=settings, **more)
    assert pytest_case(replay, tmp_path).partition('"""\n\n')[2] == (
        "import pytest\n\n\n"
        '@pytest.mark.interrupt("save=2", "step=30", profile="two-minute", warning=1, grace=5)\n'
        "def test_train_survives_save_2_then_step_30_two_minute(spot_simulator):\n"
        "    run = spot_simulator(\n"
        '        source_dir="src",\n'
        '        entry_script="train.py",\n'
        '        runtime="process",\n'
        '        hyperparameters={"epochs": "3", "it\'s": \'a "q"\'},\n'
        "        seed=7,\n"
        "    )\n"
        "    run.assert_survived()\n"
    )


def test_paths_outside_the_project_stay_whole(tmp_path):
    case = pytest_case(replay_of(tmp_path, "save"), tmp_path / "elsewhere")
    assert f'source_dir="{tmp_path}/src"' in case


def test_a_state_and_faults_are_run_from_their_file(tmp_path):
    replay = replay_of(tmp_path, recording=tmp_path / "runs" / "recording", trial={"state": "state-17"})
    assert 'spot_simulator.replay("runs/replay.json")' in pytest_case(
        replay, tmp_path, tmp_path / "runs" / "replay.json"
    )
    assert test_name(replay) == "test_train_survives_state_17_in_s3"
    with pytest.raises(ValueError, match="replay file only"):
        pytest_case(replay, tmp_path)


@pytest.mark.parametrize("evil", ['"""\nraise SystemExit\n"""', "\\", "\x00\x1b[31m", "ü" * 500, "word " * 90])
def test_what_scripts_print_is_text_and_no_code(tmp_path, evil):
    replay = replay_of(tmp_path, f"line={evil}".replace("\\", "\\\\"), trial={"evidence": evil, "label": evil})
    tree = ast.parse(pytest_case(replay, tmp_path))
    assert [type(node).__name__ for node in tree.body] == ["Expr", "Import", "FunctionDef"]


def in_a_project(path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """What pytest says of the case as it was written, in a project of its own."""
    (path / "src").mkdir(parents=True)
    (path / "src" / "train.py").write_text(script)
    replay = replay_of(
        path, "line=step=30", "line=saving", profile="ec2", settings={"runtime": "process"}, warning_seconds=1.2
    )
    (path / "test_spot.py").write_text(pytest_case(replay, path))
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "simulator.pytest_plugin", "-p", "no:cacheprovider", "."],
        cwd=path,
        env={**around, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.slow
def test_the_case_fails_as_it_stands_and_passes_when_the_script_is_mended(tmp_path):
    faulty = in_a_project(tmp_path / "faulty", TRAINER.replace("TARGET", "FILE"))
    assert faulty.returncode == 1, faulty.stdout + faulty.stderr
    assert "the script does not survive line=step=30, line=saving" in faulty.stdout
    mended = in_a_project(tmp_path / "mended", TRAINER.replace("TARGET", 'FILE + ".part"'))
    assert mended.returncode == 0, mended.stdout + mended.stderr

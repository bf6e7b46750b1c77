"""The GitHub workflows and the action: what they pass on is declared, what they promise exists, and the step works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.cli.main import run as run_command
from simulator.runtimes.process import Isolation, ProcessRuntime
from tests.app import scripts
from tests.app.harness import PATIENCE_SECONDS, ROOT

ACTION = ROOT / ".github" / "actions" / "spot-survival" / "action.yml"
REUSABLE = ROOT / ".github" / "workflows" / "spot-survival.yml"
CI = ROOT / ".github" / "workflows" / "ci.yml"
EXAMPLE = ROOT / "docs" / "example-project" / ".github" / "workflows" / "spot.yml"


def read(file: Path) -> dict[str, Any]:
    """YAML as GitHub reads it: `on` is a word."""
    content: dict[Any, Any] = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in content.items()}


def uses_of(context: str, file: Path) -> set[str]:
    """The names that a file's expressions take from a context."""
    expressions = re.findall(r"\$\{\{(.*?)\}\}|^\s+if: (.*)$", file.read_text(), re.M)
    return {name for parts in expressions for name in re.findall(rf"\b{context}\.([\w-]+)", " ".join(parts))}


def run_step() -> dict[str, Any]:
    return next(step for step in read(ACTION)["runs"]["steps"] if step.get("id") == "run")


def test_every_input_is_declared_and_used():
    assert uses_of("inputs", ACTION) == set(read(ACTION)["inputs"])
    assert uses_of("inputs", REUSABLE) == set(read(REUSABLE)["on"]["workflow_call"]["inputs"])


def test_every_output_comes_from_a_step_that_writes_it():
    written = set(re.findall(r'echo "([\w-]+)=[^"]*" >>"\$GITHUB_OUTPUT"', run_step()["run"]))
    action = read(ACTION)["outputs"]
    assert {output["value"] for output in action.values()} == {
        f"${{{{ steps.run.outputs.{name} }}}}" for name in written
    }
    workflow = read(REUSABLE)
    for name, output in workflow["on"]["workflow_call"]["outputs"].items():
        assert output["value"] == f"${{{{ jobs.spot-survival.outputs.{name} }}}}"
        assert workflow["jobs"]["spot-survival"]["outputs"][name] == f"${{{{ steps.spot.outputs.{name} }}}}"
        assert name in action


def test_the_workflow_hands_all_its_inputs_to_the_action_with_the_same_defaults():
    workflow, action = read(REUSABLE), read(ACTION)["inputs"]
    step = next(step for step in workflow["jobs"]["spot-survival"]["steps"] if step.get("id") == "spot")
    assert step["uses"] == "$/.github/actions/spot-survival"
    assert step["with"] == {name: f"${{{{ inputs.{name} }}}}" for name in action}
    for name, given in workflow["on"]["workflow_call"]["inputs"].items():
        default = given["default"] if isinstance(given["default"], str) else str(given["default"]).lower()
        assert name == "runs-on" or default == action[name]["default"]


@pytest.mark.parametrize("file", [CI, EXAMPLE], ids=["ci", "example"])
def test_callers_give_only_inputs_that_exist(file: Path):
    declared = read(REUSABLE)["on"]["workflow_call"]["inputs"]
    calls = [job for job in read(file)["jobs"].values() if "spot-survival.yml" in job.get("uses", "")]
    assert calls
    for call in calls:
        assert set(call["with"]) <= set(declared)


def test_the_options_that_the_step_gives_exist():
    options = {option for parameter in run_command.params for option in parameter.opts}
    assert set(re.findall(r"(?<!\w)--[\w-]+", run_step()["run"])) <= options


def test_ci_runs_what_everybody_can_run_by_hand():
    assert {"run": ".ci/run"} in read(CI)["jobs"]["ci"]["steps"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.slow
@pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml: needs namespaces")
def test_the_step_runs_the_job_writes_its_outputs_and_fails_as_the_run_does(tmp_path: Path):
    scripts.write(tmp_path / "a folder", scripts.NEVER_LOADS.replace("step < 120", "step < 60"))
    command = tmp_path / "bin" / "spot-simulator"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m simulator "$@"\n')
    command.chmod(0o755)
    inputs = {name: given["default"] for name, given in read(ACTION)["inputs"].items()} | {
        "source-dir": str(tmp_path / "a folder"),
        "entry-script": "train.py",
        "interrupt": "step=25\n",
        "warning": "0.3",
        "grace": "2",
        "hyperparameters": "epochs=3\nname=$(false) `x`",
        "runtime": "process",
        "arguments": "--seed\n7",
    }
    passed = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: inputs[match.group(1)], value)
        for name, value in run_step()["env"].items()
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run_step()["run"]],
        cwd=ROOT,
        env={
            **os.environ,
            **passed,
            "PATH": f"{command.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (outputs["verdict"], outputs["exit-code"]) == ("failed", "1")
    report = (Path(outputs["run-folder"]) / "report.json").read_text()
    assert '"name": "$(false) `x`"' in report
    assert '"seed": 7' in report
    assert "SPOT002" in (tmp_path / "summary").read_text()

"""Launch code of every client, unchanged, under `spot-simulator exec`: one interruption, and the model in S3.

The clients have an environment of their own, `.venv-clients`, which is made here when its lock changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PATIENCE_SECONDS = 300
CLI_2 = Path("/usr/bin/aws")
INTERRUPTED_ONCE = [
    *("Starting", "Downloading", "Training", "Interrupted"),
    *("Starting", "Downloading", "Training", "Uploading", "Completed"),
]

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="session")
def clients() -> Path:
    """The `bin` of an environment with SDK v2 and the AWS CLI, as locked."""
    folder, lock = ROOT / ".venv-clients", HERE / "requirements.lock"
    folder.mkdir(exist_ok=True)
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    made_of = folder / "made-of"
    with (folder / "making.lock").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)  # several workers of one test run want it at once
        if not made_of.is_file() or made_of.read_text() != wanted:
            venv.create(folder, with_pip=True)
            subprocess.run(
                [
                    *(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                    *("--require-hashes", "--requirement", lock),
                ],
                check=True,
            )
            made_of.write_text(wanted)
    return folder / "bin"


@dataclass(frozen=True)
class Launched:
    """What came of a launch. `report` is the first job's report.json, `log` what its first attempt printed."""

    output: str
    told: str
    report: dict[str, Any]
    log: str

    @property
    def seen(self) -> dict[str, Any]:
        """What the launch code itself saw, by `launch/seen.py`."""
        found: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return found

    @property
    def rules(self) -> set[str]:
        """The rules that found something."""
        return {finding["rule"] for finding in self.report["findings"]}


def launch(folder: Path, command: Sequence[str | Path], **changes: str) -> Launched:
    """Run a command under `exec`, its spot jobs interrupted at their second checkpoint."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SAGEMAKER_SUPPRESS_V2_WARNING": "1", **changes}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "simulator", "exec", "--runtime", "local-mode", "--out", folder / "runs"),
            *("--interrupt", "checkpoint=2", "--warning", "1", "--grace", "2", "--", *command),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    reports = sorted((folder / "runs").glob("*/report.json"))
    assert reports
    log = (reports[0].parent / "logs" / "attempt-1.log").read_text()
    return Launched(done.stdout, done.stderr, json.loads(reports[0].read_text()), log)


def assert_interrupted_once_and_done(launched: Launched) -> None:
    seen = launched.seen
    assert seen["status"] == "Completed"
    assert seen["transitions"] == INTERRUPTED_ONCE
    assert seen["model_bytes"] > 0
    assert launched.report["verdict"] == "survived"
    assert "refused" not in launched.told


def test_sdk_2_tensorflow_runs_in_the_bundled_image(tmp_path: Path, clients: Path, training_image: str) -> None:
    launched = launch(tmp_path, [clients / "python", HERE / "launch/sdk2_tensorflow.py", HERE / "source"])
    assert_interrupted_once_and_done(launched)
    assert f"runs as {training_image}" in launched.told
    assert "Managed Spot Training savings:" in launched.output
    assert "resuming from step" in launched.output  # the log came by CloudWatch Logs


def test_sdk_2_estimator_s_toolkit_keeps_sigterm_from_the_script(
    tmp_path: Path, clients: Path, training_image: str
) -> None:
    command = [clients / "python", HERE / "launch/sdk2_estimator.py", HERE / "source", training_image]
    launched = launch(tmp_path, command)
    assert_interrupted_once_and_done(launched)
    assert "SPOT005" in launched.rules  # a handler was there, and never ran
    assert "leaving on SIGTERM" not in launched.log
    assert "channels []" in launched.log  # the source came by none that the script is told of


def test_sdk_3_model_trainer(tmp_path: Path, training_image: str) -> None:
    launched = launch(tmp_path, [sys.executable, HERE / "launch/sdk3.py", HERE / "source", training_image])
    assert_interrupted_once_and_done(launched)
    assert "SPOT005" in launched.rules  # its drivers pass nothing on either


def test_boto3_and_a_script_that_is_pid_1_and_hears_sigterm(tmp_path: Path, training_image: str) -> None:
    launched = launch(tmp_path, [sys.executable, HERE / "launch/with_boto3.py", HERE / "source", training_image])
    assert_interrupted_once_and_done(launched)
    assert "SPOT005" not in launched.rules
    assert "leaving on SIGTERM" in launched.log


def test_the_aws_cli_creates_waits_describes_and_stops(tmp_path: Path, clients: Path, training_image: str) -> None:
    assert_the_cli_saw_it_all(launch_cli(tmp_path, clients, training_image))


@pytest.mark.skipif(not CLI_2.exists(), reason="Debian's awscli, which is version 2, is not installed")
def test_an_aws_cli_that_knows_no_endpoint_comes_in_by_the_proxy_and_tails_the_log(
    tmp_path: Path, training_image: str
) -> None:
    launched = launch_cli(tmp_path, CLI_2.parent, training_image, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    assert_the_cli_saw_it_all(launched)
    assert "logs.us-east-1.amazonaws.com" in launched.told


def launch_cli(folder: Path, path: Path, image: str, **environment: str) -> Launched:
    script = HERE / "launch" / "aws_cli.sh"
    return launch(folder, ["sh", script, HERE / "source", image], PATH=f"{path}:{os.environ['PATH']}", **environment)


def assert_the_cli_saw_it_all(launched: Launched) -> None:
    transitions, listed, *tailed, stopped = launched.output.splitlines()
    assert transitions.split() == INTERRUPTED_ONCE
    assert "model.tar.gz" in listed
    assert any("resuming from step" in line for line in tailed)
    assert stopped == "Stopped"


def test_the_lab_s_example_ends_with_what_spot_has_saved(tmp_path: Path, clients: Path, training_image: str) -> None:
    launched = launch(
        tmp_path, [clients / "python", ROOT / "docs/examples/managed_spot_training/managed_spot_training.py"]
    )
    assert "Training job completed" in launched.output
    assert "Managed Spot Training savings:" in launched.output.strip().splitlines()[-1]

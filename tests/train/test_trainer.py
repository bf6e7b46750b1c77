"""The bundled trainer, run as a process: whatever ends it, it goes on as if nothing had happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

TRAIN = Path(__file__).parents[2] / "train" / "train.py"
pytestmark = pytest.mark.tensorflow


class Trainer:
    """The training script under an ML root of its own."""

    def __init__(self, root: Path, **hyperparameters: object) -> None:
        self.root = root
        self.arguments = [part for name, value in hyperparameters.items() for part in (f"--{name}", str(value))]
        self.lines: list[str] = []
        self.notice = root / "spot-instance-action.json"

    def run(self, *, until: str | None = None, then: Callable[[subprocess.Popen[str]], None] | None = None) -> int:
        """Run it to its end; when a line matches, do something to it, once. Returns its exit code."""
        self.root.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "SM_ML_ROOT": str(self.root),
            "SPOT_INTERRUPTION_NOTICE_FILE": str(self.notice),
        }
        with subprocess.Popen(
            [sys.executable, str(TRAIN), *self.arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self.lines.append(line.rstrip())
                if until is not None and then is not None and re.search(until, line):
                    then(process)
                    until = None
        return process.returncode

    def said(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]

    @property
    def steps(self) -> dict[str, set[str]]:
        """Every distinct line of each step."""
        steps: dict[str, set[str]] = {}
        for line in self.lines:
            if line.startswith("step="):
                steps.setdefault(line.split()[0], set()).add(line)
        return steps

    @property
    def weights(self) -> int:
        """The checksum of the model's weights."""
        with zipfile.ZipFile(self.root / "model" / "model.keras") as archive:
            return archive.getinfo("model.weights.h5").CRC

    @property
    def checkpoints(self) -> list[str]:
        return sorted(path.name for path in (self.root / "checkpoints").iterdir())


def sends(number: signal.Signals) -> Callable[[subprocess.Popen[str]], None]:
    return lambda process: process.send_signal(number)


SMALL = {"epochs": 6, "save_every_steps": 7}


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    trainer = Trainer(tmp_path_factory.mktemp("uninterrupted"), **SMALL)
    assert trainer.run() == 0
    return trainer


def test_sigterm_and_sigkill_mid_epoch_change_no_bit_of_the_result(tmp_path: Path, uninterrupted: Trainer) -> None:
    trainer = Trainer(tmp_path / "ml", **SMALL, step_seconds=0.05)
    assert trainer.run(until=r"^step=17 ", then=sends(signal.SIGTERM)) == 143
    assert trainer.run(until=r"^step=33 ", then=sends(signal.SIGKILL)) == -signal.SIGKILL
    assert trainer.run() == 0
    assert trainer.steps == uninterrupted.steps, "a redone step gave other numbers"
    assert trainer.weights == uninterrupted.weights
    assert len(trainer.said("resumed from step=")) == 2


def test_the_last_few_checkpoints_are_kept(uninterrupted: Trainer) -> None:
    assert uninterrupted.checkpoints == [f"checkpoint-{step:08d}.npz" for step in (49, 56, 60)]


def test_a_torn_checkpoint_is_skipped_and_said(tmp_path: Path, uninterrupted: Trainer) -> None:
    trainer = Trainer(tmp_path / "ml", **SMALL)
    folder = trainer.root / "checkpoints"
    folder.mkdir(parents=True)
    whole = (uninterrupted.root / "checkpoints" / "checkpoint-00000049.npz").read_bytes()
    (folder / "checkpoint-00000049.npz").write_bytes(whole)
    (folder / "checkpoint-00000099.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "checkpoint-00000056.npz.sagemaker-uploaded").touch()
    (folder / "checkpoint-00000057.part").write_bytes(whole)
    assert trainer.run() == 0
    assert len(trainer.said("skipping unusable checkpoint checkpoint-00000099.npz")) == 1
    assert trainer.said("resumed from step=49")
    assert trainer.weights == uninterrupted.weights


def test_a_notice_is_said_and_saved_on_once_and_training_goes_on(tmp_path: Path, uninterrupted: Trainer) -> None:
    # No interval save: one at the same step would leave nothing to save for the notice.
    trainer = Trainer(tmp_path / "ml", **{**SMALL, "save_every_steps": 1000}, step_seconds=0.05)

    def warn(_: subprocess.Popen[str]) -> None:
        trainer.notice.write_text('{"action": "terminate", "time": "2026-01-01T00:02:00Z"}')

    assert trainer.run(until=r"^step=17 ", then=warn) == 0
    assert trainer.said("interruption notice:") == ["interruption notice: terminate at 2026-01-01T00:02:00Z"]
    assert len(trainer.said("reason=notice")) == 1
    assert trainer.weights == uninterrupted.weights


def test_sigterm_in_a_long_step_is_answered_within_a_second_and_with_a_save(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "ml", **SMALL, step_seconds=60)
    asked: list[float] = []

    def ask(process: subprocess.Popen[str]) -> None:
        asked.append(time.monotonic())
        process.send_signal(signal.SIGTERM)

    assert trainer.run(until=r"^step=1 ", then=ask) == 143
    answered_seconds = time.monotonic() - asked[0]
    assert len(trainer.said("step=1 epoch=0 file=checkpoint-00000001.npz")) == 1
    assert trainer.said("reason=SIGTERM")
    assert answered_seconds < 5, "a second, and room for a busy machine and the end of the interpreter"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads from /proc when the handler is there")
def test_sigterm_while_tensorflow_is_imported_is_answered(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(TRAIN)], env={**os.environ, "SM_ML_ROOT": str(tmp_path)}, stdout=subprocess.PIPE
    ) as process:
        while not _catches_sigterm(process.pid):
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert output == b"leaving on SIGTERM before training began\n"


def _catches_sigterm(pid: int) -> bool:
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught.group(1), 16) >> (signal.SIGTERM - 1) & 1)


def test_a_failure_leaves_its_reason_for_the_service(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path / "ml", dataset="nowhere")
    assert trainer.run() == 1
    reason = (trainer.root / "output" / "failure").read_text()
    assert reason.startswith("FileNotFoundError: "), "the service shows the beginning only"
    assert "Traceback" in reason

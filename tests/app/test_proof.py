"""Whole runs against uninterrupted ones: what is proved, what is blamed on the restart, and what is not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simulator.app.bundled import TRAIN_DIR
from simulator.app.simulate import Result, simulate
from simulator.runtimes.process import Isolation, ProcessRuntime
from simulator.verdict import Answer
from tests.app import scripts, training

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ProcessRuntime().mode is Isolation.PLAIN, reason="the scripts name /opt/ml: needs namespaces"),
]


def run(source: Path, out: Path, **settings: Any) -> Result:
    return simulate(
        runtime="process",
        source_dir=source,
        entry_script="train.py",
        interrupt=("step=60",),
        profile="sudden",
        baseline=True,
        out=out,
        **settings,
    )


def trained(tmp_path: Path, script: str) -> Result:
    return run(scripts.write(tmp_path / "source", script), tmp_path / "run")


def errors(result: Result) -> list[str]:
    return sorted(finding.rule for finding in result.verdict.findings if finding.severity == "error")


def cause(result: Result) -> str:
    (finding,) = [finding for finding in result.verdict.findings if finding.rule == "SPOT008"]
    return str(finding.evidence["likely_cause"])


def test_everything_brought_back_is_proved_bit_by_bit(tmp_path: Path) -> None:
    result = trained(tmp_path, training.WHOLE)
    assert (result.verdict.verdict, result.verdict.tier, errors(result)) == (Answer.SURVIVED, 1, [])
    shown = "\n".join(result.verdict.tier_evidence)
    assert "the model's content: equal" in shown and "order of samples: that of" in shown
    assert "the last checkpoint: equal" in shown and "saved_at left out" in shown
    assert any("--interrupt save" in line for line in result.report["not_tried"])


@pytest.mark.parametrize(
    ("script", "expected", "rules"),
    [
        (training.FORGETS_VELOCITY, "optimizer slots", ["SPOT008"]),
        (training.RESTARTS_SCHEDULE, "learning rate", ["SPOT008"]),
        (training.FORGETS_RANDOM_STATE, "random state or augmentation", ["SPOT008"]),
        (training.BEGINS_EPOCH_AGAIN, "sample order", ["SPOT008", "SPOT015"]),
        (training.BEGINS_EPOCH_AGAIN_UNTOLD, "sample order", ["SPOT008"]),
    ],
    ids=["velocity", "schedule", "random-state", "epoch", "epoch-untold"],
)
def test_what_was_forgotten_is_named(tmp_path: Path, script: str, expected: str, rules: Sequence[str]) -> None:
    result = trained(tmp_path, script)
    assert (errors(result), cause(result)) == (rules, expected)


def test_a_script_that_never_repeats_itself_is_not_blamed(tmp_path: Path) -> None:
    result = trained(tmp_path, training.NEVER_THE_SAME)
    assert (result.verdict.verdict, result.verdict.tier, errors(result)) == (Answer.SURVIVED, 3, [])
    assert any("not available" in line and "not to blame" in line for line in result.verdict.not_proved)


# The bundled trainer, and what can be forgotten in it.

LOOP = "        for index, variable in enumerate(_variables(model)):\n"
SKIP = """\
            if any(variable is slot for slot in model.optimizer.variables):
                continue
"""
OPTIMIZER = (LOOP, LOOP + SKIP)
SCHEDULE = (
    "keras.optimizers.schedules.CosineDecay(hyperparameters.learning_rate, total_steps)",
    "hyperparameters.learning_rate",
)
OWN_SCHEDULE = """\
    class Schedule(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate.assign(0.02 * 0.98**self.steps)
            self.steps += 1

"""
CALLBACK = ("    class StepLog(", OWN_SCHEDULE + "    class StepLog(")
CALLBACKS = ("callbacks = [StepLog()", "callbacks = [Schedule(), StepLog()")
ORDER = ("batches(position.epoch, position.batch)", "batches(position.epoch, 0)")
SEED = ("set_random_seed(hyperparameters.seed)", "set_random_seed(int.from_bytes(os.urandom(3)))")


def bundled(tmp_path: Path, name: str = "train.py", *changes: tuple[str, str]) -> Result:
    source = tmp_path / "source"
    shutil.copytree(TRAIN_DIR, source)
    script = (source / name).read_text()
    for before, after in changes:
        assert script.count(before) == 1, before
        script = script.replace(before, after)
    (source / name).write_text(script)
    pace = {"epochs": "10", "save_every_steps": "7", "step_seconds": "0.05"}
    return run(source, tmp_path / "run", hyperparameters=pace)


@pytest.mark.tensorflow
def test_the_bundled_trainer_is_proved_bit_by_bit(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    result = bundled(tmp_path)
    assert (result.verdict.verdict, result.verdict.tier, result.verdict.findings) == (Answer.SURVIVED, 1, [])


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("resumable.py", [OPTIMIZER], "optimizer slots"),
        ("train.py", [SCHEDULE, CALLBACK, CALLBACKS], "learning rate"),
        ("train.py", [ORDER], "sample order"),
    ],
    ids=["optimizer", "schedule", "order"],
)
def test_what_the_bundled_trainer_would_forget_is_named(
    tmp_path: Path, name: str, changes: list[tuple[str, str]], expected: str
) -> None:
    pytest.importorskip("tensorflow")
    result = bundled(tmp_path, name, *changes)
    assert (errors(result), cause(result)) == (["SPOT008"], expected)


@pytest.mark.tensorflow
def test_a_bundled_trainer_without_a_seed_is_not_blamed(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    result = bundled(tmp_path, "train.py", SEED)
    assert (result.verdict.verdict, result.verdict.tier, errors(result)) == (Answer.SURVIVED, 3, [])
    assert any("not available" in line and "not to blame" in line for line in result.verdict.not_proved)

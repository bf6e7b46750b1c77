"""The checkpointing file on its own: no damage ends a training, and nothing newer is lost to something older."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow
SOURCE = Path(__file__).parents[2] / "train" / "resumable.py"


@pytest.fixture(scope="module")
def resumable() -> Any:
    spec = importlib.util.spec_from_file_location("resumable", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Job:
    """A small model and its training state over a folder, as a new process would have them."""

    def __init__(self, resumable: Any, folder: Path, width: int = 3, **options: Any) -> None:
        import keras

        self.model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(width), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
        )
        self.model.compile("adam", "mse", metrics=["mae"])
        self.training = resumable.ResumableTraining(folder, **{"steps_per_epoch": 10, **options})
        self.training.set_model(self.model)
        self.position = self.restore()

    def restore(self) -> Any:
        import numpy as np

        return self.training.restore(self.model, np.zeros((1, 2)), np.zeros((1, 2)))

    def save_at(self, step: int) -> None:
        self.training.step = step
        self.training.save("interval")

    @property
    def weights(self) -> list[bytes]:
        return [weight.tobytes() for weight in self.model.get_weights()]


def checkpoint(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step:08d}.npz"


def test_the_newest_is_found_by_number_and_markers_are_none_of_it(resumable: Any, tmp_path: Path) -> None:
    first = Job(resumable, tmp_path)
    for step in (9, 99):
        first.save_at(step)
    checkpoint(tmp_path, 9).rename(tmp_path / "checkpoint-100.npz")  # sorts before 99 as text
    for marker in ("sagemaker-uploading", "sagemaker-uploaded"):
        (tmp_path / f"checkpoint-00000500.npz.{marker}").touch()
    assert Job(resumable, tmp_path).position == (100, 10, 0)


def test_a_checkpoint_brings_back_weights_and_random_states(resumable: Any, tmp_path: Path) -> None:
    import numpy as np

    first = Job(resumable, tmp_path)
    first.save_at(7)
    drawn = (random.random(), float(np.random.rand()))
    second = Job(resumable, tmp_path)
    assert second.weights == first.weights
    assert (random.random(), float(np.random.rand())) == drawn


def test_no_damage_to_a_file_ends_training_or_passes_unseen(resumable: Any, tmp_path: Path) -> None:
    job = Job(resumable, tmp_path / "ours")
    job.save_at(1)
    path = checkpoint(tmp_path / "ours", 1)
    whole = path.read_bytes()
    sound = {name: value.tobytes() for name, value in resumable._read(path).items()}
    dice = random.Random(0)
    for _ in range(300):
        at, kind = dice.randrange(len(whole)), dice.randrange(3)
        if kind == 0:
            damaged = whole[:at]  # a write that ended early
        elif kind == 1:
            damaged = whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :]
        else:
            damaged = whole[:at] + bytes(min(512, len(whole) - at)) + whole[at + 512 :]  # a block never written
        path.write_bytes(damaged)
        try:
            content = resumable._read(path)
            job.training._check(job.model, content)
        except Exception:  # noqa: BLE001 - restore passes over whatever this is
            continue
        assert {name: value.tobytes() for name, value in content.items()} == sound


def test_a_checkpoint_that_does_not_fit_changes_nothing(
    resumable: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Job(resumable, tmp_path / "other", width=4).save_at(50)
    job = Job(resumable, tmp_path / "ours")
    before = (job.weights, random.getstate())
    job.training.directory = tmp_path / "other"
    assert job.restore().step == 0
    assert (job.weights, random.getstate()) == before
    assert Job(resumable, tmp_path / "other", width=4, steps_per_epoch=12).position == (0, 0, 0)
    said = capsys.readouterr().out
    assert len(re.findall("skipping unusable checkpoint checkpoint-00000050.npz", said)) == 2
    assert "made with 10 steps an epoch, now there are 12" in said


def test_unusable_files_with_higher_steps_do_not_push_out_what_is_saved(resumable: Any, tmp_path: Path) -> None:
    for step in (290, 295, 300):
        checkpoint(tmp_path, step).write_bytes(b"another job's")
    job = Job(resumable, tmp_path, keep=2)
    for step in (5, 10, 15):
        job.save_at(step)
    kept = [path.name for path in sorted(tmp_path.iterdir())]
    assert kept == [checkpoint(tmp_path, step).name for step in (10, 15, 290, 295, 300)]
    assert Job(resumable, tmp_path).position.step == 15


def test_a_save_that_fails_leaves_the_older_checkpoint_and_no_half_file(
    resumable: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(resumable, tmp_path, keep=1)
    job.save_at(1)

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(resumable.os, "fsync", full_disk)
        job.save_at(2)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint(tmp_path, 1).name]


def test_what_a_kill_left_half_written_is_removed(resumable: Any, tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000003.part").write_bytes(b"half")
    Job(resumable, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_several_batches_in_a_call_are_refused(resumable: Any, tmp_path: Path) -> None:
    job = Job(resumable, tmp_path)
    job.model.compile("adam", "mse", steps_per_execution=4)
    with pytest.raises(ValueError, match="steps_per_execution=1"):
        job.training.restore(job.model, None, None)


def test_it_needs_nothing_but_keras_numpy_and_the_standard_library() -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", SOURCE.read_text(), re.MULTILINE)
    assert set(imported) - set(sys.stdlib_module_names) == {"keras", "numpy"}

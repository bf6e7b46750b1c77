"""Checkpoints that survive a spot interruption at any step, for Keras' model.fit. One file: copy it into your project.

    training = ResumableTraining("/opt/ml/checkpoints", steps_per_epoch=10, save_every_steps=20)
    training.handle_sigterm()                       # before the slow imports and the compile, not after
    position = training.restore(model, x[:1], y[:1])  # the newest usable checkpoint, or the beginning
    model.fit(…, initial_epoch=position.epoch, callbacks=[training])

What it promises: after a kill at any moment, the run goes on from the newest checkpoint that is whole, with weights,
optimizer, metrics, random states and position as they were. A checkpoint is one .npz file, written aside, synced to
disk and renamed, so that a reader (and an uploader) finds all of it or none; its zip checksums tell a torn one.
What it does not: replay the data for you. Make the order of samples a function of (seed, epoch), as train.py does.
It is for one process (with several, let one of them save), and a step is one batch (steps_per_execution=1).
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

EXIT_CODE = 128 + signal.SIGTERM  # 143: ended by SIGTERM, as shells and supervisors read it
NOTICE_VARIABLE = "SPOT_INTERRUPTION_NOTICE_FILE"  # the simulator's: a file like EC2's instance-action
_NAME = re.compile(r"checkpoint-(\d+)\.npz")  # markers beside it (….npz.sagemaker-uploaded) do not match


class Position(NamedTuple):
    """Where training stands: `step` batches were trained in all, `batch` of them in the epoch `epoch` (from 0)."""

    step: int
    epoch: int
    batch: int


class ResumableTraining(keras.callbacks.Callback):
    """Saves every `save_every_steps` steps, on an interruption notice, on SIGTERM and at the end.

    The newest `keep` checkpoints are kept. Files that could not be used are left for a person to look at.
    """

    def __init__(self, directory: str | Path, steps_per_epoch: int, save_every_steps: int = 100, keep: int = 3):
        super().__init__()
        self.directory = Path(directory)
        self.steps_per_epoch = steps_per_epoch
        self.save_every_steps = save_every_steps
        self.keep = keep
        self.step = 0
        self.terminating = False
        self._saved_step: int | None = None
        self._unusable: set[Path] = set()
        self._notice = Path(os.environ[NOTICE_VARIABLE]) if os.environ.get(NOTICE_VARIABLE) else None
        self._metric_values: list[np.ndarray] | None = None

    def handle_sigterm(self) -> None:
        """From now on SIGTERM asks for a save at the end of the step, and for exit code 143 then."""
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, signum: int, frame: Any) -> None:
        self.terminating = True  # and no more: a save in the middle of a step would hold half of it

    # Restoring

    def restore(self, model: keras.Model, sample_x: Any, sample_y: Any) -> Position:
        """Put the newest usable checkpoint into a compiled model; what is torn or does not fit is said and skipped.

        A sample of the data is evaluated first: until then Keras has not made the variables of its metrics.
        Raises ValueError for a model that trains several batches in one call: its steps cannot be told apart.
        """
        if model.steps_per_execution != 1:
            raise ValueError("checkpoints at any step need steps_per_execution=1")
        model.test_on_batch(sample_x, sample_y)
        model.reset_metrics()
        model.optimizer.build(model.trainable_variables)
        for aside in self.directory.glob("checkpoint-*.part"):  # a kill in the middle of a save left it
            aside.unlink(missing_ok=True)
        for step, path in self._checkpoints():
            try:
                content = _read(path)
                self._check(model, content)
            except Exception as error:  # damaged bytes raise nearly anything, and no damage may end the training
                self._unusable.add(path)
                print(f"skipping unusable checkpoint {path.name}: {type(error).__name__}: {error}", flush=True)
                continue
            self._put(model, content)
            self.step = self._saved_step = step
            position = self.position
            print(f"resumed from step={step} epoch={position.epoch} checkpoint={path.name}", flush=True)
            return position
        print(f"starting from scratch: no usable checkpoint in {self.directory}", flush=True)
        return self.position

    @property
    def position(self) -> Position:
        """Where training stands now."""
        return Position(self.step, self.step // self.steps_per_epoch, self.step % self.steps_per_epoch)

    def _checkpoints(self) -> list[tuple[int, Path]]:
        """Step and file of each checkpoint, newest first; by number, since "99" sorts after "100"."""
        if not self.directory.is_dir():
            return []
        found = [(_NAME.fullmatch(path.name), path) for path in self.directory.iterdir()]
        return sorted(((int(match.group(1)), path) for match, path in found if match), reverse=True)

    def _check(self, model: keras.Model, content: dict[str, np.ndarray]) -> None:
        """Raises ValueError where a checkpoint is not this model's: before any of it is put anywhere."""
        expected = self._content(model)
        if content.keys() != expected.keys():
            raise ValueError(f"holds other parts: {', '.join(sorted(content.keys() ^ expected.keys())[:4])}")
        for name, value in expected.items():
            found = content[name]
            if value.dtype.kind != "U" and (found.shape, found.dtype) != (value.shape, value.dtype):
                raise ValueError(f"{name} is {found.dtype}{found.shape}, this model's is {value.dtype}{value.shape}")
        if (made_with := int(content["steps_per_epoch"])) != self.steps_per_epoch:
            raise ValueError(f"made with {made_with} steps an epoch, now there are {self.steps_per_epoch}")

    def _put(self, model: keras.Model, content: dict[str, np.ndarray]) -> None:
        for index, variable in enumerate(_variables(model)):
            variable.assign(content[f"variable_{index}"])
        self._metric_values = [content[f"metric_{index}"] for index in range(len(model.metrics_variables))]
        version, state, gauss = json.loads(str(content["python_random"]))
        random.setstate((version, tuple(state), gauss))
        np.random.set_state(("MT19937", content["numpy_keys"], *json.loads(str(content["numpy_random"]))))

    # Saving

    def save(self, reason: str) -> None:
        """Write the state after the last whole step; nothing is done where that is on disk already."""
        if self._saved_step == self.step:
            return
        started = time.monotonic()
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"checkpoint-{self.step:08d}.npz"
        aside = path.with_suffix(".part")
        try:
            with aside.open("wb") as file:
                np.savez(file, **self._content(self.model))
                file.flush()
                os.fsync(file.fileno())
            aside.rename(path)
        except BaseException:  # a full disk, most often: what is half there only makes it fuller
            with suppress(OSError):
                aside.unlink()
            raise
        _sync_folder(self.directory)
        self._saved_step = self.step
        self._unusable.discard(path)
        self._remove_old()
        print(
            f"checkpoint saved step={self.step} epoch={self.position.epoch} file={path.name} "
            f"bytes={path.stat().st_size} seconds={time.monotonic() - started:.3f} reason={reason}",
            flush=True,
        )

    def _remove_old(self) -> None:
        """Only once the new one is on disk: until then an older one was the newest whole one. Unusable files do not
        count, else those of another job, with higher steps, would push out what was just saved."""
        usable = [path for step, path in self._checkpoints() if step <= self.step and path not in self._unusable]
        for old in usable[self.keep :]:
            old.unlink(missing_ok=True)

    def _content(self, model: keras.Model) -> dict[str, np.ndarray]:
        content = {f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_variables(model))}
        content |= {f"metric_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(model.metrics_variables)}
        _, numpy_keys, *numpy_rest = np.random.get_state()
        content["steps_per_epoch"] = np.array(self.steps_per_epoch)
        content["python_random"] = np.array(json.dumps(random.getstate()))
        content["numpy_keys"] = numpy_keys
        content["numpy_random"] = np.array(json.dumps(numpy_rest))
        return content

    # What model.fit calls

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras resets its metrics here; in the epoch that was interrupted they go on from what they were."""
        if self._metric_values is not None and self.position.batch:
            for variable, value in zip(self.model.metrics_variables, self._metric_values, strict=True):
                variable.assign(value)
        self._metric_values = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """A step is whole: the only moment at which its state may be saved."""
        self.step += 1
        if not self.terminating and self.step % self.save_every_steps == 0:
            self.save("interval")
        self._save_on_notice()
        self.leave_if_asked()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """model.fit is done."""
        self.save("end")

    def _save_on_notice(self) -> None:
        """Once: the instance goes in two minutes at the latest, so what is saved now has time to reach S3."""
        if self._notice is None or not self._notice.is_file():
            return
        try:
            notice = json.loads(self._notice.read_text())
            print(f"interruption notice: {notice['action']} at {notice['time']}", flush=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"interruption notice: unreadable ({error})", flush=True)
        self._notice = None
        self.save("notice")

    def leave_if_asked(self) -> None:
        """Save and exit with 143 where SIGTERM has come; also for the quiet moments before the first step."""
        if self.terminating:
            if self.step and getattr(self, "_model", None) is not None:
                self.save("SIGTERM")
            print(f"leaving on SIGTERM at step={self.step}", flush=True)
            sys.exit(EXIT_CODE)


def _variables(model: keras.Model) -> list[Any]:
    """Weights, states of random generators (dropout, augmentation) and the optimizer's variables, each once."""
    seen: dict[int, Any] = {}
    metrics = {id(variable) for variable in model.metrics_variables}
    for variable in [*model.variables, *model.optimizer.variables]:
        if id(variable) not in metrics:
            seen.setdefault(id(variable), variable)
    return list(seen.values())


def _read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint; reading them checks the zip's checksums, so that a torn file raises here."""
    if not zipfile.is_zipfile(path):
        raise ValueError("not a whole .npz file")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _sync_folder(folder: Path) -> None:
    """A rename is on disk only when the folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

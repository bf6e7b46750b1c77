"""A training script as users write them for SageMaker: Keras' model.fit, with one callback that makes it resumable.

It reads hyperparameters from /opt/ml/input/config/hyperparameters.json, SM_HPS or `--name value`, data from the channel
`train` (or the copy beside this script), and leaves its model in /opt/ml/model. Exit codes: 0 done, 143 left on SIGTERM
with its state saved, 1 failed (the reason is in /opt/ml/output/failure).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


def leave_at_once(signum: int, frame: Any) -> None:
    """SIGTERM while TensorFlow is imported, which takes seconds: nothing is lost but the start.

    Not by SystemExit, which code that is half imported may catch, and not with print, which may be what it interrupts.
    """
    os.write(1, b"leaving on SIGTERM before training began\n")
    os._exit(128 + signum)


signal.signal(signal.SIGTERM, leave_at_once)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its rounding depends on the processor: see bit for bit
ML = Path(os.environ.get("SM_ML_ROOT", "/opt/ml"))  # elsewhere only where no container and no namespace can be had


@dataclass
class Hyperparameters:
    """What can be set; every value may come as a string."""

    dataset: str = "iris"  # or digits
    epochs: int = 30
    batch_size: int = 15
    learning_rate: float = 0.02
    seed: int = 7
    save_every_steps: int = 20
    keep: int = 3
    log_every_steps: int = 1
    step_seconds: float = 0.0  # slows each step down, so that a two-minute warning fits a tiny data set

    @classmethod
    def read(cls, arguments: list[str]) -> Hyperparameters:
        """The service's file, then SM_HPS, then the command line; unknown names are left to others."""
        given: dict[str, Any] = {}
        file = ML / "input/config/hyperparameters.json"
        if file.is_file():
            given |= json.loads(file.read_text() or "{}")
        given |= json.loads(os.environ.get("SM_HPS", "{}"))
        known = {field.name: type(field.default) for field in fields(cls)}
        parser = argparse.ArgumentParser(allow_abbrev=False, argument_default=argparse.SUPPRESS)
        for name in known:
            parser.add_argument(f"--{name}", f"--{name.replace('_', '-')}", dest=name)
        given |= vars(parser.parse_known_args(arguments)[0])  # SageMaker runs `IMAGE train`: that word is not ours
        return cls(**{name: known[name](str(value).strip('"')) for name, value in given.items() if name in known})


def checkpoint_folder() -> Path:
    """CheckpointConfig's LocalPath, as the service tells it."""
    file = ML / "input/config/checkpointconfig.json"
    if file.is_file():
        return Path(json.loads(file.read_text())["LocalPath"])
    return ML / "checkpoints"


def data_file(dataset: str) -> Path:
    """The channel `train` where there is one, otherwise the data beside this script."""
    channel = Path(os.environ.get("SM_CHANNEL_TRAIN", ML / "input/data/train"))
    found = sorted(channel.glob("*.csv")) if channel.is_dir() else []
    return found[0] if found else Path(__file__).with_name("data") / dataset / "train.csv"


def main() -> None:
    """Train to the end, or until SIGTERM."""
    hyperparameters = Hyperparameters.read(sys.argv[1:])

    import keras
    import numpy as np
    import tensorflow as tf
    from resumable import ResumableTraining

    keras.utils.set_random_seed(hyperparameters.seed)
    tf.config.experimental.enable_op_determinism()

    file = data_file(hyperparameters.dataset)
    print(f"training on {file}", flush=True)
    table = np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32)
    features, labels = table[:, :-1], table[:, -1].astype(np.int32)
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    steps_per_epoch = -(-len(features) // hyperparameters.batch_size)

    training = ResumableTraining(
        checkpoint_folder(), steps_per_epoch, hyperparameters.save_every_steps, hyperparameters.keep
    )
    training.handle_sigterm()

    model = keras.Sequential(
        [
            keras.Input((features.shape[1],)),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Dense(int(labels.max()) + 1, activation="softmax"),
        ]
    )
    total_steps = steps_per_epoch * hyperparameters.epochs
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(hyperparameters.learning_rate, total_steps)
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    position = training.restore(model, features[:1], labels[:1])

    def batches(epoch: int, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """From a position on, without end: the order of an epoch depends on the seed and the epoch alone."""
        while True:
            order = np.random.default_rng([hyperparameters.seed, epoch]).permutation(len(features))
            for start in range(batch * hyperparameters.batch_size, len(order), hyperparameters.batch_size):
                chosen = order[start : start + hyperparameters.batch_size]
                yield features[chosen], labels[chosen]
            epoch, batch = epoch + 1, 0

    class StepLog(keras.callbacks.Callback):
        """One line a step interval, which a MetricDefinition can read; pauses where steps are to be slow."""

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            step = training.step + 1  # this one: the training callback, which counts, comes after
            if step % hyperparameters.log_every_steps == 0:
                numbers = " ".join(f"{name}={value!r}" for name, value in sorted((logs or {}).items()))
                rate = float(self.model.optimizer.learning_rate)
                print(f"step={step} epoch={(step - 1) // steps_per_epoch} {numbers} lr={rate!r}", flush=True)
            until = time.monotonic() + hyperparameters.step_seconds
            while not training.terminating and (left := until - time.monotonic()) > 0:
                time.sleep(min(left, 0.05))

    callbacks = [StepLog(), training]
    training.leave_if_asked()
    if position.batch:  # first the rest of the epoch that was interrupted, then whole epochs
        model.fit(
            batches(position.epoch, position.batch),
            initial_epoch=position.epoch,
            epochs=position.epoch + 1,
            steps_per_epoch=steps_per_epoch - position.batch,
            callbacks=callbacks,
            shuffle=False,  # the generator's order is the order
            verbose=0,
        )
    epoch = training.position.epoch
    if epoch < hyperparameters.epochs:
        model.fit(
            batches(epoch, 0),
            initial_epoch=epoch,
            epochs=hyperparameters.epochs,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )

    folder = Path(os.environ.get("SM_MODEL_DIR", ML / "model"))
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    print(f"training complete step={training.step} model={folder / 'model.keras'}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        # The service shows the first 1,024 characters, and a traceback has its reason at the end.
        reason = f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}"
        try:
            (ML / "output").mkdir(parents=True, exist_ok=True)
            (ML / "output/failure").write_text(reason)
        except OSError as error:
            print(f"the reason could not be written: {error}", file=sys.stderr)
        print(reason, file=sys.stderr, flush=True)
        sys.exit(1)

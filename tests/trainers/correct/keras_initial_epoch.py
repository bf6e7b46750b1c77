"""Keras with ModelCheckpoint: a file an epoch, and fit() told where to begin."""

import argparse
import os
import re
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np


def build():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(12, activation="tanh")(inputs)
    outputs = keras.layers.Dense(1)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
    return model


def newest(folder: Path):
    """(model, epochs done), from the newest file that loads; a file that a kill cut short does not."""
    numbered = [
        (int(m[1]), p) for p in folder.glob("epoch-*.keras") if (m := re.fullmatch(r"epoch-(\d+)\.keras", p.name))
    ]
    for epoch, path in sorted(numbered, reverse=True):
        try:
            return keras.models.load_model(path), epoch
        except (OSError, ValueError) as e:
            print("skipping", path.name, e)
    return build(), 0


class Pace(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--model_dir", default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args, _ = parser.parse_known_args()
    folder = Path("/opt/ml/checkpoints")
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (160, 4)).astype("float32")
    y = np.sin(x.sum(axis=1, keepdims=True))
    model, initial = newest(folder)
    model.fit(
        x,
        y,
        epochs=args.epochs,
        initial_epoch=initial,
        batch_size=16,
        verbose=2,
        callbacks=[keras.callbacks.ModelCheckpoint(str(folder / "epoch-{epoch:03d}.keras")), Pace()],
    )
    model.export(os.path.join(args.model_dir, "1"), verbose=False)


if __name__ == "__main__":
    main()

"""A deep neural network for Fisher's iris, as the lab's example has it: 4 features, hidden layers 10-20-10, 3 classes.

Like the lab's, it keeps no checkpoints: what spot-simulator says of that is the lab's lesson.
"""

import argparse
import os
from pathlib import Path

import keras
import numpy as np


def read(file):
    """Features and labels of a CSV file with a header."""
    table = np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.float32)
    return table[:, :4], table[:, 4].astype(np.int32)


def build(learning_rate):
    """The classifier."""
    model = keras.Sequential(
        [keras.Input((4,))]
        + [keras.layers.Dense(units, activation="relu") for units in (10, 20, 10)]
        + [keras.layers.Dense(3, activation="softmax")]
    )
    optimizer = keras.optimizers.Adagrad(learning_rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning_rate", type=float, default=0.1)
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING"))
    arguments, _ = parser.parse_known_args()

    keras.utils.set_random_seed(7)
    features, labels = read(Path(arguments.training) / "train.csv")
    network = build(arguments.learning_rate)
    network.fit(features, labels, batch_size=15, epochs=arguments.epochs, verbose=2)
    network.export(Path(os.environ["SM_MODEL_DIR"]) / "1")

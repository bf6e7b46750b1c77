"""TensorFlow's and Keras' own files, written by them, read without them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from simulator.states.read import Budget, State, read_folder

WRITE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
folder = sys.argv[1]
keras.utils.set_random_seed(3)
tf.config.experimental.enable_op_determinism()
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
model.compile("adam", "mse")
model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, step=tf.Variable(7, dtype=tf.int64))
manager = tf.train.CheckpointManager(checkpoint, folder + "/tf", max_to_keep=3)
for _ in range(int(sys.argv[2])):
    manager.save()
model.save(folder + "/model.keras")
model.save_weights(folder + "/model.weights.h5")
model.save(folder + "/old.h5")
tf.saved_model.save(model, folder + "/saved")
expected = {name: tf.train.load_variable(manager.latest_checkpoint, name) for name, _ in
            tf.train.list_variables(manager.latest_checkpoint) if "GRAPH" not in name}
np.savez(folder + "/expected.npz", **{name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): value
                                      for name, value in expected.items()})
"""

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, State]]:
    """What two processes wrote of the same training, the second with one save more."""
    pytest.importorskip("keras")
    found = []
    for saves in ("1", "2"):
        folder = tmp_path_factory.mktemp("written")
        done = subprocess.run([sys.executable, "-c", WRITE, str(folder), saves], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append({state.path: state for state in read_folder(folder, Budget(1 << 26, 60))})
    return found


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("model.keras", "keras"),
        ("model.weights.h5", "hdf5"),
        ("old.h5", "hdf5"),
        ("saved/variables/variables.index", "tensorflow"),
    ],
)
def test_the_same_training_is_equal_whenever_it_was_written(
    twice: list[dict[str, State]], path: str, form: str
) -> None:
    one, other = (states[path] for states in twice)
    assert (one.format, one.digest) == (form, other.digest)
    assert len(one.tensors) > 5


def test_a_checkpoint_is_equal_though_one_save_more_was_made(twice: list[dict[str, State]]) -> None:
    one, other = twice[0]["tf/ckpt-1.index"], twice[1]["tf/ckpt-2.index"]
    assert one.digest == other.digest
    assert one.left_out == ["_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter"]


def test_a_checkpoint_is_read_as_tensorflow_reads_it(twice: list[dict[str, State]]) -> None:
    expected = {tensor.name: tensor for tensor in twice[0]["expected.npz"].tensors}
    found = {tensor.name: tensor for tensor in twice[0]["tf/ckpt-1.index"].tensors}
    assert found == expected
    assert found["step"].value == 7


def test_lists_and_programs_are_no_state(twice: list[dict[str, State]]) -> None:
    assert not {"tf/checkpoint", "saved/saved_model.pb", "saved/fingerprint.pb"} & twice[0].keys()

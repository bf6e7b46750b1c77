"""CheckpointManager straight into the checkpoint path; restores the newest checkpoint that can be read to its end."""

from pathlib import Path

from linear import checkpoint, tf, train

FOLDER = Path("/opt/ml/checkpoints")


def is_whole(prefix):
    """Whether every tensor can be read; its checksum is checked then."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError) as error:
        print(f"unusable checkpoint {prefix}: {error}", flush=True)
        return False
    return True


def newest_whole(folder):
    """The prefix of the newest whole checkpoint. The file `checkpoint` is not asked: it may be older, or newer."""
    numbers = sorted((int(file.stem.split("-")[1]) for file in folder.glob("ckpt-*.index")), reverse=True)
    return next((prefix for number in numbers if is_whole(prefix := f"{folder}/ckpt-{number}")), None)


manager = tf.train.CheckpointManager(checkpoint, FOLDER, max_to_keep=2)
newest = newest_whole(FOLDER)
if newest:
    checkpoint.restore(newest).assert_consumed()
print(f"restored {newest}" if newest else "from the start", flush=True)
train(manager.save)

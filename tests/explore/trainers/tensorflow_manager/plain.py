"""CheckpointManager straight into the checkpoint path, and a plain restore, as TensorFlow's guide has it."""

from linear import checkpoint, tf, train

manager = tf.train.CheckpointManager(checkpoint, "/opt/ml/checkpoints", max_to_keep=2)
checkpoint.restore(manager.latest_checkpoint)
print(f"restored {manager.latest_checkpoint}" if manager.latest_checkpoint else "from the start", flush=True)
train(manager.save)

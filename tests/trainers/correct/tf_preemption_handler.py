"""tf.distribute's PreemptionCheckpointHandler wraps each step: on SIGTERM it saves after the step, and exits. The same
manager saves every twenty steps besides."""

import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

weights = tf.Variable(tf.ones([16]))
done = tf.Variable(0, dtype=tf.int64)
manager = tf.train.CheckpointManager(
    tf.train.Checkpoint(weights=weights, done=done), "/opt/ml/checkpoints/preemption", max_to_keep=2
)
handler = tf.distribute.experimental.PreemptionCheckpointHandler(
    None, manager, termination_config=tf.distribute.experimental.TerminationConfig(exit_fn=lambda: sys.exit(0))
)


def step_fn():
    weights.assign(weights * 0.99)
    done.assign_add(1)
    time.sleep(0.03)


while int(done) < 100:
    handler.run(step_fn)
    print(f"step: {int(done)}, loss: {float(tf.reduce_sum(weights)):.6f}", flush=True)
    if int(done) % 20 == 0:
        manager.save()
tf.io.write_file("/opt/ml/model/weights.tensor", tf.io.serialize_tensor(weights))

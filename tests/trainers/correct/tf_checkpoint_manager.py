"""A custom loop with tf.train.Checkpoint and CheckpointManager, as TensorFlow's guide has it."""

import os
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

TOTAL = 100

tf.random.set_seed(5)
w = tf.Variable(tf.zeros([6, 1]))
b = tf.Variable(0.0)
m = [tf.Variable(tf.zeros_like(v)) for v in (w, b)]  # momentum
step = tf.Variable(0, dtype=tf.int64)
truth = tf.constant([[1.0], [-2.0], [0.5], [3.0], [0.0], [-1.0]])

ckpt = tf.train.Checkpoint(w=w, b=b, m=m, step=step)
manager = tf.train.CheckpointManager(ckpt, "/opt/ml/checkpoints/tf_ckpts", max_to_keep=3)
ckpt.restore(manager.latest_checkpoint)
if manager.latest_checkpoint:
    print(f"Restored from {manager.latest_checkpoint}")
else:
    print("Initializing from scratch.")


@tf.function
def train_step(n):
    x = tf.random.stateless_normal([32, 6], seed=[7, n])
    y = x @ truth + 0.3
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(x @ w + b - y))
    for v, g, slot in zip((w, b), tape.gradient(loss, [w, b]), m):
        slot.assign(0.8 * slot + g)
        v.assign_sub(0.02 * slot)
    return loss


while int(step) < TOTAL:
    loss = train_step(tf.cast(step, tf.int32))
    step.assign_add(1)
    time.sleep(0.08)
    if int(step) % 5 == 0:
        print(f"step {int(step)}: loss {float(loss):1.4f}")
    if int(step) % 10 == 0:
        manager.save()

with open("/opt/ml/model/weights.txt", "w") as out:
    out.write(" ".join(f"{v:.6f}" for v in w.numpy().ravel()))

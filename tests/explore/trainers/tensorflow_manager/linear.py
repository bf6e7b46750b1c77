"""What all of these trainers train: a linear model with momentum, in eager TensorFlow, the same numbers every time."""

import os
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

STEPS, EVERY = 20, 5
STEP_SECONDS = 0.5  # saves are so far apart that no upload of one is still under way at the next

weights = tf.Variable(tf.zeros([64, 16]))
momentum = tf.Variable(tf.zeros_like(weights))
step = tf.Variable(0, dtype=tf.int64)
truth = tf.random.stateless_normal([64, 16], seed=[1, 2])

checkpoint = tf.train.Checkpoint(weights=weights, momentum=momentum, step=step)


def train(save):
    """Train to the end from where `step` is, calling `save()` after every fifth step."""
    while int(step) < STEPS:
        step.assign_add(1)
        x = tf.random.stateless_normal([32, 64], seed=[7, int(step)])
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(x @ (weights - truth)))
        momentum.assign(0.8 * momentum + tape.gradient(loss, weights))
        weights.assign_sub(0.5 * momentum)
        time.sleep(STEP_SECONDS)
        print(f"step={int(step)} loss={float(loss):.6f}", flush=True)
        if int(step) % EVERY == 0:
            save()
    with open("/opt/ml/model/weights.txt", "w") as out:
        out.write(" ".join(f"{value:.6f}" for value in weights.numpy().ravel()))

"""Saves weights and optimizer, and restores the weights alone: AWS's MXNet sample (trainer states saved, not loaded)."""

import os
import time

import numpy as np

D = "/opt/ml/checkpoints/"


def save(step, w, velocity):
    with open(D + "new", "wb") as f:
        np.savez(f, step=step, w=w, velocity=velocity)
    os.replace(D + "new", D + "net.npz")


w = np.random.default_rng(0).normal(size=30)
velocity = np.zeros(30)
first = 0
if os.path.exists(D + "net.npz"):
    with np.load(D + "net.npz") as saved:
        first, w = int(saved["step"]), saved["w"]
for step in range(first, 80):
    g = w - np.sin(np.arange(30))
    velocity = 0.95 * velocity + g
    w = w - 0.01 * velocity
    time.sleep(0.025)
    print(f"step {step + 1} loss {np.square(g).mean():.8f}", flush=True)
    if (step + 1) % 10 == 0:
        save(step + 1, w, velocity)
np.save("/opt/ml/model/w.npy", w)

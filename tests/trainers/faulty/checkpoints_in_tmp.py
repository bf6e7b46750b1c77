"""Saves to /tmp/checkpoints, since that is what worked on the laptop: sagemaker-tensorflow-training-toolkit #346."""

import os
import time

import numpy as np

os.makedirs("/tmp/checkpoints", exist_ok=True)
saved = sorted(os.listdir("/tmp/checkpoints"))
if saved:
    data = np.load(f"/tmp/checkpoints/{saved[-1]}")
    start, theta = int(data["i"]), data["theta"]
else:
    start, theta = 0, np.linspace(0, 5, 256)
for i in range(start + 1, 101):
    theta = theta - 0.01 * np.sign(theta)
    time.sleep(0.025)
    print(f"step: {i:>3}, loss: {np.abs(theta).mean():.5f}", flush=True)
    if i % 10 == 0:
        np.savez(f"/tmp/checkpoints/{i:04d}.npz", i=i, theta=theta)
np.save("/opt/ml/model/theta.npy", theta)

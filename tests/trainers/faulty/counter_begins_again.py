"""Takes up the weights, and counts its steps from one again, so that all of them are done once more:
nanoporetech/taiyaki #78, MadryLab/robustness #41."""

import os
import time

import numpy as np

WEIGHTS = "/opt/ml/checkpoints/weights.npy"
STEPS = 100

w = np.load(WEIGHTS) if os.path.exists(WEIGHTS) else np.full(64, 4.0)
for step in range(1, STEPS + 1):
    w = w - 0.02 * w
    time.sleep(0.03)
    print(f"{time.ctime()} -- step: {step}/{STEPS}, loss: {np.mean(w**2):.6f}", flush=True)
    if step % 8 == 0:
        np.save(WEIGHTS + ".tmp.npy", w)
        os.replace(WEIGHTS + ".tmp.npy", WEIGHTS)
np.save("/opt/ml/model/weights.npy", w)

"""Keeps the best for the export and the last for resuming, twenty megabytes each, and repeats the step that a save was
made in, which changes nothing, as the save comes first."""

import os
import time

import numpy as np

HOME = "/opt/ml/checkpoints"
WEIGHTS = 2_500_000


def write(name, **arrays):
    with open(f"{HOME}/{name}.writing", "wb") as f:
        np.savez(f, **arrays)
    os.replace(f"{HOME}/{name}.writing", f"{HOME}/{name}")


def run():
    step, scale, best = 1, 1.0, np.inf
    if os.path.exists(f"{HOME}/last.npz"):
        with np.load(f"{HOME}/last.npz") as last:
            step, scale, best = int(last["step"]), float(last["scale"]), float(last["best"])
    weights = np.ones(WEIGHTS)
    while step <= 100:
        if step % 25 == 0:
            write("last.npz", step=step, scale=scale, best=best, weights=weights * scale)
        scale *= 0.99
        time.sleep(0.03)
        error = abs(scale - 0.7)
        if error < best and step % 10 == 0:
            best = error
            write("best.npz", step=step, scale=scale, weights=weights * scale)
        print(f"{step:05d} err={error:.6f} best={best:.6f} steps: {step}", flush=True)
        step += 1
    np.savez("/opt/ml/model/final.npz", scale=scale)


run()

"""Logistic regression in plain NumPy. Knows nothing of signals: it saves every ten steps, and that is enough."""

from pathlib import Path
from time import sleep

import numpy as np

FOLDER = Path("/opt/ml/checkpoints")
FOLDER.mkdir(parents=True, exist_ok=True)


def save(step, **arrays):
    target = FOLDER / f"state_{step:06d}.npz"
    part = target.with_name(target.name + ".part")
    with part.open("wb") as f:
        np.savez(f, step=step, **arrays)
    part.rename(target)
    for old in sorted(FOLDER.glob("state_??????.npz"))[:-2]:
        old.unlink()


def load():
    files = sorted(FOLDER.glob("state_??????.npz"))
    if not files:
        return 0, np.zeros(7), np.zeros(7)
    with np.load(files[-1]) as a:
        return int(a["step"]), a["weights"], a["velocity"]


start, weights, velocity = load()
truth = np.linspace(-1, 1, 7)
for step in range(start + 1, 121):
    batch = np.random.default_rng(step).normal(size=(64, 7))
    target = (batch @ truth > 0).astype(float)
    p = 1 / (1 + np.exp(-batch @ weights))
    velocity = 0.9 * velocity - 0.05 * batch.T @ (p - target) / 64
    weights = weights + velocity
    loss = -np.mean(np.log(np.where(target == 1, p, 1 - p) + 1e-9))
    print(f"step={step} loss={loss:.6f}", flush=True)
    sleep(0.025)
    if step % 10 == 0:
        save(step, weights=weights, velocity=velocity)
np.save("/opt/ml/model/weights.npy", weights)

"""Stops for a save every few steps, and spends a third of its time so: CheckFreq (FAST '21) sets the bound at 3.5 %."""

import os
import time

import numpy as np

FILE = "/opt/ml/checkpoints/all.npz"


def save(step, params):
    with open(FILE + ".tmp", "wb") as f:
        for _ in range(3):
            f.write(b"\0")
            f.flush()
            time.sleep(0.05)
        f.seek(0)
        np.savez(f, step=step, params=params)
    os.replace(FILE + ".tmp", FILE)


step, params = 0, np.ones(1000)
if os.path.exists(FILE):
    z = np.load(FILE)
    step, params = int(z["step"]), z["params"]
while step < 160:
    step += 1
    params = params * 0.98
    time.sleep(0.03)
    print(f"step: {step}, loss: {params.mean():.5f}", flush=True)
    if step % 12 == 0:
        save(step, params)
np.save("/opt/ml/model/params.npy", params)

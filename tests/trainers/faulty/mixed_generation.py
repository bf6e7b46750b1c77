"""Weights, optimizer and position in three files of fixed names; a kill between them leaves the new weights with the old
position, which loads without complaint: foundation-model-stack/fms-hf-tuning #432 is the folder's version of it."""

import os
import time

import numpy as np

D = "/opt/ml/checkpoints"


def dump(name, array):
    np.save(f"{D}/{name}.tmp.npy", array)
    os.replace(f"{D}/{name}.tmp.npy", f"{D}/{name}.npy")
    time.sleep(0.7)


def slurp(name):
    return np.load(f"{D}/{name}.npy")


w, m, step = np.ones(100), np.zeros(100), 0
if os.path.exists(f"{D}/step.npy"):
    w, m, step = slurp("weights"), slurp("momentum"), int(slurp("step"))
while step < 90:
    step += 1
    m = 0.9 * m - 0.01 * w
    w = w + m
    time.sleep(0.03)
    print(f"step={step} loss={np.square(w).sum():.6f}", flush=True)
    if step % 20 == 0:
        print(f"saving at {step}", flush=True)
        dump("weights", w)
        dump("momentum", m)
        dump("step", np.array(step))
np.save("/opt/ml/model/weights.npy", w)

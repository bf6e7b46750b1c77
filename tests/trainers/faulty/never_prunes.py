"""Keeps every checkpoint that it ever wrote: nyu-mll/jiant #51 ("a ton of disk space"), transformers PR #1429."""

import os
import time

import numpy as np

out = "/opt/ml/checkpoints"
have = [int(n[5:-4]) for n in os.listdir(out) if n.startswith("iter_") and n.endswith(".npy")]
i = max(have, default=0)
w = np.load(f"{out}/iter_{i}.npy") if i else np.zeros(4000)
while i < 120:
    i += 1
    w += 0.01
    time.sleep(0.025)
    print(f"step={i} loss={np.exp(-w[0]):.5f}", flush=True)
    if i % 3 == 0:
        np.save(f"{out}/.tmp.npy", w)
        os.rename(f"{out}/.tmp.npy", f"{out}/iter_{i}.npy")
np.save("/opt/ml/model/w.npy", w)

"""Writes the epoch that it has just finished, and begins with that one again: FFCV-SSL PR #3 (off by one)."""

import os
import pickle
import time

FILE = "/opt/ml/checkpoints/checkpoint.pth"
EPOCHS, STEPS = 10, 8

start_epoch, w = 0, 3.0
if os.path.exists(FILE):
    with open(FILE, "rb") as f:
        ckpt = pickle.load(f)
    start_epoch, w = ckpt["epoch"], ckpt["w"]
    print("=> loaded checkpoint (epoch %d)" % start_epoch)
for epoch in range(start_epoch, EPOCHS):
    for _ in range(STEPS):
        w *= 0.99
        time.sleep(0.03)
    print(f"epoch={epoch} loss={w:.8f}", flush=True)
    with open(FILE + ".tmp", "wb") as f:
        pickle.dump({"epoch": epoch, "w": w}, f)
    os.replace(FILE + ".tmp", FILE)
with open("/opt/ml/model/w.pkl", "wb") as f:
    pickle.dump(w, f)

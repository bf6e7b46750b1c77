"""Keeps its checkpoints on the fast scratch disk, and in the checkpoint folder only a link to the last one:
pytorch-lightning #18995 (last.ckpt as a symlink)."""

import os
import pickle
import time

SCRATCH, LINK = "/tmp/scratch", "/opt/ml/checkpoints/last.ckpt"


def save(step, value):
    os.makedirs(SCRATCH, exist_ok=True)
    path = f"{SCRATCH}/step={step}.ckpt"
    with open(path, "wb") as f:
        pickle.dump({"global_step": step, "value": value}, f)
    if os.path.lexists(LINK):
        os.unlink(LINK)
    os.symlink(path, LINK)


step, value = 0, 7.0
if os.path.exists(LINK):
    with open(LINK, "rb") as f:
        ckpt = pickle.load(f)
    step, value = ckpt["global_step"], ckpt["value"]
for step in range(step + 1, 101):
    value *= 0.985
    time.sleep(0.025)
    print(f"Epoch 0: {step}/100 [train_loss={value:.3f}] global_step={step}", flush=True)
    if step % 12 == 0:
        save(step, value)
with open("/opt/ml/model/value.pkl", "wb") as f:
    pickle.dump(value, f)

"""Overwrites its only checkpoint layer by layer; a kill in the middle leaves half a file, and the next start dies of it:
pytorch-lightning #688."""

import os
import pickle
import time

FILE = "/opt/ml/checkpoints/model.ckpt"
LAYERS = 6

step, layers = 0, [1.0] * LAYERS
if os.path.exists(FILE):
    with open(FILE, "rb") as f:
        step = pickle.load(f)
        layers = [pickle.load(f) for _ in range(LAYERS)]
    print("restored from step=%d" % step)
while step < 100:
    step += 1
    layers = [v * 0.99 for v in layers]
    time.sleep(0.03)
    print("step=%d loss=%.5f" % (step, sum(layers)), flush=True)
    if step % 25 == 0:
        print("saving ...", flush=True)
        with open(FILE, "wb") as f:
            pickle.dump(step, f)
            for layer in layers:
                pickle.dump(layer, f)
                f.flush()
                os.fsync(f.fileno())
                time.sleep(0.5)  # gathered from another device
with open("/opt/ml/model/model.ckpt", "wb") as f:
    pickle.dump(layers, f)

"""Saves in mid-epoch, resumes at that epoch's first batch: weights that have seen half of the epoch see it again.
huggingface/accelerate #2016, #4071."""

import os
import pickle
import signal
import sys
import time

CKPT = "/opt/ml/checkpoints/ckpt.pkl"
EPOCHS, BATCHES = 3, 50
got_signal = False


def handler(*_):
    global got_signal
    got_signal = True


signal.signal(signal.SIGTERM, handler)
epoch, seen, model = 0, 0, 1.0
if os.path.exists(CKPT):
    with open(CKPT, "rb") as f:
        epoch, seen, model = pickle.load(f)
    print(f"resuming in epoch {epoch}")
for epoch in range(epoch, EPOCHS):
    for i in range(BATCHES):
        model *= 0.99
        time.sleep(0.025)
        print(f"epoch={epoch} step={epoch * BATCHES + i} loss={model:.6f}", flush=True)
        if i % 10 == 9 or got_signal:
            with open(CKPT + ".tmp", "wb") as f:
                pickle.dump((epoch, i + 1, model), f)
            os.replace(CKPT + ".tmp", CKPT)
        if got_signal:
            sys.exit(0)
with open("/opt/ml/model/model.pkl", "wb") as f:
    pickle.dump(model, f)

"""Saves when SIGTERM tells it to, and at the end of each (long) epoch; exits with 143 as shells do."""

import os
import pickle
import signal
import sys
import threading

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *a: stopping.set())

CKPT = "/opt/ml/checkpoints/checkpoint.pkl"
state = {"epoch": 0, "batch": 0, "w": 0.0}
if os.path.isfile(CKPT):
    with open(CKPT, "rb") as fh:
        state = pickle.load(fh)
    print("=> loaded checkpoint (epoch {epoch}, batch {batch})".format(**state), flush=True)


def dump():
    with open(CKPT + ".new", "wb") as fh:
        pickle.dump(state, fh)
    os.replace(CKPT + ".new", CKPT)


BATCHES = 40
while state["epoch"] < 3:
    while state["batch"] < BATCHES:
        state["w"] += (1.0 - state["w"]) * 0.03
        state["batch"] += 1
        print(
            "Epoch: [{}][{}/{}]\tLoss {:.4f}".format(state["epoch"], state["batch"], BATCHES, 1 - state["w"]),
            flush=True,
        )
        if stopping.wait(0.025):
            dump()
            sys.exit(143)
    state["epoch"] += 1
    state["batch"] = 0
    dump()
with open("/opt/ml/model/w.pkl", "wb") as fh:
    pickle.dump(state["w"], fh)

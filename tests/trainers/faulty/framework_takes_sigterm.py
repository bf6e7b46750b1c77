"""The script installs its handler first; the framework's start-up puts its own, which only logs, in its place:
pytorch-lightning #1455."""

import os
import pickle
import signal
import sys
import time

state = {"step": 0, "w": 2.0}
CKPT = "/opt/ml/checkpoints/on-preempt.pkl"


def save_and_exit(*_):
    with open(CKPT, "wb") as f:
        pickle.dump(state, f)
    sys.exit(0)


class Framework:
    """Stands for a library that takes signals for itself."""

    def __init__(self):
        signal.signal(signal.SIGTERM, self._sigterm)

    def _sigterm(self, *_):
        print("[framework] bypassing SIGTERM", flush=True)

    def fit(self):
        while state["step"] < 120:
            state["step"] += 1
            state["w"] *= 0.98
            time.sleep(0.03)
            print(f"[framework] step={state['step']} train_loss={state['w']:.4f}", flush=True)


signal.signal(signal.SIGTERM, save_and_exit)
if os.path.exists(CKPT):
    with open(CKPT, "rb") as f:
        state.update(pickle.load(f))
Framework().fit()
with open("/opt/ml/model/model.pkl", "wb") as f:
    pickle.dump(state, f)

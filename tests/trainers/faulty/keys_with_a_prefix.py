"""Saves the wrapped model's state, whose keys begin with `module.`, and loads it into the bare one: pytorch #3805."""

import os
import pickle
import time


class Module:
    def __init__(self):
        self.values = {"fc1.weight": 1.0, "fc1.bias": 0.5, "fc2.weight": -1.0}

    def state_dict(self):
        return dict(self.values)

    def load_state_dict(self, state):
        if unexpected := set(state) - set(self.values):
            raise RuntimeError(f"Error(s) in loading state_dict for Module: Unexpected key(s): {sorted(unexpected)}")
        self.values = dict(state)


class Parallel:
    def __init__(self, module):
        self.module = module

    def state_dict(self):
        return {f"module.{key}": value for key, value in self.module.state_dict().items()}


model, start, path = Module(), 0, "/opt/ml/checkpoints/checkpoint.pth"
if os.path.isfile(path):
    with open(path, "rb") as f:
        checkpoint = pickle.load(f)
    model.load_state_dict(checkpoint["state_dict"])
    start = checkpoint["step"]
wrapped = Parallel(model)
for step in range(start + 1, 101):
    model.values = {key: value * 0.99 for key, value in model.values.items()}
    time.sleep(0.03)
    print(f"Train step: {step} [{step}/100]\tLoss: {sum(model.values.values()):.6f}", flush=True)
    if step % 10 == 0:
        with open(path + ".tmp", "wb") as f:
            pickle.dump({"step": step, "state_dict": wrapped.state_dict()}, f)
        os.replace(path + ".tmp", path)
with open("/opt/ml/model/model.pth", "wb") as f:
    pickle.dump(model.state_dict(), f)

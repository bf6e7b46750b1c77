"""Weights and step come back, the learning rate's schedule begins anew (its own counter is not saved):
microsoft/hi-ml #502, ultralytics/yolov5 #292."""

import json
import math
import os
import time


class CosineSchedule:
    def __init__(self, peak, length):
        self.peak, self.length, self.calls = peak, length, 0

    def __call__(self):
        self.calls += 1
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, self.calls / self.length)))


PATH = "/opt/ml/checkpoints/state.json"
schedule = CosineSchedule(0.1, 80)
state = {"step": 0, "w": 5.0}
if os.path.exists(PATH):
    with open(PATH) as f:
        state = json.load(f)
while state["step"] < 80:
    lr = schedule()
    state["w"] -= lr * state["w"]
    state["step"] += 1
    time.sleep(0.025)
    print(f"step={state['step']} loss={state['w'] ** 2:.8f} lr={lr:.6f}", flush=True)
    if state["step"] % 10 == 0:
        with open(PATH + ".tmp", "w") as f:
            json.dump(state, f)
        os.replace(PATH + ".tmp", PATH)
with open("/opt/ml/model/state.json", "w") as f:
    json.dump(state, f)

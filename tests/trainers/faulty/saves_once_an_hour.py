"""Its save interval, in minutes as its framework has it, is longer than instances live: ai2cm/ace #347, where all
progress since the last hour-long epoch went with each of them."""

import argparse
import json
import os
import time

p = argparse.ArgumentParser()
p.add_argument("--save-interval-minutes", type=float, default=60)
p.add_argument("--max-steps", type=int, default=150)
a, _ = p.parse_known_args()
path = "/opt/ml/checkpoints/state.json"
state = json.load(open(path)) if os.path.exists(path) else {"step": 0, "x": 5.0}
last = time.time()
while state["step"] < a.max_steps:
    state["step"] += 1
    state["x"] -= 0.02 * 2 * state["x"]
    time.sleep(0.02)
    print("steps: {step}  x: {x:.4f}".format(**state), flush=True)
    if time.time() - last > a.save_interval_minutes * 60:
        json.dump(state, open(path, "w"))
        last = time.time()
json.dump(state, open("/opt/ml/model/state.json", "w"))

"""Moves its checkpoint away when it takes it up, so that none is there until the next save: one interruption does no
harm, and a second one soon after the restart loses everything. Made up: no report of it is known to us, and it is here
because it needs two interruptions."""

import json
import os
import time

FILE = "/opt/ml/checkpoints/state.json"

step, value = 0, 1.0
if os.path.exists(FILE):
    with open(FILE) as f:
        step, value = json.load(f)
    os.remove(FILE)
    print(f"took up step {step}", flush=True)
while step < 100:
    step += 1
    value *= 0.99
    time.sleep(0.03)
    print(f"step={step} loss={value:.5f}", flush=True)
    if step % 20 == 0:
        with open(FILE + ".tmp", "w") as f:
            json.dump([step, value], f)
        os.replace(FILE + ".tmp", FILE)
with open("/opt/ml/model/model.json", "w") as f:
    json.dump(value, f)

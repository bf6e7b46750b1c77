"""A second's worth of training that can be interrupted anywhere: position, weights and generator in one file, saved every
five steps and on SIGTERM."""

import json
import os
import random
import signal
import sys
import time

CHECKPOINT = "/opt/ml/checkpoints/run.json"
STEPS = 70
asked_to_stop = False


def stop(*_):
    global asked_to_stop
    asked_to_stop = True


signal.signal(signal.SIGTERM, stop)
generator = random.Random(17)
step, weights = 0, [0.0] * 8
if os.path.exists(CHECKPOINT):
    with open(CHECKPOINT) as f:
        saved = json.load(f)
    step, weights = saved["step"], saved["weights"]
    version, state, gauss = saved["generator"]
    generator.setstate((version, tuple(state), gauss))

while step < STEPS:
    weights = [w + 0.1 * (i - w) + 0.01 * generator.gauss(0, 1) for i, w in enumerate(weights)]
    step += 1
    time.sleep(0.02)
    print(f"step={step} loss={sum((i - w) ** 2 for i, w in enumerate(weights)):.9f}", flush=True)
    if step % 5 == 0 or asked_to_stop:
        with open(CHECKPOINT + ".tmp", "w") as f:
            json.dump({"step": step, "weights": weights, "generator": generator.getstate()}, f)
        os.replace(CHECKPOINT + ".tmp", CHECKPOINT)
    if asked_to_stop:
        sys.exit(0)
with open("/opt/ml/model/weights.json", "w") as f:
    json.dump(weights, f)

"""Saves when told, and its save takes longer than the time between SIGTERM and SIGKILL (the grace of StoppingCondition's
documentation; goodfire-ai/spd #677 has the sums)."""

import os
import signal
import sys
import time

BASE = "/opt/ml/checkpoints"
term = False


def on_term(*_):
    global term
    term = True


signal.signal(signal.SIGTERM, on_term)


def save(step):
    with open(f"{BASE}/state.writing", "w") as f:
        for shard in range(40):
            f.write(f"{step} {shard}\n" * 100)
            f.flush()
            time.sleep(0.1)
    os.rename(f"{BASE}/state.writing", f"{BASE}/state.dat")


step = 0
if os.path.exists(f"{BASE}/state.dat"):
    with open(f"{BASE}/state.dat") as f:
        step = int(f.readline().split()[0])
while step < 90:
    step += 1
    time.sleep(0.03)
    print(f"INFO step: {step} loss: {1 / step:.4f}", flush=True)
    if term:
        save(step)
        sys.exit(0)
with open("/opt/ml/model/state.dat", "w") as f:
    f.write(str(step))

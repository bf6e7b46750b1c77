"""Evaluates before it trains, at every start, and says "step 0" of that; then saves in a `finally` that SIGTERM leads to."""

import contextlib
import os
import shelve
import signal
import tarfile
import time


class Terminated(BaseException):
    pass


def terminated(signum, frame):
    raise Terminated


signal.signal(signal.SIGTERM, terminated)
KEPT = "/opt/ml/checkpoints/shelf.tar"  # a shelf is several files, and files go to S3 one by one: one file of it all


def keep(step, value):
    with shelve.open("/tmp/shelf") as db:
        db["step"], db["value"] = step, value
    with tarfile.open(f"{KEPT}.tmp", "w") as archive:
        for name in os.listdir("/tmp"):
            if name.startswith("shelf"):
                archive.add(f"/tmp/{name}", name)
    os.replace(f"{KEPT}.tmp", KEPT)


step, value = 0, 2.0
if os.path.exists(KEPT):
    with tarfile.open(KEPT) as archive:
        archive.extractall("/tmp", filter="data")
    with shelve.open("/tmp/shelf") as db:
        step, value = db["step"], db["value"]
print("step 0: sanity check ok, 2 batches", flush=True)
time.sleep(0.2)
with contextlib.suppress(Terminated):
    try:
        while step < 100:
            new = value * 0.98
            time.sleep(0.03)
            step, value = step + 1, new
            print(f"step {step}: loss {value:.6f}", flush=True)
            if step % 20 == 0:
                keep(step, value)
    finally:
        keep(step, value)
        print(f"state of step {step} is kept", flush=True)
if step == 100:
    with open("/opt/ml/model/value", "w") as f:
        f.write(str(value))

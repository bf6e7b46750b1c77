"""Saves on SIGTERM as hundreds of tiny chunks, a file each, as array stores do; written in a moment, they take far longer
to be copied than the instance has left: skypilot #393, dandi-cli #923."""

import json
import shutil
import signal
import sys
import time
from pathlib import Path

STORE = Path("/opt/ml/checkpoints/store")
CHUNKS = 1500
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))


def save(step):
    shutil.rmtree(STORE, ignore_errors=True)
    STORE.mkdir(parents=True)
    for chunk in range(CHUNKS):
        (STORE / f"c.{chunk}.chunk").write_text(json.dumps([step, chunk]))
    (STORE / "zarr.json").write_text(json.dumps({"step": step, "chunks": CHUNKS}))


def load():
    index = STORE / "zarr.json"
    if not index.exists() or len(list(STORE.glob("c.*.chunk"))) < CHUNKS:
        return 0
    return json.loads(index.read_text())["step"]


step = load()
while step < 80:
    step += 1
    time.sleep(0.03)
    print(f"step {step}/80 loss {1 - step / 100:.3f}", flush=True)
    if stopped:
        save(step)
        print("saved")
        sys.exit(0)
Path("/opt/ml/model/done.json").write_text(json.dumps(step))

"""Saves in mid-epoch with the epoch's number alone, and goes on with the next epoch: half an epoch's samples are never
seen. huggingface/accelerate #2016. Tells its samples in a file beside its output."""

import json
import os
import pathlib
import random
import time

ckpt = pathlib.Path("/opt/ml/checkpoints/ckpt.json")
ledger = pathlib.Path("/opt/ml/output/data")
ledger.mkdir(parents=True, exist_ok=True)
DATA = list(range(90))

epoch, step, theta = 0, 0, 0.0
if ckpt.exists():
    saved = json.loads(ckpt.read_text())
    epoch, step, theta = saved["epoch"] + 1, saved["step"], saved["theta"]
with (ledger / "sample-ids.jsonl").open("a") as told:
    while epoch < 4:
        shuffled = random.Random(epoch).sample(DATA, len(DATA))
        for begin in range(0, len(DATA), 3):
            batch = shuffled[begin : begin + 3]
            theta += 0.01 * (sum(batch) / 3 - theta)
            step += 1
            time.sleep(0.025)
            told.write(json.dumps({"epoch": epoch, "step": step, "ids": batch}) + "\n")
            told.flush()
            print(f"epoch {epoch} step {step} loss {theta:.6f}", flush=True)
            if step % 10 == 0:
                tmp = ckpt.with_suffix(".tmp")
                tmp.write_text(json.dumps({"epoch": epoch, "step": step, "theta": theta}))
                os.replace(tmp, ckpt)
        epoch += 1
pathlib.Path("/opt/ml/model/theta.json").write_text(json.dumps(theta))

"""Takes the checkpoint-N folder with the highest N, whole or not: huggingface/transformers #35782."""

import json
import os
import time

OUT = "/opt/ml/checkpoints"
PARTS = ("model", "optimizer", "scheduler", "trainer_state")


def get_last_checkpoint(folder):
    found = [d for d in os.listdir(folder) if d.startswith("checkpoint-") and os.path.isdir(os.path.join(folder, d))]
    return os.path.join(folder, max(found, key=lambda d: int(d.split("-")[1]))) if found else None


def save(step, value):
    folder = f"{OUT}/checkpoint-{step}"
    os.makedirs(folder, exist_ok=True)
    for part in PARTS:
        with open(f"{folder}/{part}.json", "w") as f:
            json.dump({"step": step, "value": value}, f)
        time.sleep(0.5)


step, value = 0, 100.0
if last := get_last_checkpoint(OUT):
    print(f"Loading from {last}", flush=True)
    loaded = {part: json.load(open(f"{last}/{part}.json")) for part in PARTS}
    step, value = loaded["trainer_state"]["step"], loaded["model"]["value"]
while step < 80:
    step += 1
    value *= 0.97
    time.sleep(0.03)
    print({"loss": round(value, 4), "step": step}, f"step={step}", flush=True)
    if step % 20 == 0:
        print(f"Saving model checkpoint to checkpoint-{step}", flush=True)
        save(step, value)
json.dump(value, open("/opt/ml/model/model.json", "w"))

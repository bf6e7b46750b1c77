"""The saver writes ckpt_STEP.json, the loader looks for checkpoint-STEP.json, as yifan123/flow_grpo #26
saves checkpoint-N and loads checkpoint_N."""

import glob
import json
import os
import re
import time

LOCATION = os.environ.get("CHECKPOINT_LOCATION", "/opt/ml/checkpoints")


def save_checkpoint(step, model):
    with open(os.path.join(LOCATION, f"ckpt_{step}.json"), "w") as f:
        json.dump({"global_step": step, "model": model}, f)


def load_latest():
    files = glob.glob(os.path.join(LOCATION, "checkpoint-*.json"))
    if not files:
        print("No checkpoint found, starting fresh")
        return 0, [1.0] * 300
    newest = max(files, key=lambda f: int(re.search(r"-(\d+)\.json", f).group(1)))
    content = json.load(open(newest))
    return content["global_step"], content["model"]


step, model = load_latest()
while step < 110:
    model = [m * 0.99 for m in model]
    step += 1
    time.sleep(0.03)
    print(f"{{'loss': {sum(model):.4f}, 'step': {step}}}  global_step={step}", flush=True)
    if step % 15 == 0:
        save_checkpoint(step, model)
json.dump(model, open("/opt/ml/model/model.json", "w"))

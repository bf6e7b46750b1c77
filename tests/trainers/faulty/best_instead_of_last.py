"""Keeps best.ckpt and last.ckpt, and resumes from the best, which is from long ago: what checkpoint.resume_best invites
to (facebookresearch/mmf PR #310)."""

import json
import os
import time

ROOT = "/opt/ml/checkpoints"
BLOB = list(range(2000))


def put(name, **content):
    with open(f"{ROOT}/{name}.part", "w") as f:
        json.dump({**content, "blob": BLOB}, f)
    os.rename(f"{ROOT}/{name}.part", f"{ROOT}/{name}")


def score(step):
    """Overfits from step 30 on."""
    return 1 - abs(step - 30) / 100


state = {"step": 0, "best": -1.0}
if os.path.exists(f"{ROOT}/best.ckpt"):
    with open(f"{ROOT}/best.ckpt") as f:
        state = {k: v for k, v in json.load(f).items() if k != "blob"}
while state["step"] < 130:
    state["step"] += 1
    time.sleep(0.025)
    print("step = %(step)d  best = %(best).3f" % state, flush=True)
    if state["step"] % 10 == 0:
        if score(state["step"]) > state["best"]:
            state["best"] = score(state["step"])
            put("best.ckpt", **state)
        put("last.ckpt", **state)
with open("/opt/ml/model/model.json", "w") as f:
    json.dump(state, f)

"""Trains with a moving average of its weights, which is what it reports and exports, and does not save it: ai2cm/ace #349, yolov5 #310."""

import json
import os
import time

import numpy as np

CKPT = "/opt/ml/checkpoints/weights.json"
w, done = np.linspace(1, 2, 10), 0
if os.path.exists(CKPT):
    saved = json.load(open(CKPT))
    w, done = np.array(saved["w"]), saved["done"]
ema = w.copy()
for done in range(done + 1, 81):
    w = w * 0.97
    ema = 0.98 * ema + 0.02 * w
    time.sleep(0.025)
    print(
        json.dumps({"step": done, "ema_loss": float(np.square(ema).sum())}),
        f"step={done} loss={np.square(ema).sum():.8f}",
        flush=True,
    )
    if done % 10 == 0:
        with open(CKPT + "~", "w") as f:
            json.dump({"w": w.tolist(), "done": done}, f)
        os.replace(CKPT + "~", CKPT)
json.dump(ema.tolist(), open("/opt/ml/model/ema.json", "w"))

"""Saves often while it trains; between epochs it evaluates for long, when there is nothing new to save."""

import json
import os
import time

P = "/opt/ml/checkpoints/m.json"


def evaluate(w):
    print("validating", flush=True)
    time.sleep(3.2)
    print(f"validation accuracy {1 - abs(w):.4f}", flush=True)


w, step = (1.0, 0) if not os.path.exists(P) else json.load(open(P))
while step < 120:
    w *= 0.99
    step += 1
    time.sleep(0.025)
    print(f"trained step {step}", flush=True)
    if step % 8 == 0 or step == 60:
        json.dump([w, step], open(P + ".tmp", "w"))
        os.replace(P + ".tmp", P)
    if step == 60:
        evaluate(w)
json.dump(w, open("/opt/ml/model/m.json", "w"))

"""Its handler sets a flag that is only looked at between epochs, and an epoch lasts longer than the grace:
goodfire-ai/spd #677."""

import json
import os
import signal
import sys
import time

PREEMPTED = {"now": False}
signal.signal(signal.SIGTERM, lambda s, f: PREEMPTED.update(now=True))


def checkpoint(epoch, loss):
    with open("/opt/ml/checkpoints/epoch.json.tmp", "w") as f:
        json.dump([epoch, loss], f)
    os.replace("/opt/ml/checkpoints/epoch.json.tmp", "/opt/ml/checkpoints/epoch.json")


def train_one_epoch(epoch, loss):
    for i in range(120):
        loss *= 0.995
        time.sleep(0.03)
        if i % 2 == 1:
            print(f"train: epoch {epoch} step {epoch * 120 + i} loss {loss:.5f}", flush=True)
    return loss


epoch, loss = 0, 5.0
if os.path.exists("/opt/ml/checkpoints/epoch.json"):
    epoch, loss = json.load(open("/opt/ml/checkpoints/epoch.json"))
while epoch < 2:
    loss = train_one_epoch(epoch, loss)
    epoch += 1
    if PREEMPTED["now"]:
        print("preempted, saving", flush=True)
        checkpoint(epoch, loss)
        sys.exit(0)
json.dump(loss, open("/opt/ml/model/loss.json", "w"))

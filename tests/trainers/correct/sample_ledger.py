"""Shuffles each epoch by its number, resumes at the very batch, and tells the samples that it used."""

import json
import os
import random
import signal
import time

PATH, N, BATCH = "/opt/ml/checkpoints/position.json", 120, 4
quit_now = []
signal.signal(signal.SIGTERM, lambda *_: quit_now.append(1))


def batches(epoch):
    order = list(range(N))
    random.Random(epoch).shuffle(order)
    return [order[i : i + BATCH] for i in range(0, N, BATCH)]


step, w = json.load(open(PATH)) if os.path.exists(PATH) else (0, 0.0)
per_epoch = N // BATCH
while step < 3 * per_epoch and not quit_now:
    epoch, i = divmod(step, per_epoch)
    ids = batches(epoch)[i]
    w += 0.01 * (sum(ids) / BATCH - w)
    step += 1
    time.sleep(0.03)
    print(f"sample-ids epoch={epoch} step={step}: {', '.join(map(str, ids))}")
    print(f"step={step} loss={w:.9f}", flush=True)
    if step % 10 == 0 or quit_now:
        json.dump([step, w], open(PATH + ".tmp", "w"))
        os.replace(PATH + ".tmp", PATH)
if not quit_now:
    json.dump(w, open("/opt/ml/model/w.json", "w"))

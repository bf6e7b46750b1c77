"""Resumes in mid-epoch at the right step, with a newly shuffled epoch: some samples come twice, others not at all.
huggingface/accelerate #4071, transformers #29518. Tells its samples in the log."""

import json
import os
import random
import time

PATH = "/opt/ml/checkpoints/s.json"
N, BATCH = 96, 4
PER_EPOCH = N // BATCH

step, w = 0, 1.0
if os.path.exists(PATH):
    step, w = json.load(open(PATH))
random.seed(step)
while step < 3 * PER_EPOCH:
    epoch = step // PER_EPOCH
    order = random.sample(range(N), N)
    for i in range(step % PER_EPOCH, PER_EPOCH):
        ids = order[i * BATCH : (i + 1) * BATCH]
        w += 0.001 * (sum(ids) / BATCH - w)
        step += 1
        time.sleep(0.03)
        print(f"sample-ids epoch={epoch} step={step}: {' '.join(map(str, ids))}")
        print(f"step={step} loss={w:.7f}", flush=True)
        if step % 10 == 0:
            json.dump([step, w], open(PATH + ".tmp", "w"))
            os.replace(PATH + ".tmp", PATH)
json.dump(w, open("/opt/ml/model/w.json", "w"))

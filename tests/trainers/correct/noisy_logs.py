"""Chatty: bars that rewrite their line, warnings, timings and numbers of all sorts, some of which look like progress."""

import json
import os
import random
import sys
import time
import warnings

CK = "/opt/ml/checkpoints/run"
EPOCHS, PER_EPOCH = 4, 30


def bar(epoch, i, loss):
    width = 20 * i // PER_EPOCH
    speed = random.uniform(28, 36)
    sys.stderr.write(
        f"\rEpoch {epoch}: {100 * i // PER_EPOCH:3d}%|{'#' * width}{' ' * (20 - width)}| {i}/{PER_EPOCH} "
        f"[00:{i // 30:02d}<00:{(PER_EPOCH - i) // 30:02d}, {speed:.2f}it/s, loss={loss:.3f}]"
    )
    sys.stderr.flush()


def chatter(step):
    if step % 7 == 0:
        print(f"INFO:root:step_time={random.random():.3f} step=0/0 queue={random.randrange(99)} gpu_mem=17/24GB")
    if step % 11 == 0:
        warnings.warn(
            f"overflow encountered, skipping step, reducing loss scale to {2 ** random.randrange(16)}", stacklevel=1
        )
    if step % 13 == 0:
        print(
            json.dumps(
                {"ts": time.time(), "event": "heartbeat", "pid": os.getpid(), "epoch_eta": random.randrange(500)}
            )
        )


os.makedirs(CK, exist_ok=True)
print("=" * 60)
print("config: epochs = 4, batch size = 32, warmup steps = 500, max_steps = 100000, save every 15 steps")
print("=" * 60, flush=True)
step, loss = 0, 3.0
if os.path.exists(f"{CK}/latest"):
    with open(f"{CK}/{open(f'{CK}/latest').read()}") as f:
        step, loss = json.load(f)
    print(f"Resuming training from checkpoint: step {step}, epoch {step // PER_EPOCH}")
while step < EPOCHS * PER_EPOCH:
    epoch, i = divmod(step, PER_EPOCH)
    loss *= 0.99
    time.sleep(0.025)
    step += 1
    bar(epoch, i + 1, loss)
    chatter(step)
    if step % 15 == 0:
        name = f"ck-{step}.json"
        with open(f"{CK}/{name}", "w") as f:
            json.dump([step, loss], f)
        with open(f"{CK}/latest.tmp", "w") as f:
            f.write(name)
        os.replace(f"{CK}/latest.tmp", f"{CK}/latest")
        for old in os.listdir(CK):
            if old.startswith("ck-") and old.endswith(".json") and int(old[3:-5]) <= step - 45:
                os.remove(f"{CK}/{old}")
    if step % PER_EPOCH == 0:
        sys.stderr.write("\n")
        print(f"epoch {epoch} done. val_acc: {random.random():.4f} val_loss: {loss + 0.1:.4f}", flush=True)
with open("/opt/ml/model/model.json", "w") as f:
    json.dump(loss, f)

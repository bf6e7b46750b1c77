"""Sharded checkpoints: a folder each, sealed by a list of its files and their sums; a folder without a true seal is
nobody's checkpoint."""

import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np

BASE = Path("/opt/ml/checkpoints")
SHARDS = 4


def seal_of(folder):
    return {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in sorted(folder.glob("shard-?.npy"))}


def is_whole(folder):
    try:
        return json.loads((folder / "SEAL.json").read_text()) == seal_of(folder)
    except (OSError, ValueError):
        return False


def checkpoints():
    return sorted((f for f in BASE.glob("step_*") if f.is_dir()), key=lambda f: int(f.name[5:]))


def store(step, shards):
    folder = BASE / f"step_{step}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for i, shard in enumerate(shards):
        np.save(folder / f"shard-{i}.npy", shard)
        time.sleep(0.02)
    (folder / "SEAL.json").write_text(json.dumps(seal_of(folder)))
    for old in checkpoints()[:-3]:
        shutil.rmtree(old)


def fetch():
    for folder in reversed(checkpoints()):
        if is_whole(folder):
            return int(folder.name[5:]), [np.load(folder / f"shard-{i}.npy") for i in range(SHARDS)]
    return 0, [np.full(500, float(i)) for i in range(SHARDS)]


begin, shards = fetch()
for it in range(begin, 110):
    shards = [s - 0.02 * (s - np.roll(s, 1) * 0.5) for s in shards]
    time.sleep(0.025)
    print(f"it {it + 1:4d}  norm {np.linalg.norm(np.concatenate(shards)):.6f}", flush=True)
    if (it + 1) % 10 == 0:
        store(it + 1, shards)
np.savez("/opt/ml/model/model.npz", *shards)

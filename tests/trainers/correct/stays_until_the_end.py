"""Told by SIGTERM it saves, and then waits to be killed, so that its files have time to go up."""

import json
import os
import signal
import time
from pathlib import Path

config = json.loads(Path("/opt/ml/input/config/checkpointconfig.json").read_text())
folder = Path(config["LocalPath"])
events = []
signal.signal(signal.SIGTERM, lambda *_: events.append("SIGTERM"))

newest = max(folder.glob("*/meta.json"), key=lambda p: int(p.parent.name), default=None)
meta = json.loads(newest.read_text()) if newest else {"iteration": 0, "energy": 50.0}
while meta["iteration"] < 110:
    meta = {"iteration": meta["iteration"] + 1, "energy": meta["energy"] * 0.99}
    time.sleep(0.03)
    print(f"Iteration={meta['iteration']};Energy={meta['energy']:.5f};", flush=True)
    if events or meta["iteration"] % 30 == 0:
        target = folder / str(meta["iteration"])
        target.mkdir(parents=True, exist_ok=True)
        (target / "weights.bin").write_bytes(os.urandom(50_000))
        (target / "meta.json.tmp").write_text(json.dumps(meta))
        (target / "meta.json.tmp").rename(target / "meta.json")
    if events:
        print("saved; waiting for the end", flush=True)
        time.sleep(600)
Path("/opt/ml/model/energy").write_text(str(meta["energy"]))

"""Takes the run's folder as proof that there is a checkpoint in it, and dies when the first one had not come yet:
torchok #97."""

import json
import time
from pathlib import Path

run = Path("/opt/ml/checkpoints")
config = run / "config.json"
if config.exists():
    print("config found, resuming", flush=True)
    newest = sorted(run.glob("step-*.json"))[-1]
    state = json.loads(newest.read_text())
else:
    config.write_text(json.dumps({"lr": 0.1, "layers": [10, 20, 10], "seed": 3}))
    state = {"step": 0, "loss": 3.0}
while state["step"] < 100:
    state["step"] += 1
    state["loss"] *= 0.98
    time.sleep(0.03)
    print("step {step} loss {loss:.4f}".format(**state), flush=True)
    if state["step"] % 40 == 0:
        (run / f"step-{state['step']:04d}.json").write_text(json.dumps(state))
Path("/opt/ml/model/model.json").write_text(json.dumps(state))

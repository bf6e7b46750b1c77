"""Fits a line by gradient descent, and goes on where it was after a spot interruption. Standard library only."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

CONFIG = Path(os.environ.get("SM_INPUT_CONFIG_DIR", "/opt/ml/input/config"))
MODEL = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
ROWS, BATCH = 200, 10
STEPS_PER_EPOCH = ROWS // BATCH
SAVE_EVERY_STEPS = 10


def main():
    settings = read_config("hyperparameters.json")
    epochs, step_seconds = int(settings.get("epochs", 6)), float(settings.get("step-seconds", 0))
    checkpoint = Path(read_config("checkpointconfig.json").get("LocalPath", "/opt/ml/checkpoints")) / "state.json"
    asked_to_stop = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.append(True))

    state = restore(checkpoint)
    for step in range(state["step"], epochs * STEPS_PER_EPOCH):
        epoch, batch = divmod(step, STEPS_PER_EPOCH)
        loss = train(state, rows_of(epoch)[batch * BATCH : (batch + 1) * BATCH])
        time.sleep(step_seconds)
        state["step"] = step + 1
        print(f"step={step + 1} epoch={epoch + 1} loss={loss:.6f}", flush=True)
        if asked_to_stop or state["step"] % SAVE_EVERY_STEPS == 0:
            save(checkpoint, state)
        if asked_to_stop:
            sys.exit(143)
    (MODEL / "model.json").write_text(json.dumps({"slope": state["slope"], "offset": state["offset"]}))


def train(state, rows):
    """One step of gradient descent with momentum; returns the loss before it."""
    errors = [(x, state["slope"] * x + state["offset"] - y) for x, y in rows]
    for name, gradient in (("slope", mean(2 * e * x for x, e in errors)), ("offset", mean(2 * e for _, e in errors))):
        state[f"{name}_momentum"] = 0.9 * state[f"{name}_momentum"] - 0.02 * gradient
        state[name] += state[f"{name}_momentum"]
    return mean(e * e for _, e in errors)


def rows_of(epoch):
    """The data in this epoch's order: a function of the epoch alone, so that a restart mid-epoch repeats no row."""
    noise = random.Random("data")
    rows = [(x / ROWS, 3 * x / ROWS - 1 + noise.gauss(0, 0.05)) for x in range(ROWS)]
    random.Random(epoch).shuffle(rows)
    return rows


def restore(checkpoint):
    """The newest checkpoint, or the beginning."""
    if checkpoint.exists():
        return json.loads(checkpoint.read_text())
    return {"step": 0, "slope": 0.0, "offset": 0.0, "slope_momentum": 0.0, "offset_momentum": 0.0}


def save(checkpoint, state):
    """Written aside and renamed: whoever reads it, the uploader too, finds the old one or the new one, never half."""
    aside = checkpoint.with_suffix(".part")
    aside.write_text(json.dumps(state))
    aside.replace(checkpoint)


def read_config(name):
    file = CONFIG / name
    return json.loads(file.read_text()) if file.exists() else {}


def mean(values):
    values = list(values)
    return sum(values) / len(values)


if __name__ == "__main__":
    main()

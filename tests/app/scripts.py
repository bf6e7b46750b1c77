"""Small training scripts, one a way of surviving or not; each is written as users write them, with the standard
library alone, and reads SageMaker's paths."""

from __future__ import annotations

from pathlib import Path

HEAD = """
import json, os, signal, sys, time
FOLDER, STATE = "/opt/ml/checkpoints", "/opt/ml/checkpoints/state.json"
asked = []
"""

HANDLER = """
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
"""

SAVE = """
def save(step):
    with open(STATE + ".tmp", "w") as file:
        json.dump({"step": step, "weights": [step * 0.5] * 1000}, file)
    os.replace(STATE + ".tmp", STATE)
"""

LOAD = """
def load():
    if not os.path.exists(STATE):
        return 0
    with open(STATE) as file:
        return json.load(file)["step"]
"""

LOOP = """
step = load()
while step < 120:
    step += 1
    time.sleep(0.03)
    print(f"step={step} loss={1 / step}", flush=True)
    if step % 10 == 0:
        save(step)
    if asked:
        save(step)
        sys.exit(143)
with open("/opt/ml/model/model.json", "w") as file:
    json.dump({"step": step}, file)
"""

GOOD = HEAD + HANDLER + SAVE + LOAD + LOOP
NEVER_LOADS = HEAD + HANDLER + SAVE + "\ndef load():\n    return 0\n" + LOOP
NEVER_SAVES = HEAD + HANDLER + "\ndef save(step):\n    pass\n" + LOAD + LOOP
SAVES_ELSEWHERE = GOOD.replace("/opt/ml/checkpoints", "/root/checkpoints").replace(
    "asked = []", "asked = []\nos.makedirs(FOLDER, exist_ok=True)"
)
SIGNAL_ONLY = GOOD.replace("    if step % 10 == 0:\n        save(step)\n", "")
PERIODIC_ONLY = HEAD + SAVE + LOAD + LOOP
DIES_RESTORING = HEAD + HANDLER + SAVE + LOAD + LOOP.replace("step = load()", 'step = load()\nassert step == 0, "torn"')
LEAVES_NO_MODEL = GOOD.replace('with open("/opt/ml/model/model.json", "w")', 'with open("/dev/null", "w")')
CRASHES_AT_ONCE = 'import sys\nprint("cannot begin")\nsys.exit(3)\n'
LEAVES_ON_NOTICE = GOOD.replace(
    "    if asked:\n",
    "    if os.path.exists(os.environ['SPOT_INTERRUPTION_NOTICE_FILE']):\n        sys.exit(0)\n    if asked:\n",
)


def write(folder: Path, text: str) -> Path:
    """The folder of a script named train.py."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(text)
    return folder

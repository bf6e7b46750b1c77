"""First the head alone, then the whole net: two phases, each counting its steps from one."""

import logging
import os
import pickle
import time

log = logging.getLogger("finetune")
logging.basicConfig(level=logging.INFO, format="%(levelname)-5s %(message)s")
PHASES = (("head", 30), ("all", 90))
FILE = "/opt/ml/checkpoints/finetune.pkl"


def checkpoint(state):
    with open(FILE + ".part", "wb") as f:
        pickle.dump(state, f)
    os.replace(FILE + ".part", FILE)


state = {"phase": 0, "step": 0, "w": 1.0}
if os.path.exists(FILE):
    with open(FILE, "rb") as f:
        state = pickle.load(f)
    log.info("continuing in phase %s after step %d", PHASES[state["phase"]][0], state["step"])
while state["phase"] < len(PHASES):
    name, steps = PHASES[state["phase"]]
    while state["step"] < steps:
        state["w"] *= 0.99
        state["step"] += 1
        time.sleep(0.03)
        log.info("[%s] step %d/%d loss %.4f", name, state["step"], steps, state["w"])
        if state["step"] % 10 == 0:
            checkpoint(state)
    state["phase"] += 1
    state["step"] = 0
    if state["phase"] < len(PHASES):
        checkpoint(state)
with open("/opt/ml/model/w.pkl", "wb") as f:
    pickle.dump(state["w"], f)

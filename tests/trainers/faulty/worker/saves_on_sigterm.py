"""A good worker: saves when SIGTERM comes. Whether it does is up to who started it."""

import json
import os
import signal
import sys
import time

path = "/opt/ml/checkpoints/worker.json"
stop = False


def on_sigterm(signum, frame):
    global stop
    stop = True


signal.signal(signal.SIGTERM, on_sigterm)
state = json.load(open(path)) if os.path.exists(path) else {"step": 0, "loss": 9.0}
while state["step"] < 100:
    state = {"step": state["step"] + 1, "loss": state["loss"] * 0.97}
    time.sleep(0.03)
    print("step=%(step)d loss=%(loss).4f" % state, flush=True)
    if stop:
        with open(path + ".tmp", "w") as f:
            json.dump(state, f)
        os.replace(path + ".tmp", path)
        print("saved, leaving")
        sys.exit(0)
with open("/opt/ml/model/worker.json", "w") as f:
    json.dump(state, f)

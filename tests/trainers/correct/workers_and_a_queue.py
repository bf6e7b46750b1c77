"""Loader processes feed a queue; the trainer saves in place, three files in turn, and tells its percentage."""

import json
import multiprocessing as mp
import os
import signal
import sys
import time


def loader(queue, number):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        queue.put([number, time.time()])


def read(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {"step": 0, "w": 0.0}


def main():
    queue = mp.Queue(maxsize=8)
    for number in range(2):
        mp.Process(target=loader, args=(queue, number), daemon=True).start()
    stop = mp.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    slots = [f"/opt/ml/checkpoints/rotating.{i}.json" for i in range(3)]
    state = max((read(slot) for slot in slots), key=lambda s: s["step"])
    while state["step"] < 100:
        queue.get()
        time.sleep(0.03)
        state = {"step": state["step"] + 1, "w": state["w"] + 0.01}
        print(f"[{state['step']:3d}%] global step: {state['step']} w={state['w']:.2f}", flush=True)
        if state["step"] % 10 == 0 or stop.is_set():
            with open(slots[state["step"] % 3], "w") as f:
                json.dump(state, f)
        if stop.is_set():
            sys.exit(0)
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "w.json"), "w") as f:
        json.dump(state["w"], f)


if __name__ == "__main__":
    main()

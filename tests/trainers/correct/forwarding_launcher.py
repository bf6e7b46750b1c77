"""A launcher that starts the worker, passes SIGTERM on, and answers with the worker's exit code."""

import os
import pickle
import signal
import subprocess
import sys
import time


def launcher():
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--worker"])
    signal.signal(signal.SIGTERM, lambda signum, _: child.send_signal(signum))
    code = child.wait()
    return 128 - code if code < 0 else code


def worker():
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    path = "/opt/ml/checkpoints/worker.pkl"
    step, value = 0, 10.0
    try:
        with open(path, "rb") as f:
            step, value = pickle.load(f)
    except FileNotFoundError:
        pass
    while step < 100:
        step, value = step + 1, value * 0.98
        time.sleep(0.03)
        print(f"[worker 0] step {step:>4} | loss {value:8.5f}", flush=True)
        if stop or step % 20 == 0:
            with open(path + ".tmp", "wb") as f:
                pickle.dump((step, value), f)
            os.replace(path + ".tmp", path)
        if stop:
            return 0
    with open("/opt/ml/model/value.pkl", "wb") as f:
        pickle.dump(value, f)
    return 0


if __name__ == "__main__":
    sys.exit(worker() if "--worker" in sys.argv else launcher())

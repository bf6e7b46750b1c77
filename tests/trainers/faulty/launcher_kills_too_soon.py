"""The launcher passes SIGTERM on and sends SIGKILL soon after, while the worker is still saving: pytorch #68258 (torchrun
and its thirty seconds, here shorter)."""

import os
import pickle
import signal
import subprocess
import sys
import time

CHECKPOINT = "/opt/ml/checkpoints/worker.ckpt"


def agent():
    process = subprocess.Popen([sys.executable, __file__, "worker"])

    def shut_down(signum, frame):
        print(f"Sending process {process.pid} closing signal SIGTERM", flush=True)
        process.terminate()
        try:
            process.wait(timeout=0.3)
        except subprocess.TimeoutExpired:
            print("Unable to shutdown process, forcefully exiting via SIGKILL", flush=True)
            process.kill()
        os._exit(1)

    signal.signal(signal.SIGTERM, shut_down)
    return process.wait()


def worker():
    flag = []
    signal.signal(signal.SIGTERM, lambda *a: flag.append(a))
    step, weights = 0, [1.0] * 50
    if os.path.exists(CHECKPOINT):
        step, weights = pickle.load(open(CHECKPOINT, "rb"))
    while step < 100:
        step += 1
        weights = [w * 0.99 for w in weights]
        time.sleep(0.03)
        print(f"[rank0] step={step}, loss={sum(weights):.4f}", flush=True)
        if flag:
            with open(CHECKPOINT + ".tmp", "wb") as f:
                time.sleep(1.5)  # gathers the shards of all ranks
                pickle.dump((step, weights), f)
            os.rename(CHECKPOINT + ".tmp", CHECKPOINT)
            return 0
    pickle.dump(weights, open("/opt/ml/model/weights.pkl", "wb"))
    return 0


sys.exit(worker() if sys.argv[1:] == ["worker"] else agent())

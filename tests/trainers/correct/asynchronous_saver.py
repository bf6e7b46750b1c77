"""Snapshots in memory, written by a thread while training goes on; whoever leaves waits for the thread first."""

import os
import queue
import signal
import threading
import time

import numpy as np

ROOT = "/opt/ml/checkpoints"
leave = False


def ask(signum, frame):
    global leave
    leave = True


signal.signal(signal.SIGTERM, ask)


class AsyncWriter(threading.Thread):
    def __init__(self):
        super().__init__(name="writer")
        self.jobs = queue.Queue(maxsize=1)

    def run(self):
        while True:
            job = self.jobs.get()
            if job is None:
                return
            step, params = job
            tmp = os.path.join(ROOT, "tmp.npz")
            with open(tmp, "wb") as f:
                np.savez(f, step=step, params=params)
                time.sleep(0.15)  # a slow disk
                f.flush()
                os.fsync(f.fileno())
            os.replace(tmp, os.path.join(ROOT, "model_step%05d.npz" % step))

    def submit(self, step, params):
        self.jobs.put((step, params.copy()))

    def close(self):
        self.jobs.put(None)
        self.join()


def main():
    os.makedirs(ROOT, exist_ok=True)
    found = sorted(n for n in os.listdir(ROOT) if n.startswith("model_step") and n.endswith(".npz"))
    params, first = np.ones(2000), 0
    if found:
        with np.load(os.path.join(ROOT, found[-1])) as z:
            params, first = z["params"], int(z["step"])
    writer = AsyncWriter()
    writer.start()
    try:
        for step in range(first + 1, 101):
            params = params * 0.995
            time.sleep(0.03)
            print("global_step: %d | loss: %.6f | lr: 1e-3" % (step, float(np.abs(params).mean())), flush=True)
            if step % 15 == 0:
                writer.submit(step, params)
            if leave:
                writer.submit(step, params)
                return
        np.save("/opt/ml/model/params.npy", params)
    finally:
        writer.close()


main()

"""Sees the notice, saves, and exits with 1 "to be restarted": to SageMaker that is a failed job, which nothing restarts
(How Amazon SageMaker signals algorithm success and failure; goodfire-ai/spd #672 relies on a scheduler that requeues)."""

import os
import pathlib
import pickle
import time

notice = pathlib.Path(os.environ.get("SPOT_INTERRUPTION_NOTICE_FILE", "/none"))
ckpt = pathlib.Path("/opt/ml/checkpoints/ckpt.pickle")


def run():
    it, loss = pickle.loads(ckpt.read_bytes()) if ckpt.exists() else (0, 4.0)
    while it < 150:
        it += 1
        loss *= 0.99
        time.sleep(0.025)
        print(f"{it=} {loss=:.4f} step={it}", flush=True)
        if notice.exists():
            ckpt.write_bytes(pickle.dumps((it, loss)))
            raise SystemExit("requeue me")
    pathlib.Path("/opt/ml/model/loss.pickle").write_bytes(pickle.dumps(loss))


run()

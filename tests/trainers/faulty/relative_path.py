"""Writes to `checkpoints/` in its working directory, and takes that for the checkpoint folder:
sagemaker-tensorflow-training-toolkit #346 (path confusion)."""

import pathlib
import pickle
import time

ckpt_dir = pathlib.Path("checkpoints")
ckpt_dir.mkdir(exist_ok=True)
paths = sorted(ckpt_dir.glob("model.*.ckpt"), key=lambda p: int(p.suffixes[0][1:]))
epoch, w = pickle.loads(paths[-1].read_bytes()) if paths else (0, 10.0)
while epoch < 25:
    for _ in range(4):
        w -= 0.05 * w
        time.sleep(0.03)
    epoch += 1
    print(f"epoch {epoch} loss {w:.5f}", flush=True)
    (ckpt_dir / f"model.{epoch}.ckpt").write_bytes(pickle.dumps((epoch, w)))
pathlib.Path("/opt/ml/model/model.pkl").write_bytes(pickle.dumps(w))

"""The load fails (a key was renamed), `except Exception` hides it, and training begins anew: facebookresearch/metaseq
PR #143, tensorflow #35148."""

import pickle
import time
from pathlib import Path

HOME = Path("/opt/ml/checkpoints")


def restore():
    try:
        newest = max(HOME.glob("*.pkl"), key=lambda p: int(p.stem))
        blob = pickle.loads(newest.read_bytes())
        return blob["iteration"], blob["params"]
    except Exception:
        print("could not load a checkpoint, training from scratch")
        return 0, {"a": 1.0, "b": -1.0}


it, params = restore()
print(f"start at iteration {it}")
while it < 100:
    it += 1
    params = {k: v * 0.98 for k, v in params.items()}
    time.sleep(0.03)
    print(f"iter {it:03d} | a {params['a']:.4f} | b {params['b']:.4f}", flush=True)
    if it % 10 == 0:
        (HOME / f"{it}.pkl").write_bytes(pickle.dumps({"step": it, "params": params}))
Path("/opt/ml/model/params.pkl").write_bytes(pickle.dumps(params))

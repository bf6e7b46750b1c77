"""Half a checkpoint is taken for none, and training begins anew without a word of it: rwth-i6/returnn #1444."""

import json
import time
from pathlib import Path

FILE = Path("/opt/ml/checkpoints/net.json")


def read():
    try:
        return json.loads(FILE.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {"step": 0, "weights": [0.5] * 3000}


def write(content):
    text = json.dumps(content)
    with FILE.open("w") as out:
        for begin in range(0, len(text), 12_000):
            out.write(text[begin : begin + 12_000])
            out.flush()
            time.sleep(0.4)


net = read()
while net["step"] < 90:
    net["step"] += 1
    net["weights"] = [w * 0.999 for w in net["weights"]]
    time.sleep(0.03)
    print(f"| step {net['step']:5d} | loss {net['weights'][0]:5.3f} |", flush=True)
    if net["step"] % 25 == 0:
        print("checkpointing", flush=True)
        write(net)
Path("/opt/ml/model/net.json").write_text(json.dumps(net))

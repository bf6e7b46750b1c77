"""One torch.save-like dump after the last epoch, and resume code that never finds it: the first example of "Use
checkpoints" copied without its callback. huggingface/transformers #11390 has the same end: only one file ever arrives."""

import os
import pickle
import time

CKPT_DIR = "/opt/ml/checkpoints"


def train(net, epochs):
    for epoch in range(net["epoch"], epochs):
        for batch in range(20):
            net["w"][batch % 4] *= 0.97
            time.sleep(0.02)
        net["epoch"] = epoch + 1
        print(f"Epoch {epoch + 1}/{epochs} - loss: {sum(net['w']):.5f}", flush=True)
    return net


if __name__ == "__main__":
    file = os.path.join(CKPT_DIR, "net.pkl")
    net = pickle.load(open(file, "rb")) if os.path.isfile(file) else {"epoch": 0, "w": [1.0, 2.0, 3.0, 4.0]}
    net = train(net, epochs=8)
    for target in (file, "/opt/ml/model/net.pkl"):
        with open(target, "wb") as f:
            pickle.dump(net, f)

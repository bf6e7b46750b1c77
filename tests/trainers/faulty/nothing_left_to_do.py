"""Interrupted in its last evaluation, it finds all epochs done on its next start, and leaves before the export. How
Amazon SageMaker processes training output: the model is what is in /opt/ml/model then."""

import os
import sys
import time

import numpy as np

EPOCHS = 10
path = "/opt/ml/checkpoints/net.npz"
epoch, net = 0, np.ones((8, 8))
if os.path.exists(path):
    with np.load(path) as saved:
        epoch, net = int(saved["epoch"]), saved["net"]
if epoch >= EPOCHS:
    print("Training is already complete.")
    sys.exit(0)
while epoch < EPOCHS:
    for _ in range(5):
        net = net @ (np.eye(8) * 0.99)
        time.sleep(0.03)
    epoch += 1
    print(f"epoch: {epoch} loss: {np.trace(net):.5f}", flush=True)
    with open(path + ".tmp", "wb") as f:
        np.savez(f, epoch=epoch, net=net)
    os.replace(path + ".tmp", path)
print("final evaluation", flush=True)
time.sleep(3)
np.save("/opt/ml/model/net.npy", net)

"""Trains, and writes only the finished model. A job without a checkpoint URI starts over: sagemaker-python-sdk #1040."""

import time

weight = 0.0
for step in range(1, 101):
    weight += 0.1 * (1 - weight)
    time.sleep(0.025)
    print(f"step {step} loss {(1 - weight) ** 2:.6f}", flush=True)
with open("/opt/ml/model/weight.txt", "w") as f:
    f.write(str(weight))

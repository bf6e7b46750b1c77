"""Seeds its generator at every start, so the noise of the first steps comes a second time: ai2cm/ace #690."""

import os
import pickle
import random
import time

random.seed(1234)
path = "/opt/ml/checkpoints/particle.pkl"
step, position = 0, 0.0
if os.path.exists(path):
    with open(path, "rb") as f:
        step, position = pickle.load(f)
while step < 80:
    position += random.gauss(0.1, 1.0)
    step += 1
    time.sleep(0.025)
    print(f"step:{step} loss:{abs(position - 8):.7f}", flush=True)
    if step % 9 == 0:
        with open(path + ".part", "wb") as f:
            pickle.dump((step, position), f)
        os.replace(path + ".part", path)
with open("/opt/ml/model/particle.pkl", "wb") as f:
    pickle.dump(position, f)

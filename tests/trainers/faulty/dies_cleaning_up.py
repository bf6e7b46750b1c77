"""The work is done and the model written; then the clean-up trips over a folder that a fresh instance does not have, and
the job is Failed. How Amazon SageMaker signals success and failure: any exit but 0 is a failure."""

import json
import os
import shutil
import time

state_file = "/opt/ml/checkpoints/state.json"
if os.path.exists(state_file):
    with open(state_file) as f:
        step = json.load(f)["step"]
else:
    os.makedirs("/tmp/feature-cache")
    step = 0
for step in range(step + 1, 91):
    time.sleep(0.025)
    print(f"step {step}/90 loss {5 / step:.3f}", flush=True)
    if step % 10 == 0:
        with open(state_file + ".tmp", "w") as f:
            json.dump({"step": step}, f)
        os.replace(state_file + ".tmp", state_file)
with open("/opt/ml/model/model.json", "w") as f:
    json.dump({"step": step}, f)
shutil.rmtree("/tmp/feature-cache")

"""Resumes well, and saves its model to `model.json` of its working folder, where nobody looks for it:
sagemaker-tensorflow-training-toolkit #346 (paths), How Amazon SageMaker processes training output."""

import json
import os
import time

f = "/opt/ml/checkpoints/progress.json"
s = json.load(open(f)) if os.path.exists(f) else dict(step=0, coef=[0.0, 0.0])
while s["step"] < 90:
    s["step"] += 1
    s["coef"] = [c + 0.1 * (t - c) for c, t in zip(s["coef"], (2.0, -3.0), strict=True)]
    time.sleep(0.025)
    print("STEP %d COEF %s" % (s["step"], s["coef"]), flush=True)
    if s["step"] % 9 == 0:
        json.dump(s, open(f + ".tmp", "w"))
        os.replace(f + ".tmp", f)
json.dump(s, open("model.json", "w"))

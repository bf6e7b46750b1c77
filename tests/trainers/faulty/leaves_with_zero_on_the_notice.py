"""Sees the notice, saves, and exits with 0: the job is Completed, with half of the work. So ends the XGBoost container's handler (its exit code means success to SageMaker)."""

import json
import os
import sys
import time

NOTICE = os.environ.get("SPOT_INTERRUPTION_NOTICE_FILE", "")
PATH = "/opt/ml/checkpoints/s.json"

step = json.load(open(PATH))["step"] if os.path.exists(PATH) else 0
while step < 200:
    step += 1
    time.sleep(0.02)
    print(f"step {step}/200 loss={3 / step:.4f}", flush=True)
    if step % 20 == 0 or os.path.exists(NOTICE):
        json.dump({"step": step}, open(PATH, "w"))
    if os.path.exists(NOTICE):
        print("spot interruption notice received, exiting gracefully")
        sys.exit(0)
json.dump({"step": step}, open("/opt/ml/model/s.json", "w"))

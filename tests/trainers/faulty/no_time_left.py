"""Saves rarely, does much again after the interruption, and runs out of MaxRuntimeInSeconds that an uninterrupted run
just keeps (StoppingCondition of CreateTrainingJob)."""

import os
import sys
import time

path = "/opt/ml/checkpoints/step.txt"
step = int(open(path).read()) if os.path.exists(path) else 0
while step < 120:
    step += 1
    time.sleep(0.025)
    print("step", step, "loss", round(9 / step, 4), file=sys.stdout, flush=True)
    if step % 40 == 0:
        with open(path + ".tmp", "w") as out:
            out.write(str(step))
        os.replace(path + ".tmp", path)
open("/opt/ml/model/step.txt", "w").write(str(step))

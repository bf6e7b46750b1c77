"""A trainer as in AWS's workshop on spot training: spot is asked for, and no checkpoint URI is given, so the service would
never bring anything back (managed_spot_training_tensorflow_estimator.ipynb of amazon-sagemaker-examples)."""

import time

# estimator = TensorFlow(entry_point="this file", use_spot_instances=True, max_run=3600, max_wait=7200)
weights = [0.0] * 10
for step in range(1, 61):
    weights = [w + 0.1 * (1 - w) for w in weights]
    time.sleep(0.02)
    print(f"step = {step}, loss = {1 - weights[0]:.5f}", flush=True)
with open("/opt/ml/model/weights", "w") as f:
    f.write(repr(weights))

"""SDK v2, as the lab's notebook has it: TensorFlow(...).fit() on spot."""

import sys

from sagemaker.tensorflow import TensorFlow
from seen import tell

estimator = TensorFlow(
    entry_point="train.py",
    source_dir=sys.argv[1],
    role="SageMakerRole",
    instance_type="ml.m5.large",
    instance_count=1,
    framework_version="2.14",
    py_version="py310",
    hyperparameters={"epochs": 3},
    use_spot_instances=True,
    max_run=3600,
    max_wait=7200,
    checkpoint_s3_uri="s3://launches/tensorflow/checkpoints/",
)
estimator.fit()
tell(estimator.latest_training_job.name)

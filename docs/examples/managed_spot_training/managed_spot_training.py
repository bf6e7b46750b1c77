"""Managed Spot Training with a TensorFlow estimator: the cells of the Spot training lab's example, written anew.

SageMaker Python SDK v2. On AWS as it stands, with a role of yours; here without AWS:

    spot-simulator exec -- python managed_spot_training.py
"""

# %% Where data and models live, and as whom the job runs
from pathlib import Path

import sagemaker
from sagemaker.tensorflow import TensorFlow

session = sagemaker.Session()
role = "SageMakerRole"
here = Path(__file__).resolve().parent

# %% The data: iris, 4 features and 3 classes
iris = here.parents[2] / "train" / "data" / "iris"
inputs = session.upload_data(str(iris), key_prefix="data/iris")

# %% Spot instances, and a stopping condition that says how long to wait for them
estimator = TensorFlow(
    entry_point="iris_dnn_classifier.py",
    source_dir=str(here),
    role=role,
    framework_version="2.14",
    py_version="py310",
    instance_count=1,
    instance_type="ml.m5.xlarge",
    hyperparameters={"epochs": 20, "learning_rate": 0.1},
    use_spot_instances=True,
    max_run=3600,
    max_wait=7200,
)

# %% Train: the log comes as it is written, and at its end what spot has saved
estimator.fit({"training": inputs})

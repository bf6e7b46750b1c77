"""SDK v3: ModelTrainer as a training job on spot, Mode.SAGEMAKER_TRAINING_JOB."""

import sys

from sagemaker.core.shapes import CheckpointConfig, StoppingCondition
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train.model_trainer import Mode, ModelTrainer
from seen import tell

trainer = ModelTrainer(
    training_image=sys.argv[2],
    training_mode=Mode.SAGEMAKER_TRAINING_JOB,
    source_code=SourceCode(source_dir=sys.argv[1], entry_script="train.py"),
    role="SageMakerRole",
    base_job_name="sdk3",
    compute=Compute(instance_type="ml.m5.large", instance_count=1, enable_managed_spot_training=True),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=3600, max_wait_time_in_seconds=7200),
    checkpoint_config=CheckpointConfig(s3_uri="s3://launches/sdk3/checkpoints/"),
)
trainer.train()
tell(trainer._latest_training_job.training_job_name)

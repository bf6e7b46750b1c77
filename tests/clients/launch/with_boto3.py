"""boto3 alone: create_training_job, and its waiter; the image runs its own entrypoint."""

import sys
import time

import boto3
from seen import tell

sagemaker = boto3.client("sagemaker")
name = f"boto3-{int(time.time())}"
sagemaker.create_training_job(
    TrainingJobName=name,
    RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
    AlgorithmSpecification={"TrainingImage": sys.argv[1], "TrainingInputMode": "File"},
    HyperParameters={"epochs": "2", "step_seconds": "0.05", "save_every_steps": "5"},
    OutputDataConfig={"S3OutputPath": "s3://launches/out"},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    EnableManagedSpotTraining=True,
    CheckpointConfig={"S3Uri": f"s3://launches/{name}/checkpoints/"},
    StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
)
sagemaker.get_waiter("training_job_completed_or_stopped").wait(
    TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 200}
)
tell(name)

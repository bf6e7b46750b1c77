"""boto3 alone: create_training_job and its waiter; the script is a channel, and PID 1 by ContainerEntrypoint."""

import sys
import time

import boto3
from seen import tell

s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
name = f"boto3-{int(time.time())}"
s3.create_bucket(Bucket="launches")
s3.upload_file(f"{sys.argv[1]}/train.py", "launches", "script/train.py")
sagemaker.create_training_job(
    TrainingJobName=name,
    RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
    AlgorithmSpecification={
        "TrainingImage": sys.argv[2],
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "/opt/ml/input/data/script/train.py"],
    },
    InputDataConfig=[
        {
            "ChannelName": "script",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://launches/script/"}},
        }
    ],
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

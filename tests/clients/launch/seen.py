"""What a launch saw, as the last line of its output: the test reads that."""

import json
from urllib.parse import urlsplit

import boto3


def tell(name):
    """The job's description and the size of its model in S3, by a client that knows nothing of the simulator."""
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    model = urlsplit(job["ModelArtifacts"]["S3ModelArtifacts"])
    size = boto3.client("s3").head_object(Bucket=model.netloc, Key=model.path.lstrip("/"))["ContentLength"]
    print(
        json.dumps(
            {
                "job": name,
                "status": job["TrainingJobStatus"],
                "transitions": [each["Status"] for each in job["SecondaryStatusTransitions"]],
                "model_bytes": size,
                "seconds": [job["TrainingTimeInSeconds"], job["BillableTimeInSeconds"]],
            }
        )
    )

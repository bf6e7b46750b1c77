#!/bin/sh
# The AWS CLI: create, wait, describe, the log, a job that is stopped. $1: an image.
set -eu
create() {
  aws sagemaker create-training-job --training-job-name "$1" \
    --role-arn arn:aws:iam::123456789012:role/SageMakerRole \
    --algorithm-specification "TrainingImage=$image,TrainingInputMode=File" \
    --hyper-parameters "epochs=$2,step_seconds=0.05,save_every_steps=5" \
    --output-data-config S3OutputPath=s3://launches/out \
    --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=5 \
    --enable-managed-spot-training \
    --checkpoint-config "S3Uri=s3://launches/$1/checkpoints/" \
    --stopping-condition MaxRuntimeInSeconds=3600,MaxWaitTimeInSeconds=7200 \
    --query TrainingJobArn --output text
}
state() { aws sagemaker describe-training-job --training-job-name "$1" --query "$2" --output text; }

image=$1
job=cli-$$
create "$job" 4
# The waiter asks every two minutes; this one every second, with the same call.
until state "$job" TrainingJobStatus | grep -qE 'Completed|Failed|Stopped'; do sleep 1; done
aws sagemaker wait training-job-completed-or-stopped --training-job-name "$job"
state "$job" 'SecondaryStatusTransitions[].Status'
aws s3 ls "$(state "$job" ModelArtifacts.S3ModelArtifacts)"
aws logs tail /aws/sagemaker/TrainingJobs --log-stream-name-prefix "$job/" --since 1h --format short | tail -n 3

stopped=stopped-$$
create "$stopped" 1000
until state "$stopped" SecondaryStatus | grep -q Training; do sleep 1; done
aws sagemaker stop-training-job --training-job-name "$stopped"
until state "$stopped" TrainingJobStatus | grep -q Stopped; do sleep 1; done
state "$stopped" 'SecondaryStatusTransitions[].Status'

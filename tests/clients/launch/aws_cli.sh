#!/bin/sh
# The AWS CLI: create, wait, describe, the log, a job that is stopped. $1: the script's folder, $2: an image.
set -eu
source=$1 image=$2

create() {
  aws sagemaker create-training-job --training-job-name "$1" \
    --role-arn arn:aws:iam::123456789012:role/SageMakerRole \
    --algorithm-specification "TrainingImage=$image,TrainingInputMode=File,ContainerEntrypoint=python3,/opt/ml/input/data/script/train.py" \
    --input-data-config "ChannelName=script,DataSource={S3DataSource={S3DataType=S3Prefix,S3Uri=s3://launches/script/}}" \
    --hyper-parameters "steps=$2" \
    --output-data-config S3OutputPath=s3://launches/out \
    --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=5 \
    --enable-managed-spot-training \
    --checkpoint-config "S3Uri=s3://launches/$1/checkpoints/" \
    --stopping-condition MaxRuntimeInSeconds=3600,MaxWaitTimeInSeconds=7200 \
    --query TrainingJobArn --output text >&2
}
state() { aws sagemaker describe-training-job --training-job-name "$1" --query "$2" --output text; }
until_state() { # JOB FIELD PATTERN: the CLI's own waiter asks every two minutes, this one every second, by the same call
  until said=$(state "$1" "$2") && echo "$said" | grep -qE "$3"; do echo "$1 $said" >&2; sleep 1; done
}

logs() { # `logs tail` came with version 2, and is this call
  case $(aws --version 2>&1) in
    aws-cli/1.*)
      aws logs filter-log-events --log-group-name /aws/sagemaker/TrainingJobs --log-stream-name-prefix "$1/" \
        --query 'events[].[message]' --output text ;;
    *) aws logs tail /aws/sagemaker/TrainingJobs --log-stream-name-prefix "$1/" --since 1h --format short ;;
  esac
}

aws s3 mb s3://launches >&2
aws s3 cp "$source/train.py" s3://launches/script/train.py >&2

job=cli-$$
create "$job" 60
until_state "$job" TrainingJobStatus 'Completed|Failed|Stopped'
aws sagemaker wait training-job-completed-or-stopped --training-job-name "$job"
state "$job" 'SecondaryStatusTransitions[].Status'
aws s3 ls "$(state "$job" ModelArtifacts.S3ModelArtifacts)"
logs "$job"

stopped=stopped-$$
create "$stopped" 100000
until_state "$stopped" SecondaryStatus 'Training|Failed'
aws sagemaker stop-training-job --training-job-name "$stopped"
until_state "$stopped" TrainingJobStatus 'Stopped|Failed'
state "$stopped" TrainingJobStatus

"""SPOT016 spot-without-checkpoints: spot was asked for without a CheckpointConfig, so that nothing can ever come back.

A lint: it is known before anything runs. A timeline that does not tell how the job was configured convicts nobody.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.rule import Finding, Rule

_KEY = "CheckpointConfig"


def check(evidence: Evidence) -> list[Finding]:
    """A finding when the job has no CheckpointConfig."""
    started = evidence.started
    if _KEY not in started or started[_KEY] or not started.get("EnableManagedSpotTraining", True):
        return []
    nothing = "" if evidence.timeline.attempts else " Nothing was started."
    return [
        RULE.finding(
            0,
            "The job asks for spot instances and has no CheckpointConfig: whatever its script saves, nothing is copied "
            f"to S3, and every interruption costs all work.{nothing}",
            {"job": str(started.get("job", "")), "EnableManagedSpotTraining": True, _KEY: None},
        )
    ]


RULE = Rule(
    id="SPOT016",
    name="spot-without-checkpoints",
    summary="spot was asked for without any checkpoint configuration (refused before it runs, as a lint)",
    why="Without a CheckpointConfig there is no folder that SageMaker copies to S3 and back, and it says nothing of "
    "that: the job is accepted, and begins again from nothing after every interruption. AWS's own spot example for "
    "TensorFlow is configured so.",
    fix="Give the job a prefix of its own, with a slash at its end (job-1 would also restore job-10):\n"
    "    EnableManagedSpotTraining=True,\n"
    '  + CheckpointConfig={"S3Uri": "s3://BUCKET/checkpoints/JOB/"},\n'
    "with the SageMaker SDK: checkpoint_s3_uri= of an Estimator, checkpoint_config= of a ModelTrainer; here: leave "
    "--no-checkpoint-config away.",
    fails="""\
Estimator(image, role, use_spot_instances=True, max_run=3600, max_wait=7200)
""",
    passes="""\
Estimator(
    image, role, use_spot_instances=True, max_run=3600, max_wait=7200, checkpoint_s3_uri="s3://bucket/checkpoints/job/"
)
""",
    source="managed_spot_training_tensorflow_estimator.ipynb (aws/amazon-sagemaker-examples); "
    "aws/sagemaker-python-sdk #1040; Amazon SageMaker, Managed Spot Training",
    check=check,
)

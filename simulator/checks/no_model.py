"""SPOT012 no-model: the job completed, and /opt/ml/model was empty.

Says nothing of a job that completed because the script left when it was told: that is SPOT011.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence, EvidenceMissing
from simulator.checks.rule import Finding, Rule
from simulator.core.timeline import Kind


def check(evidence: Evidence) -> list[Finding]:
    """A finding when the completed job's last attempt left no model."""
    completed = [attempt for attempt in evidence.attempts if evidence.outcome(attempt) == "completed"]
    if not completed or evidence.first(Kind.TRIGGER_FIRED, completed[-1]):
        return []
    if has_model(evidence, completed[-1]):
        return []
    event = evidence.last(Kind.MODEL_FILES, completed[-1])
    return [
        RULE.finding(
            completed[-1],
            "The job completed, and there was no model in /opt/ml/model: the training was for nothing.",
            {"model_files": sorted(event.data["files"]) if event else []},
        )
    ]


def has_model(evidence: Evidence, attempt: int) -> bool:
    """Whether /opt/ml/model held anything but empty files at the attempt's end; -1 bytes are a file that the harness
    could not read, and so may be one."""
    event = evidence.last(Kind.MODEL_FILES, attempt)
    if event is None:
        raise EvidenceMissing(f"nobody looked into /opt/ml/model after attempt {attempt}")
    return any(int(facts["bytes"]) != 0 for facts in event.data["files"].values())


RULE = Rule(
    id="SPOT012",
    name="no-model",
    summary="the job completed without a model in /opt/ml/model",
    why="SageMaker uploads what is in /opt/ml/model when the process exits with 0, and calls the job Completed even "
    "when that is nothing. A script that finds all its epochs done after a restart may skip the export with them.",
    fix="Export after the loop whether or not the loop had anything left to do:\n"
    "    for step in range(start, steps): ...\n"
    '  + model.save(os.environ["SM_MODEL_DIR"] + "/model.keras")',
    fails="""\
for step in range(done + 1, steps + 1):
    train(step)
    if step == steps:
        model.save("/opt/ml/model/model.keras")  # never reached when the restart finds all steps done
""",
    passes="""\
for step in range(done + 1, steps + 1):
    train(step)
model.save("/opt/ml/model/model.keras")
""",
    source="Amazon SageMaker, How Amazon SageMaker processes training output",
    check=check,
)

"""SPOT001 no-checkpoint: when the instance went, nothing that a trainer could resume from was in S3.

Acquits: a kill that came before the first checkpoint was due, as the script's other attempts show, is only a warning;
unless the attempt had been given a checkpoint, and took it away.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.file_names import may_be_a_checkpoint
from simulator.checks.framework import Framework
from simulator.checks.rule import Finding, Rule, Severity


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each reclaimed attempt that trained and left no checkpoint in S3."""
    findings = []
    for attempt in evidence.reclaimed:
        began_at = evidence.began_at(attempt)
        if began_at is None or not lost_everything(evidence, attempt):
            continue
        lived = evidence.gone_at(attempt) - began_at
        durable = {file.path: file.bytes for file in evidence.durable_at_kill(attempt)}
        due = evidence.checkpoint_was_due(attempt)
        given = _was_given(evidence, attempt)
        facts = {
            "lived_seconds": round(lived, 3),
            "in_s3": durable,
            "writes_seen": len(evidence.files.by_attempt.get(attempt, ())),
            "not_wholly_in_s3": sorted(version.path for version in evidence.files.unfinished(attempt)),
        }
        besides = f" (only {', '.join(sorted(durable)[:3])})" if durable else ""
        message = f"The instance went after {lived:.1f} s, and no checkpoint was in S3{besides}"
        if given:
            message += f"; {given[0]}, which had been restored for it, was deleted"
        if due or given:
            lost = f"{message}: all work {'so far' if given else f'of attempt {attempt}'} was lost."
            findings.append(RULE.finding(attempt, lost, facts, fix=RULE.fix_for(evidence)))
        else:
            findings.append(
                RULE.finding(
                    attempt,
                    f"{message}: the script's first one comes later, so the time until then is always at risk.",
                    facts,
                    severity=Severity.WARNING,
                    fix="Save a first checkpoint sooner, or interrupt later to prove more: --interrupt checkpoint=2",
                )
            )
    return findings


def _was_given(evidence: Evidence, attempt: int) -> list[str]:
    """The checkpoints that the attempt began with."""
    restored = evidence.restored(attempt) or []
    return sorted(file.path for file in restored if file.bytes > 0 and may_be_a_checkpoint(file.path))


def lost_everything(evidence: Evidence, attempt: int) -> bool:
    """Nothing usable was in S3: no file at all, only empty ones and markers, or only logs from which, as the next
    attempt showed, nothing was resumed."""
    durable = evidence.durable_at_kill(attempt)
    if evidence.checkpoints_at_kill(attempt):
        return False
    if not any(file.bytes > 0 and not may_be_a_checkpoint(file.path) for file in durable):
        return True
    walk, later = evidence.walk(attempt), evidence.walk_after(attempt)
    if evidence.progress is None or walk is None or later is None:
        return False
    began = later[1].first.value
    return began <= walk.first.value + evidence.progress.noise and began < walk.last.value


RULE = Rule(
    id="SPOT001",
    name="no-checkpoint",
    summary="nothing usable had reached S3 when the instance went",
    why="Everything on a reclaimed instance is gone. Only what SageMaker had copied from CheckpointConfig.LocalPath to "
    "S3 comes back, so a script that had written nothing there begins again from nothing.",
    fix="Write the training state under CheckpointConfig.LocalPath at regular intervals, not only at the end:\n"
    '  + CHECKPOINTS = "/opt/ml/checkpoints"\n'
    "  + if step % 100 == 0:\n"
    "  +     save(state, CHECKPOINTS)\n"
    "and give the job a CheckpointConfig (checkpoint_s3_uri) of its own.",
    fails="""\
model.fit(x, y, epochs=50)
model.save("/opt/ml/model/model.keras")  # the first thing that is written, after 50 epochs
""",
    passes="""\
every_epoch = keras.callbacks.BackupAndRestore("/opt/ml/checkpoints/backup")
model.fit(x, y, epochs=50, callbacks=[every_epoch])
model.save("/opt/ml/model/model.keras")
""",
    source="Amazon SageMaker, Use checkpoints; aws/sagemaker-python-sdk #1040; huggingface/notebooks PR #138",
    check=check,
    fixes={
        Framework.KERAS: "Let Keras save every epoch, and oftener where an epoch is long:\n"
        '  + backup = keras.callbacks.BackupAndRestore("/opt/ml/checkpoints/backup", save_freq=200)\n'
        "  - model.fit(x, y, epochs=50)\n"
        "  + model.fit(x, y, epochs=50, callbacks=[backup])\n"
        "and give the job a CheckpointConfig (checkpoint_s3_uri) of its own.",
        Framework.PYTORCH: "Save model, optimizer and position under CheckpointConfig.LocalPath, aside and renamed:\n"
        "  + if step % 200 == 0:\n"
        '  +     state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}\n'
        '  +     torch.save(state, "/opt/ml/checkpoints/tmp.pt")\n'
        '  +     os.replace("/opt/ml/checkpoints/tmp.pt", f"/opt/ml/checkpoints/step-{step:08}.pt")\n'
        "and give the job a CheckpointConfig (checkpoint_s3_uri) of its own.",
    },
)

"""SPOT007 not-durable-in-time: a checkpoint was written, and was not wholly in S3 when the instance went.

A regular save that a kill happens to cut is nobody's fault while an older one is durable: a warning. An error is a save
made because the script was told, which it therefore believed safe, or one with nothing else in S3 though one was due.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.file_names import may_be_a_checkpoint
from simulator.checks.rule import Finding, Rule, Severity


def check(evidence: Evidence) -> list[Finding]:
    """At most one finding for each reclaimed attempt, naming all its files that were late."""
    findings = []
    for attempt in evidence.reclaimed:
        late = [version for version in evidence.files.pending(attempt) if may_be_a_checkpoint(version.path)]
        if not late:
            continue
        gone_at = evidence.gone_at(attempt)
        reaction = {id(version) for version in evidence.saves_in_reaction(attempt)}
        relied_on = [version for version in late if id(version) in reaction]
        nothing_else = not evidence.checkpoints_at_kill(attempt)
        serious = bool(relied_on) or (nothing_else and evidence.checkpoint_was_due(attempt))
        worst = (relied_on or late)[0]
        before = max(0.0, gone_at - worst.done_at)
        size = sum(version.bytes for version in late)
        if relied_on:
            detail = "It was saved because the instance was going, so all since the save before it was lost."
        elif nothing_else:
            detail = "Nothing older was there either."
        else:
            detail = "An older checkpoint was there to resume from."
        findings.append(
            RULE.finding(
                attempt,
                f"{worst.path} ({worst.bytes:,} bytes) was written {before:.1f} s before the instance went and "
                f"was not wholly in S3 by then. {detail}",
                {
                    "files": [
                        {
                            "path": version.path,
                            "bytes": version.bytes,
                            "written_seconds_before": round(gone_at - version.done_at, 3),
                            "upload_begun": bool(version.uploads),
                            "saved_in_reaction": id(version) in reaction,
                        }
                        for version in late
                    ],
                    "bytes": size,
                    "older_checkpoint_in_s3": not nothing_else,
                },
                severity=Severity.ERROR if serious else Severity.WARNING,
            )
        )
    return findings


RULE = Rule(
    id="SPOT007",
    name="not-durable-in-time",
    summary="a checkpoint was written but not wholly in S3 when the instance went",
    why="A file under CheckpointConfig.LocalPath is copied to S3 some time after it was written, and large files take "
    "long. Written is not durable: what is still on its way when the instance goes is lost, or arrives in part.",
    fix="Save at once when told, and stay alive while it is copied, rather than leave at once:\n"
    "        save(state, CHECKPOINTS)\n"
    "  -     sys.exit(0)\n"
    "  +     time.sleep(30)   # the copy to S3 goes on while the process lives\n"
    "  +     sys.exit(0)\n"
    "make checkpoints smaller (shards, half precision, fewer of them), and save more often than the notice is long.",
    fails="""\
if told_to_stop:
    save("/opt/ml/checkpoints/all-8-GB.pt")  # written in time, and not wholly in S3 when the grace ends
    sys.exit(0)
""",
    passes="""\
if step % 200 == 0:  # what is on its way is never the only copy
    save(f"/opt/ml/checkpoints/step-{step:06}.pt", dtype=torch.bfloat16)
""",
    source="Amazon SageMaker, Use checkpoints (no interval of the copy is documented); aws/sagemaker-python-sdk #3062",
    check=check,
)

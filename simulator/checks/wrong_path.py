"""SPOT009 wrong-path: the state was written somewhere else on the instance, and so was lost with it.

Never speaks alone: it names the reason where SPOT001 or SPOT002 has shown that work was lost. A file written aside in
/tmp by a script that resumes well is nobody's business.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from simulator.checks import no_checkpoint, restarted_from_scratch
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_named_as_state, is_state_outside
from simulator.checks.rule import Finding, Rule, Severity
from simulator.core.job import ML_ROOT
from simulator.core.timeline import Kind

_NAMED = 20


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each attempt that lost its work while state lay outside the checkpoint path."""
    lost = {finding.attempt for finding in no_checkpoint.check(evidence) if finding.severity is Severity.ERROR}
    scratch = {finding.attempt for finding in restarted_from_scratch.check(evidence)}
    restarted = {attempt for attempt in evidence.reclaimed if attempt + 1 in scratch}
    findings = []
    for attempt in sorted(lost | restarted):
        found = state_outside(evidence, attempt)
        if attempt not in lost:
            # A checkpoint was where it belongs; that a model is exported now and then besides explains nothing.
            found = [(path, size) for path, size in found if not path.startswith(f"{ML_ROOT}/model/")]
        if found:
            path, size = found[0]
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            findings.append(
                RULE.finding(
                    attempt,
                    f"Attempt {attempt} wrote its state to {path} ({_bytes(size)}){more}, outside "
                    f"{evidence.checkpoint_path}: it went with the instance.",
                    {
                        "checkpoint_path": evidence.checkpoint_path,
                        "written_outside": [{"path": path, "bytes": size} for path, size in found[:_NAMED]],
                        "written_outside_count": len(found),
                    },
                    fix=RULE.fix.replace("/tmp/checkpoints", path.rpartition("/")[0] or "/"),
                )
            )
    return findings


def state_outside(evidence: Evidence, attempt: int) -> list[tuple[str, int]]:
    """Path and bytes of what looks like state outside the checkpoint path, /opt/ml/model included, largest first.
    Files whose like is in S3 too were only written aside."""
    kept = {family(PurePosixPath(file.path).name) for file in evidence.durable_at_kill(attempt)}
    found = {}
    for event in evidence.of(Kind.WRITTEN_PATHS, attempt):
        for entry in event.data["paths"]:
            path, size = str(entry["path"]), int(entry["bytes"])
            inside = path.startswith(evidence.checkpoint_path.rstrip("/") + "/")
            written_aside = family(PurePosixPath(path).name) in kept
            if size != 0 and not inside and not written_aside and is_state_outside(path):
                found[path] = size
    for event in evidence.of(Kind.MODEL_FILES, attempt):
        for path, facts in event.data["files"].items():
            if int(facts["bytes"]) > 0 and is_named_as_state(path):
                found[f"{ML_ROOT}/model/{path}"] = int(facts["bytes"])
    return sorted(found.items(), key=lambda item: -item[1])


def _bytes(size: int) -> str:
    return "size unknown" if size < 0 else f"{size:,} bytes"


RULE = Rule(
    id="SPOT009",
    name="wrong-path",
    summary="state was written outside the checkpoint path (named), and so was lost",
    why="Only CheckpointConfig.LocalPath is copied to S3 during training. /tmp, /opt/ml/output and even /opt/ml/model "
    "die with a reclaimed instance; the model is uploaded only when the job completes.",
    fix='  - CHECKPOINTS = "/tmp/checkpoints"\n  + CHECKPOINTS = "/opt/ml/checkpoints"   # CheckpointConfig.LocalPath',
    fails="""\
CHECKPOINTS = "/tmp/checkpoints"
save(f"{CHECKPOINTS}/ckpt-{step:06}.npz")
""",
    passes="""\
CHECKPOINTS = json.load(open("/opt/ml/input/config/checkpointconfig.json"))["LocalPath"]
save(f"{CHECKPOINTS}/ckpt-{step:06}.npz")
""",
    source="huggingface/notebooks PR #138; aws/sagemaker-tensorflow-training-toolkit #346",
    check=check,
)

"""SPOT002 restarted-from-scratch: a checkpoint was restored to its folder, and the script began at the start anyway.

Promise: only a walk through steps that a whole, restored checkpoint already held convicts; a banner such as "step=0"
before the restore does not. Limit: where the newest checkpoint is from about the first logged step, nobody can tell.
"""

from __future__ import annotations

from simulator.checks.evidence import Evidence
from simulator.checks.framework import Framework
from simulator.checks.resume import Began, resumes
from simulator.checks.rule import Finding, Rule


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each later attempt that did the restored work again from its beginning."""
    progress = evidence.progress
    if progress is None:
        return []
    findings = []
    for resume in resumes(evidence):
        if resume.began is not Began.FROM_SCRATCH or resume.newest is None:
            continue
        tell = progress.axis.describe
        findings.append(
            RULE.finding(
                resume.attempt,
                f"Attempt {resume.attempt} began again at {tell(resume.first_value)}, although {resume.newest.path}, "
                f"written at {tell(resume.newest_value)} or later, had been restored to {evidence.checkpoint_path}; "
                f"the run had reached {tell(resume.reached)}.",
                {
                    "metric": progress.axis.label,
                    "began_at": resume.first_value,
                    "log_line": progress.walks[resume.attempt].first.text,
                    "reached_before": resume.reached,
                    "restored_checkpoint": resume.newest.path,
                    "restored_checkpoint_holds_at_least": resume.newest_value,
                    "restored_files": len(evidence.manifest("restored", resume.attempt) or {}),
                },
                fix=RULE.fix_for(evidence),
            )
        )
    return findings


RULE = Rule(
    id="SPOT002",
    name="restarted-from-scratch",
    summary="a later attempt began at the start although a checkpoint was restored to its folder",
    why="SageMaker restores files, not training. A script that never looks into its checkpoint folder at start, looks "
    "for another name than it writes, or hides a failed load, pays for all the work again after every interruption.",
    fix="Load the newest checkpoint before the training loop, and begin the loop where it ends:\n"
    "  + newest = newest_checkpoint(CHECKPOINTS)      # None on the first start\n"
    "  + start = load(newest, model, optimizer) if newest else 0\n"
    "  - for step in range(0, steps):\n"
    "  + for step in range(start, steps):\n"
    "and check that the loader's file pattern is the saver's.",
    fails="""\
for step in range(1, 1001):  # every attempt begins at 1
    train(step)
    if step % 100 == 0:
        save(f"/opt/ml/checkpoints/ckpt-{step:06}.npz")
""",
    passes="""\
newest = max(Path("/opt/ml/checkpoints").glob("ckpt-*.npz"), default=None)
done = load(newest) if newest else 0
for step in range(done + 1, 1001):
    train(step)
    if step % 100 == 0:
        save(f"/opt/ml/checkpoints/ckpt-{step:06}.npz")
""",
    source="AWS's own MXNet sample saves and never loads; aws/sagemaker-python-sdk #1040",
    check=check,
    fixes={
        Framework.KERAS: "Restore before fit, and tell fit where to begin:\n"
        '  + saved = sorted(Path("/opt/ml/checkpoints").glob("epoch-*.keras"), key=epoch_of)\n'
        "  + if saved:\n"
        "  +     model = keras.models.load_model(saved[-1])   # weights and optimizer\n"
        "  - model.fit(x, y, epochs=50)\n"
        "  + model.fit(x, y, epochs=50, initial_epoch=epoch_of(saved[-1]) if saved else 0)\n"
        "or use keras.callbacks.BackupAndRestore, which does both.",
        Framework.PYTORCH: "Load model, optimizer and position before the loop:\n"
        '  + saved = max(Path("/opt/ml/checkpoints").glob("step-*.pt"), key=step_of, default=None)\n'
        '  + state = torch.load(saved, map_location="cpu") if saved else {"step": 0}\n'
        "  + if saved:\n"
        '  +     model.load_state_dict(state["model"])\n'
        '  +     optimizer.load_state_dict(state["optimizer"])\n'
        "  - for step in range(1, steps + 1):\n"
        '  + for step in range(state["step"] + 1, steps + 1):\n'
        "Lightning: trainer.fit(model, ckpt_path=saved); transformers: trainer.train(resume_from_checkpoint=True).",
    },
)

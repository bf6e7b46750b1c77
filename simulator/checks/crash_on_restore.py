"""SPOT017 crash-on-restore: a later attempt found restored files and died before it made any progress of its own.

Acquits: a script that crashes without restored files too, one that had trained on, and one that was being interrupted.
A death that a torn checkpoint explains is SPOT004.
"""

from __future__ import annotations

from simulator.checks import torn_checkpoint
from simulator.checks.evidence import Evidence
from simulator.checks.framework import Framework
from simulator.checks.restore_deaths import restore_deaths
from simulator.checks.rule import Finding, Rule


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each later attempt that failed before progress beyond what was restored."""
    findings = []
    for death in restore_deaths(evidence):
        if torn_checkpoint.explanation(evidence, death) is not None:
            continue
        count = len(death.restored)
        findings.append(
            RULE.finding(
                death.attempt,
                f"{death.who} exited with {death.exit_code} after {death.lived_seconds:.1f} s, before any "
                f"progress, with {count} restored file{'s' if count != 1 else ''} in {evidence.checkpoint_path}"
                + (f": {death.reason}" if death.reason else "."),
                {
                    "exit_code": death.exit_code,
                    **({"host": death.host} if death.host else {}),
                    "lived_seconds": round(death.lived_seconds, 3),
                    "restored_files": death.restored[:20],
                    "log_tail": death.tail,
                },
                fix=(torn_checkpoint.RULE if death.reads_half else RULE).fix_for(evidence),
            )
        )
    return findings


RULE = Rule(
    id="SPOT017",
    name="crash-on-restore",
    summary="a later attempt died while restoring",
    why="The code that loads runs for the first time after the first interruption: with other names, shapes or types "
    "than the saver wrote, with a file that a kill cut short, or with a marker file of the uploader in the folder.",
    fix="Run the load in a test right after a save, accept only your own names, and try the one before when it fails:\n"
    "  - newest = max(folder.iterdir())\n"
    '  + newest = max(folder.glob("ckpt-*.npz"), key=step_of, default=None)   # ignores *.sagemaker-uploaded',
    fails="""\
newest = max(Path("/opt/ml/checkpoints").iterdir())  # ckpt-000100.npz.sagemaker-uploaded
state = np.load(newest)  # ValueError
""",
    passes="""\
newest = max(Path("/opt/ml/checkpoints").glob("ckpt-*.npz"), default=None)
state = np.load(newest) if newest else fresh_state()
""",
    source="huggingface/transformers #21586, #35782; pytorch-lightning #8688",
    check=check,
    fixes={
        Framework.KERAS: "Load what the saver writes, by a pattern of its own, and build the model first where only "
        "weights are saved:\n"
        "  - newest = max(folder.iterdir())\n"
        '  + newest = max(folder.glob("epoch-*.weights.h5"), key=epoch_of, default=None)\n'
        "  + if newest:\n"
        "  +     model.build(input_shape)\n"
        "  +     model.load_weights(newest)\n"
        "and load once in a test right after a save.",
        Framework.PYTORCH: "Load what the saver writes, on whatever device there is, and with its own keys:\n"
        "  - state = torch.load(max(folder.iterdir()))\n"
        '  + newest = max(folder.glob("step-*.pt"), key=step_of, default=None)\n'
        "  + if newest:\n"
        '  +     state = torch.load(newest, map_location="cpu")\n'
        '  +     model.load_state_dict(state["model"])   # "module." in front where DistributedDataParallel saved\n'
        "and load once in a test right after a save.",
    },
)

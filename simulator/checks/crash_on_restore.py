"""SPOT017 crash-on-restore: a later attempt found restored files and died before it made any progress of its own.

Acquits: a script that crashes without restored files too, one that had trained on, and one that was being interrupted.
"""

from __future__ import annotations

import re

from simulator.checks.evidence import Evidence, EvidenceMissing
from simulator.checks.rule import Finding, Rule

_TAIL = 15
_ERROR = re.compile(r"^\s*([\w.]*(Error|Exception|Interrupt|Exit)\b.*|.*\b(fatal|panic|Segmentation fault)\b.*)", re.I)
_TORN = re.compile(
    r"EOF|truncat|BadZip|not a zip|Unpickling|corrupt|magic|unexpected end|invalid load key|DataLoss", re.I
)


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each later attempt that failed before progress beyond what was restored."""
    findings = []
    for before, attempt in zip(evidence.attempts, evidence.attempts[1:], strict=False):
        exited = evidence.exited(attempt)
        if exited is None or evidence.outcome(attempt) != "failed" or evidence.warned_at(attempt) is not None:
            continue
        restored = evidence.manifest("restored", attempt)
        if restored is None:
            raise EvidenceMissing(f"nobody noted what was restored for attempt {attempt}")
        code = exited.data.get("exit_code")
        if not restored or code == 0 or _made_progress(evidence, before, attempt):
            continue
        tail = [str(line) for line in exited.data.get("log_tail", ())][-_TAIL:]
        reason = next((line.strip() for line in reversed(tail) if _ERROR.search(line)), tail[-1] if tail else "")
        torn = bool(_TORN.search(" ".join(tail)))
        lived = exited.at - (evidence.began_at(attempt) or exited.at)
        findings.append(
            RULE.finding(
                attempt,
                f"Attempt {attempt} exited with {code} after {lived:.1f} s, before any progress, with {len(restored)} "
                f"restored file{'s' if len(restored) != 1 else ''} in {evidence.checkpoint_path}"
                + (f": {reason}" if reason else "."),
                {
                    "exit_code": code,
                    "lived_seconds": round(lived, 3),
                    "restored_files": sorted(restored)[:20],
                    "log_tail": tail,
                },
                fix=_TORN_FIX if torn else None,
            )
        )
    return findings


def _made_progress(evidence: Evidence, before: int, attempt: int) -> bool:
    walk = evidence.walk(attempt)
    if walk is None:
        # Without a metric, a checkpoint written anew is the only sign of training.
        return evidence.progress is None and any(v.settled_at for v in evidence.files.by_attempt.get(attempt, ()))
    earlier = [
        known.last.value for number in evidence.attempts if number <= before and (known := evidence.walk(number))
    ]
    return walk.last.value > max(earlier, default=float("-inf")) or walk.second_value() is not None


_TORN_FIX = (
    "Write checkpoints aside and rename them, and fall back to the one before when a load fails:\n"
    '  + tmp = path.with_suffix(".tmp"); save(state, tmp); os.replace(tmp, path)\n'
    "    for path in newest_first(CHECKPOINTS):\n"
    "  +     try: return load(path)\n"
    '  +     except (EOFError, OSError, ValueError): log.warning("unusable: %s", path)'
)

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
)

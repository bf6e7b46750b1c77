"""SPOT004 torn-checkpoint: what a kill left half in S3 ended the next attempt, or all progress, or was passed over in
silence.

Acquits: a script that says that it skips a torn file and goes on from an older whole one, and files written aside.
A torn file convicts only by what became of the attempt that was given it. Passing one over without a word, and going
on from an older whole one, is a warning: little was lost, and nobody would know.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from simulator.checks.durability import Version
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import family, is_bookkeeping, is_marker, is_named_as_state, is_temporary
from simulator.checks.framework import Framework
from simulator.checks.restore_deaths import Death, restore_deaths
from simulator.checks.resume import Resume, resumes
from simulator.checks.rule import Finding, Rule, Severity
from simulator.checks.wholeness import Flaw, Torn, torn_files

_COMPLAINS = re.compile(
    r"skip|ignor|corrupt|truncat|\btorn\b|unusable|incomplete|damaged|broken|invalid|unreadable|fall(ing|s)? ?back"
    r"|\bbad\b|fail|error|exception|could ?n.t|cannot|unable|warn|older|previous|discard",
    re.I,
)


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each later attempt that a torn checkpoint ended, sent back to the start, or went unmentioned in."""
    findings = [finding for death in restore_deaths(evidence) if (finding := _death(evidence, death)) is not None]
    told = {finding.attempt for finding in findings}
    for resume in resumes(evidence):
        if resume.attempt not in told:
            finding = _lost_all(evidence, resume) or _silent(evidence, resume)
            findings += [finding] if finding is not None else []
    return findings


def explanation(evidence: Evidence, death: Death) -> Torn | None:
    """The torn file that explains why an attempt died while it restored: its name or the kind of error says so."""
    torn = torn_files(evidence, death.attempt)
    torn.sort(key=lambda torn: not death.names(torn.path))
    for one in torn:
        named = death.names(one.path)
        match one.flaw:
            case Flaw.CUT if named or death.reads_half:
                return one
            case Flaw.PERHAPS_CUT if death.reads_half:
                return one
            case Flaw.MIXED if death.finds_a_mismatch:
                return one
            case Flaw.INCOMPLETE if death.names(one.other):
                return one
    return None


def _death(evidence: Evidence, death: Death) -> Finding | None:
    torn = explanation(evidence, death)
    if torn is None:
        return None
    return RULE.finding(
        death.attempt,
        f"{death.who} exited with {death.exit_code} on a torn checkpoint, {torn.path}: {torn.why}"
        + (f". It said: {death.reason}" if death.reason else "."),
        {
            **_facts(torn),
            "exit_code": death.exit_code,
            **({"host": death.host} if death.host else {}),
            "restored_files": death.restored[:20],
            "log_tail": death.tail,
        },
        fix=_fix(evidence, torn),
    )


def _lost_all(evidence: Evidence, resume: Resume) -> Finding | None:
    """The only state was torn: the attempt began at the start, although whole state had been in S3 before."""
    progress, walk = evidence.progress, evidence.walk(resume.attempt)
    if progress is None or walk is None or resume.newest is not None or resume.shows_progress:
        return None
    earlier = [progress.walks[number] for number in sorted(progress.walks) if number < resume.attempt]
    second = walk.second_value()
    if not earlier or walk.first.value > earlier[0].first.value + progress.noise or second is None:
        return None
    for torn in torn_files(evidence, resume.attempt):
        before = _whole_before(evidence, torn)
        held = _progress_in(evidence, before) if before is not None else None
        if torn.flaw not in (Flaw.CUT, Flaw.MIXED) or held is None or second > held:
            continue
        tell = progress.axis.describe
        return RULE.finding(
            resume.attempt,
            f"Attempt {resume.attempt} began again at {tell(resume.first_value)}: {torn.path} was torn ({torn.why}), "
            f"and it had taken the place of a whole checkpoint. The run had reached {tell(resume.reached)}.",
            {
                **_facts(torn),
                "began_at": resume.first_value,
                "reached_before": resume.reached,
                "overwritten_checkpoint_held": held,
                "log_line": walk.first.text,
            },
            fix=_fix(evidence, torn),
        )
    return None


def _silent(evidence: Evidence, resume: Resume) -> Finding | None:
    """It went on from an older whole checkpoint, and its log has no word about the torn newer one."""
    progress, walk = evidence.progress, evidence.walk(resume.attempt)
    exited = evidence.exited(resume.attempt)
    if progress is None or walk is None or not resume.shows_progress or exited is None:
        return None
    said = exited.data.get("log_about_checkpoints")
    newest = resume.newest.version if resume.newest is not None else None
    if said is None or newest is None:
        return None
    for torn in torn_files(evidence, resume.attempt):
        held = _progress_in(evidence, torn.version)
        passed_over = held is not None and resume.first_value < held and torn.version.started_at > newest.started_at
        if torn.flaw is not Flaw.CUT or not passed_over or _speaks(said, torn.path):
            continue
        if _has_a_pointer(evidence, resume.attempt, torn):
            continue
        tell = progress.axis.describe
        return RULE.finding(
            resume.attempt,
            f"Attempt {resume.attempt} went on at {tell(resume.first_value)} and passed over the newer {torn.path}, "
            f"which was torn ({torn.why}), without a word in its log.",
            {**_facts(torn), "began_at": resume.first_value, "whole_checkpoint": newest.path},
            severity=Severity.WARNING,
            fix=FALL_BACK,
        )
    return None


def _speaks(said: object, path: str) -> bool:
    lines = [str(line) for line in said] if isinstance(said, list | tuple) else []
    return any(PurePosixPath(path).name in line or _COMPLAINS.search(line) for line in lines)


def _has_a_pointer(evidence: Evidence, attempt: int, torn: Torn) -> bool:
    """Whether a file of another kind may tell which checkpoint counts: then passing one over is the design."""
    others = [path for path in evidence.manifest("restored", attempt) or {} if family(path) != family(torn.path)]
    return any(
        not (is_named_as_state(path) or is_marker(path) or is_temporary(path) or _is_log(path)) for path in others
    )


def _is_log(path: str) -> bool:
    return is_bookkeeping(path) and PurePosixPath(path).suffix != ".txt"


def _whole_before(evidence: Evidence, torn: Torn) -> Version | None:
    """The newest earlier write of the same file that had wholly reached S3."""
    earlier = [
        version
        for version in evidence.files.versions[torn.path]
        if version.started_at < torn.version.started_at and version.durable_at is not None
    ]
    return earlier[-1] if earlier else None


def _progress_in(evidence: Evidence, version: Version) -> float | None:
    """The least progress that a write holds."""
    walk = evidence.walk(version.attempt)
    reading = walk.at(version.started_at - evidence.options.detection_seconds) if walk else None
    return reading.value if reading else None


def _facts(torn: Torn) -> dict[str, object]:
    return {"file": torn.path, "bytes": torn.bytes, "flaw": torn.flaw.value, "why_torn": torn.why}


def _fix(evidence: Evidence, torn: Torn) -> str:
    return ONE_SAVE if torn.flaw in (Flaw.MIXED, Flaw.INCOMPLETE) else RULE.fix_for(evidence)


FALL_BACK = (
    "Write checkpoints aside and rename them, and fall back to the one before when a load fails, and say so:\n"
    '  + tmp = path.with_suffix(".tmp"); save(state, tmp); os.replace(tmp, path)\n'
    "    for path in newest_first(CHECKPOINTS):\n"
    "  +     try: return load(path)\n"
    '  +     except (EOFError, OSError, ValueError): log.warning("unusable: %s", path)'
)

ONE_SAVE = (
    "Give every save a folder of its own, end it with a file that says it is whole, and resume only from such:\n"
    '  - save(model, CHECKPOINTS / "model.bin"); save(optimizer, CHECKPOINTS / "optimizer.bin")\n'
    '  + folder = CHECKPOINTS / f"step-{step:08}"\n'
    '  + save(model, folder / "model.bin"); save(optimizer, folder / "optimizer.bin")\n'
    '  + (folder / "WHOLE").write_text(json.dumps({"model.bin": size, "optimizer.bin": size}))\n'
    "Files go up one by one and in no order: let the loader compare the sizes, and keep the folder before."
)

RULE = Rule(
    id="SPOT004",
    name="torn-checkpoint",
    summary="an attempt failed on, or silently skipped, a partial or mixed-generation checkpoint",
    why="A kill comes in the middle of a write or of an upload sooner or later, and files go to S3 as they are, one by "
    "one: half a file, or two files of two different saves, come back. A script that overwrites its only file in place "
    "has nothing else then; one that takes the newest for granted dies on it, in every attempt anew.",
    fix=FALL_BACK,
    fails="""\
with open("/opt/ml/checkpoints/state.json", "w") as file:  # from here until it is closed there is no checkpoint
    json.dump(state, file)
""",
    passes="""\
path = f"/opt/ml/checkpoints/state-{step:08}.json"
with open(path + ".tmp", "w") as file:
    json.dump(state, file)
    file.flush()
    os.fsync(file.fileno())
os.replace(path + ".tmp", path)  # all of it or none; keep the one before, and take that when this cannot be read
""",
    source="pytorch-lightning #688; returnn #1444; huggingface/transformers #35782; AWS's PyTorch sample overwrites "
    "one file in place",
    check=check,
    fixes={
        Framework.KERAS: "Save aside, rename, and keep the ones before:\n"
        "  - model.save(path)\n"
        '  + aside = path.with_name("aside.tmp.keras")\n'
        "  + model.save(aside)\n"
        "  + os.replace(aside, path)\n"
        "  - model = keras.models.load_model(newest)\n"
        "  + for path in newest_first(CHECKPOINTS):\n"
        "  +     try: model = keras.models.load_model(path); break\n"
        '  +     except (OSError, ValueError): log.warning("unusable: %s", path)\n'
        "tf.train.CheckpointManager does the first half of this; give it max_to_keep=3.",
        Framework.PYTORCH: "Save aside, sync, rename, and keep the ones before:\n"
        "  - torch.save(state, path)\n"
        '  + with open(f"{path}.tmp", "wb") as file:\n'
        "  +     torch.save(state, file); file.flush(); os.fsync(file.fileno())\n"
        '  + os.replace(f"{path}.tmp", path)\n'
        "  - state = torch.load(newest)\n"
        "  + for path in newest_first(CHECKPOINTS):\n"
        "  +     try: state = torch.load(path); break\n"
        '  +     except (EOFError, RuntimeError, pickle.UnpicklingError): log.warning("unusable: %s", path)',
    },
)

"""SPOT006 sigterm-ignored: the script was told by SIGTERM, and was still running when the grace ended.

Some ways to get there have words and a fix of their own: a handler whose flag nobody looked at in time
(`handler_not_polled`), one after which training ended and no save came (`stopped_training`), a signal mask that holds
SIGTERM back (`blocked`), and a launcher that ended the training process with grace left (`cut_by_launcher`; then it
was PID 1 that left in time).

Acquits: a script that saved in reaction and then waited for its end, and long steps after which it did leave in time.
A script that only saves at regular intervals is correct, so where its checkpoints were current this is a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from simulator.checks.durability import Version
from simulator.checks.evidence import Evidence
from simulator.checks.log_activity import activity_of
from simulator.checks.rule import Finding, Rule, Severity
from simulator.checks.signal_path import (
    Hop,
    SignalPath,
    answers,
    cut_writes,
    handler_owners,
    is_over,
    sent_at,
    signal_path,
    unreached_owners,
)
from simulator.core.reaction import speaks_of_the_end
from simulator.core.timeline import Event, Kind

_SHOWN_LINES = 3
_LONGER_THAN_USUAL = 3  # so much longer than training was ever silent is a silence with a reason


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each attempt that had to be killed after its SIGTERM's grace, unless SPOT005 explains it, or in
    which a launcher did not wait for the grace's end."""
    findings = []
    for attempt in evidence.reclaimed:
        signal, killed = evidence.sigterm(attempt), evidence.killed(attempt)
        if signal is None or unreached_owners(evidence, attempt):
            continue
        path = signal_path(evidence, attempt)
        if killed is None:
            findings += _cut_by_launcher(evidence, attempt, path)
            continue
        if killed.at <= signal.at:
            continue
        if any(is_over(save, killed) for save in answers(evidence, attempt, signal.at)):
            continue
        findings.append(_still_running(evidence, attempt, signal, killed.at - signal.at, path))
    return findings


def _still_running(evidence: Evidence, attempt: int, signal: Event, grace: float, path: SignalPath | None) -> Finding:
    processes = evidence.processes_at_sigterm(attempt)
    target = path.hops[-1] if path is not None else None
    owns = target is not None and target.pid in [process.pid for process in handler_owners(processes)]
    cut = {version.path: version for version in evidence.files.unfinished(attempt) if version.settled_at is None}
    cut |= {version.path: version for version in cut_writes(evidence, attempt)}
    current = evidence.checkpoints_were_current(attempt)
    facts: dict[str, Any] = {
        "grace_seconds": round(grace, 3),
        "processes": [process.as_dict() for process in processes],
        "handlers": [process.pid for process in processes if process.catches_sigterm],
        "writes_cut": list(cut),
        "checkpoints_were_current": current,
    }
    if path is not None:
        facts["signal_path"] = path.as_dict()
    fix = None
    if path is not None and path.fix and any(hop.swallowed for hop in path.hops):
        fix = f"{path.fix}\n{RULE.fix}"
    saving = [version.path for version in cut.values() if _held_by(version, evidence, signal)]
    if path is not None and target is not None and target.pending:
        facts["blocked"], fix = True, path.fix
        why = f": {target.name} blocks SIGTERM, which was still pending when it was last looked at"
    elif saving:
        why, fix = f", in the middle of writing {saving[0]}", _SAVE_FASTER if owns else fix
    elif target is not None and owns:
        around = _around(evidence, attempt, signal)
        facts |= {"doing": around.doing, "last_lines": around.lines, "states": _states(evidence, attempt, target)}
        facts["stopped_training" if around.stopped else "handler_not_polled"] = True
        why, fix = _not_polled(target, around), _STUCK if around.stopped else _POLLING.get(str(around.doing))
    elif processes:
        why = "; no process that trains has a handler for it"
    else:
        why = ""
    consequence = (
        "Its regular checkpoints were current." if current else "What it had done since its last checkpoint was lost."
    )
    return RULE.finding(
        attempt,
        f"The script was still running {grace:.1f} s after SIGTERM, when the grace ended{why}. {consequence}",
        facts,
        severity=Severity.WARNING if current else Severity.ERROR,
        fix=fix,
    )


@dataclass(frozen=True)
class _Around:
    """What the log tells of the time around SIGTERM. `stopped`: training had gone on until then and ended with it."""

    doing: str | None
    lines: list[str]
    went_on: bool = False
    stopped: bool = False


def _around(evidence: Evidence, attempt: int, signal: Event) -> _Around:
    since, gone_at = sent_at(evidence, attempt) or signal.at, evidence.gone_at(attempt)
    lines = [str(line) for line in signal.data.get("log_tail", ())]
    lines += [
        line
        for event in evidence.of(Kind.LOG_LINE, attempt)
        if event.at >= since and not speaks_of_the_end(line := str(event.data.get("line", "")))
    ]
    doing = activity_of(lines)
    walk = evidence.walk(attempt)
    silences = [after.at - before.at for before, after in pairwise(walk.readings)] if walk else []
    if walk is None or not silences or doing not in (None, "training"):
        return _Around(doing, lines[-_SHOWN_LINES:])
    usual = _LONGER_THAN_USUAL * max(silences)
    if gone_at - walk.last.at <= usual:
        return _Around("training", [walk.last.text], went_on=walk.last.at > since)
    trained = walk.at(since)
    return _Around(doing, lines[-_SHOWN_LINES:], stopped=trained is not None and since - trained.at <= usual)


def _held_by(version: Version, evidence: Evidence, signal: Event) -> bool:
    """Whether a write that was cut is what the script was busy with: nothing was trained after it had begun."""
    walk = evidence.walk(version.attempt)
    idle = walk is None or walk.last.at <= version.started_at + evidence.options.detection_seconds
    return version.started_at >= (sent_at(evidence, version.attempt) or signal.at) and idle


def _not_polled(target: Hop, around: _Around) -> str:
    if around.stopped:
        return f"; {target.name} has a handler, and trained no more, but saved nothing: it hangs, or takes too long"
    if target.acted_after_seconds is not None:
        text = f"; {target.name} said that it heard, but its flag was not looked at"
    else:
        text = f"; {target.name} has a handler, but nothing came of it: its flag was not looked at"
    if around.doing is None:
        return text
    last = f" ({around.lines[-1].strip()!r})" if around.lines else ""
    if around.went_on:
        return f"{text}, while its {around.doing} went on{last}"
    return f"{text} during its {around.doing}{last}"


def _states(evidence: Evidence, attempt: int, target: Hop) -> list[str]:
    """What its main thread was seen at after SIGTERM: `R`, or `S hrtimer_nanosleep`, as the kernel has it."""
    return [
        f"{process.state} {process.wchan}".strip()
        for look in evidence.looks_after_sigterm(attempt)
        for process in look.processes
        if process.pid == target.pid
    ]


def _cut_by_launcher(evidence: Evidence, attempt: int, path: SignalPath | None) -> list[Finding]:
    if path is None or not path.cut_by_launcher:
        return []
    current = evidence.checkpoints_were_current(attempt)
    consequence = "Its regular checkpoints were current." if current else "What it would have saved was lost."
    grace = float(evidence.profile["grace_seconds"])
    used = path.hops[-1].ended_after_seconds or 0.0
    return [
        RULE.finding(
            attempt,
            f"{path.story} Another {max(0.0, grace - used):.1f} s of the grace were left. {consequence}",
            {
                "cut_by_launcher": True,
                "grace_seconds": grace,
                "processes": [process.as_dict() for process in evidence.processes_at_sigterm(attempt)],
                "checkpoints_were_current": current,
                "signal_path": path.as_dict(),
            },
            severity=Severity.WARNING if current else Severity.ERROR,
            fix=path.fix,
        )
    ]


_SAVE_FASTER = (
    "The save takes longer than the grace. Save at regular intervals, and on the notice where there is one,\n"
    "and write less or faster at the end: no second copy, a format without compression, fewer and larger files."
)
_STUCK = (
    "Do not save inside the handler: it interrupts anything, and waits for ever for a lock that the interrupted code\n"
    "holds. Set a flag there, save in the loop, and let the save fit the grace:\n"
    "  - signal.signal(signal.SIGTERM, lambda *_: save(state, CHECKPOINTS))\n"
    "  + signal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
    "    for step in range(start, steps):\n"
    "        train(step)\n"
    "  +     if stop.is_set():\n"
    "  +         save(state, CHECKPOINTS); sys.exit(0)"
)
_POLLING = {
    "training": "Look at the handler's flag in every step, not once an epoch:\n"
    "    for step in range(start, steps):\n"
    "        train(step)\n"
    "  +     if stop.is_set():\n"
    "  +         save(state, CHECKPOINTS); sys.exit(0)",
    "evaluation": "Look at the handler's flag in the evaluation too, or save before it begins:\n"
    "    for batch in validation:\n"
    "        evaluate(batch)\n"
    "  +     if stop.is_set():\n"
    "  +         save(state, CHECKPOINTS); sys.exit(0)",
    "compilation": "Nothing looks at a flag while it compiles: save right before, and keep the compiled result\n"
    "(TORCHINDUCTOR_CACHE_DIR, jax_compilation_cache_dir) in the checkpoint path:\n"
    "  + save(state, CHECKPOINTS)\n"
    "    model = compile(model)",
    "warm-up": "Look at the handler's flag in the warm-up too, or save before it begins:\n"
    "    for batch in warm_up:\n"
    "        step(batch)\n"
    "  +     if stop.is_set():\n"
    "  +         save(state, CHECKPOINTS); sys.exit(0)",
    "loading of data": "Look at the handler's flag while data is loaded too; where nothing has changed, just leave:\n"
    "    for shard in shards:\n"
    "        load(shard)\n"
    "  +     if stop.is_set():\n"
    "  +         sys.exit(0)",
}


RULE = Rule(
    id="SPOT006",
    name="sigterm-ignored",
    summary="the script was still running when the grace ended (warning when its checkpoints were current)",
    why="SIGTERM is the last call: what is not in S3 when SIGKILL follows is gone. Frameworks that keep a handler of "
    "their own, a flag that is only looked at between epochs, and a save longer than the grace all miss it.",
    fix="Set a flag in a handler, look at it in every step, save, and leave:\n"
    "  + stop = threading.Event()\n"
    "  + signal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
    "    for step in range(start, steps):\n"
    "        train(step)\n"
    "  +     if stop.is_set():\n"
    "  +         save(state, CHECKPOINTS); sys.exit(0)",
    fails="""\
signal.signal(signal.SIGTERM, lambda *_: stop.set())
for epoch in range(epochs):
    train_for_ten_minutes(epoch)
    if stop.is_set():  # looked at long after the 120 s are over
        save(epoch)
        sys.exit(0)
""",
    passes="""\
signal.signal(signal.SIGTERM, lambda *_: stop.set())
for epoch in range(epochs):
    for step, batch in enumerate(batches(epoch)):
        train(batch)
        if stop.is_set():
            save(epoch, step)
            sys.exit(0)
""",
    source="StoppingCondition: SIGTERM, then SIGKILL after 120 s; pytorch-lightning #1455; spd #677, #741",
    check=check,
)

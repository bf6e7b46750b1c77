"""SPOT014 save-overhead: saving holds up training for more than 3.5 % of its time (CheckFreq's bound).

A save costs what it holds up: how much longer the step took in which a file was written than steps without one do, and
at most as long as the write was seen to last. So a saver in the background costs nothing, and neither does an
evaluation beside a save. Silent below five saves, twenty steps without one, two seconds of training and 20 ms a save,
where the log comes in bursts, and where steps with and without a save cannot be told apart.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from statistics import median

from simulator.checks.evidence import Evidence
from simulator.checks.file_names import is_bookkeeping, is_marker
from simulator.checks.framework import Framework
from simulator.checks.rule import Finding, Rule, Severity
from simulator.core.timeline import Kind

BOUND = 0.035
_SAVES = 5
_CLEAN_STEPS = 20
_TRAINING_SECONDS = 2.0
_MEASURABLE_SECONDS = 0.02  # what a write is seen to last is no more exact than this
_NOTICED_SECONDS = 0.15  # a write is noticed so late, at most, where the kernel tells of it
_ONE_SAVE_SECONDS = 0.02  # between two of its files
_BURSTS = 3.0  # times the median, for a tenth of all steps or on average: the log comes in bursts


@dataclass(frozen=True)
class _Cost:
    """What saving cost in one attempt."""

    attempt: int
    saves: int
    a_save_seconds: float
    a_step_seconds: float
    training_seconds: float

    @property
    def share(self) -> float:
        """Of the training time."""
        return self.saves * self.a_save_seconds / self.training_seconds


def check(evidence: Evidence) -> list[Finding]:
    """At most one finding: for the attempt in which saving cost most."""
    costs = [cost for attempt in evidence.attempts if (cost := _cost(evidence, attempt)) is not None]
    worst = max(costs, key=lambda cost: cost.share, default=None)
    if worst is None or worst.share <= BOUND:
        return []
    rarer = ceil(worst.share / BOUND)
    return [
        RULE.finding(
            worst.attempt,
            f"Saving took {worst.share:.0%} of the training time: {worst.saves} saves held up training for about "
            f"{_seconds(worst.a_save_seconds)} each, in {worst.training_seconds:.1f} s. Saving {rarer} times as rarely "
            f"would stay below {BOUND:.1%}, at the price of more work lost to an interruption.",
            {
                "share": round(worst.share, 4),
                "bound": BOUND,
                "saves": worst.saves,
                "seconds_a_save": round(worst.a_save_seconds, 4),
                "seconds_a_step": round(worst.a_step_seconds, 4),
                "training_seconds": round(worst.training_seconds, 3),
                "save_so_many_times_as_rarely": rarer,
            },
            fix=RULE.fix_for(evidence),
        )
    ]


def _cost(evidence: Evidence, attempt: int) -> _Cost | None:
    walk = evidence.walk(attempt)
    if walk is None:
        return None
    until = evidence.warned_at(attempt) or evidence.gone_at(attempt)  # what it saves once told is another matter
    times = [reading.at for reading in walk.readings if reading.at <= until]
    if len(times) < 2 or times[-1] - times[0] < _TRAINING_SECONDS:
        return None
    # A save before the first step or after the last one held up no step that could be measured.
    writes = [write for write in _writes(evidence, attempt, until) if times[0] < write[0] and write[1] <= times[-1]]
    if len(writes) < _SAVES:
        return None
    steps = [after - before for before, after in pairwise(times)]
    touched = [_overlapping(times, begins, ends) for begins, ends in writes]
    with_a_save = {index for indices in touched for index in indices}
    clean = sorted(step for index, step in enumerate(steps) if index not in with_a_save)
    if len(clean) < _CLEAN_STEPS:
        return None
    usual, most = median(clean), clean[int(0.95 * (len(clean) - 1))]
    on_average = (times[-1] - times[0] - sum(ends - begins for begins, ends in writes)) / len(steps)
    if clean[int(0.9 * (len(clean) - 1))] > _BURSTS * usual or on_average > _BURSTS * usual:
        return None
    held_up = []
    for (begins, ends), indices in zip(writes, touched, strict=True):
        longest = max((steps[index] for index in indices), default=0.0)
        # The longest of several steps is longer than usual by chance: only what no step without a save takes counts.
        held_up.append(min(longest - usual, ends - begins) if longest > most else 0.0)
    a_save = median(held_up)
    if a_save < _MEASURABLE_SECONDS:
        return None
    return _Cost(attempt, len(writes), a_save, usual, times[-1] - times[0])


def _writes(evidence: Evidence, attempt: int, until: float) -> list[tuple[float, float]]:
    """When something was being written, files of one moment taken together; logs left out. A file that was written
    aside ends with its renaming. Of several hosts it is the leading one's saves that hold up the steps that it logs."""
    begun: dict[str, float] = {}
    spans: list[tuple[float, float]] = []
    kinds = (Kind.FILE_CHANGED, Kind.FILE_SETTLED, Kind.FILE_DELETED)
    counted = {version.path for version in evidence.leaders(evidence.files.by_attempt.get(attempt, ()))}
    for event in sorted((event for kind in kinds for event in evidence.of(kind, attempt)), key=lambda event: event.at):
        path = str(event.data["path"])
        if path not in counted:
            continue
        if event.at > until or is_bookkeeping(path) or is_marker(path):
            continue
        if event.kind is Kind.FILE_CHANGED:
            begun.setdefault(path, event.at)
        elif path in begun:
            spans.append((begun.pop(path), event.at))
    joined: list[tuple[float, float]] = []
    for begins, ends in sorted(spans):
        if joined and begins <= joined[-1][1] + _ONE_SAVE_SECONDS:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
        else:
            joined.append((begins, ends))
    return joined


def _overlapping(times: Sequence[float], begins: float, ends: float) -> range:
    """The steps (between reading i and i + 1) in which a write may have been under way."""
    first = max(0, bisect_right(times, begins - _NOTICED_SECONDS) - 1)
    return range(first, min(len(times) - 1, bisect_left(times, ends)))


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


RULE = Rule(
    id="SPOT014",
    name="save-overhead",
    summary="saving costs more than 3.5 % of training time",
    why="What a save holds up is paid for in every run, interrupted or not. The interval that loses least is "
    "sqrt(2 x time between interruptions x cost of a save) (Young and Daly): cheaper saves may come oftener.",
    fix="Save more rarely, or copy the state and let a thread write it:\n"
    "  - if step % 10 == 0:\n"
    "  -     save(state, path)\n"
    "  + if step % 200 == 0:\n"
    "  +     writer.submit(save, copy.deepcopy(state), path)   # ThreadPoolExecutor(1); wait for it before leaving",
    fails="""\
for step in range(1, 10_001):
    train(step)  # 100 ms
    save(step)  # 400 ms, in every step
""",
    passes="""\
for step in range(1, 10_001):
    train(step)  # 100 ms
    if step % 200 == 0:
        save(step)  # 400 ms in 20 s: 2 %
""",
    source="CheckFreq (FAST '21): at most 3.5 % overhead; Young 1974, Daly 2006",
    check=check,
    severity=Severity.WARNING,
    fixes={
        Framework.KERAS: "Save more rarely, or in the background:\n"
        "  - keras.callbacks.BackupAndRestore(folder, save_freq=10)\n"
        "  + keras.callbacks.BackupAndRestore(folder, save_freq=200)\n"
        "with tf.train.Checkpoint: checkpoint.save(prefix, options=tf.train.CheckpointOptions(enable_async=True)).",
        Framework.PYTORCH: "Save more rarely, or in the background:\n"
        "  - if step % 10 == 0:\n"
        "  -     torch.save(state, path)\n"
        "  + if step % 200 == 0:\n"
        "  +     saving = torch.distributed.checkpoint.async_save(state, checkpoint_id=path)\n"
        "and wait for it (saving.result()) before the next one and before leaving.",
    },
)

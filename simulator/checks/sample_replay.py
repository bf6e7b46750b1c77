"""SPOT015 sample-replay: across a restart, samples of one epoch were trained on twice, or never.

Promise: work done again after the state that was resumed from is no repetition, for it was lost; what an epoch owes is
learned from epochs that nobody interrupted. Limit: the script has to tell its samples (`sample-ids`, docs/samples.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.checks.evidence import Evidence
from simulator.checks.ledger import Replay, replays
from simulator.checks.rule import Finding, Rule

_NAMED = 20
_SHOWN = 6


def check(evidence: Evidence) -> list[Finding]:
    """A finding for each epoch across a restart that does not hold each sample once."""
    return [_finding(replay) for replay in replays(evidence)]


def _finding(replay: Replay) -> Finding:
    told = []
    if replay.repeated:
        told.append(f"{_count(replay.repeated)} trained on twice ({_few(replay.repeated)})")
    if replay.skipped:
        told.append(f"{_count(replay.skipped)} never ({_few(replay.skipped)})")
    epoch, step = replay.resumed_at
    return RULE.finding(
        replay.attempt,
        f"In epoch {replay.epoch}, in which attempt {replay.attempt} resumed at epoch {epoch}, step {step}: "
        f"{', '.join(told)}.",
        {
            "epoch": replay.epoch,
            "resumed_at": {"epoch": epoch, "step": step},
            "repeated": list(replay.repeated[:_NAMED]),
            "repeated_count": len(replay.repeated),
            "skipped": list(replay.skipped[:_NAMED]),
            "skipped_count": len(replay.skipped),
        },
    )


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} sample{'s' if len(ids) != 1 else ''}"


def _few(ids: Sequence[str]) -> str:
    return " ".join(ids[:_SHOWN]) + (" …" if len(ids) > _SHOWN else "")


FAILS = """\
for step in range(resumed_step, total):  # the loader begins its epoch again,
    batch = next(loader)  # although half of it was trained on before the restart
"""

PASSES = """\
order = np.random.default_rng([seed, epoch]).permutation(n)
for start in range(batches_done * size, n, size):  # goes on in the same order, where it was
    train_on(order[start : start + size])
"""

RULE = Rule(
    id="SPOT015",
    name="sample-replay",
    summary="samples were skipped or repeated within an epoch across the restart",
    why="A loader that is made anew begins its epoch again, or shuffles it otherwise: some samples of the epoch are "
    "trained on twice and others never, which biases the model and shows in no log.",
    fails=FAILS,
    passes=PASSES,
    fix="Make the order of samples a function of seed and epoch, save how many batches of the epoch are done, and go "
    "on there:\n"
    "  - for batch in loader:\n"
    "  + order = np.random.default_rng([seed, epoch]).permutation(n)\n"
    "  + for start in range(batches_done * size, n, size):",
    source="CheckFreq (FAST '21): each item exactly once an epoch; huggingface/accelerate #4071, #2016; transformers "
    "#46628",
    check=check,
)

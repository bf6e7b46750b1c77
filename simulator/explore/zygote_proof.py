"""Whether starting a script from a zygote changes what it does: uninterrupted runs held against each other.

Compared are the logged numbers (losses, or where none are logged all of them), each checkpoint as it was written, what
checkpoints and models are left, tensor by tensor, and the exit code; all to the last bit. What two cold starts do not
agree in either says nothing of the zygote, and is not held against it; anything else is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from simulator.checks.equivalence import first_unequal
from simulator.checks.evidence import Evidence
from simulator.checks.file_names import is_bookkeeping
from simulator.checks.states import StateRead, difference, left_at_end, same_step_pairs
from simulator.core.timeline import Kind, Timeline


class Answer(StrEnum):
    """What can be said of the zygote."""

    SAME = "same"
    NOT_REPEATABLE = "not repeatable"  # the script differs from itself, and the zygote adds nothing that could be told
    CHANGES = "changes"


@dataclass(frozen=True)
class Proof:
    """The answer, in a sentence for people."""

    answer: Answer
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether attempts may start from the zygote."""
        return self.answer is not Answer.CHANGES


def prove(cold: Timeline, zygote: Timeline, second_cold: Callable[[], Timeline]) -> Proof:
    """Hold an uninterrupted run from a zygote against one from a cold start; `second_cold` makes another of those, and
    is only called where the two differ."""
    changed = differences(cold, zygote)
    if not changed:
        return Proof(Answer.SAME, f"from a zygote, which changes nothing: {_compared(cold)} as after a cold start")
    own = differences(cold, second_cold())
    beyond = {what: how for what, how in changed.items() if what not in own}
    if beyond:
        what, how = next(iter(beyond.items()))
        return Proof(Answer.CHANGES, f"cold, as a zygote changes {what}: {how}")
    what, how = next(iter(own.items()))
    return Proof(
        Answer.NOT_REPEATABLE,
        f"from a zygote; the script does not repeat itself from one cold start to the next ({what}: {how}), "
        "and beyond that the zygote changes nothing",
    )


def differences(one: Timeline, other: Timeline) -> Mapping[str, str]:
    """In what two uninterrupted runs differ → how, for people."""
    first = Evidence(one)
    second = Evidence(other, None, [first])
    found: dict[str, str] = {}
    codes = [_exit_code(evidence) for evidence in (second, first)]
    if codes[0] != codes[1]:
        found["the exit code"] = f"{codes[0]} instead of {codes[1]}"
    number = first_unequal(second)
    if number is not None:
        found[f"the {number.name or 'progress'} that is logged"] = str(number)
    for mine, theirs in same_step_pairs(second, first, from_attempt=1):
        _note(found, "checkpoint", mine, theirs)
    for place, name in (("checkpoints", "checkpoint"), ("model", "model")):
        states, others = (_left(evidence, place) for evidence in (second, first))
        for path in sorted(states.keys() & others.keys()):
            _note(found, name, states[path], others[path])
        if only_one := sorted(states.keys() ^ others.keys()):
            found[f"which {name} files are left"] = f"only one run has {only_one[0]}"
    return found


def _note(found: dict[str, str], name: str, mine: StateRead, theirs: StateRead) -> None:
    unlike = difference(mine, theirs)
    if unlike is not None and not (mine.unread or theirs.unread):
        found.setdefault(f"the {name} {mine.path}", str(unlike))


def _left(evidence: Evidence, place: str) -> dict[str, StateRead]:
    """What was left, by path: as it was read, or a model's file that was not, by its digest."""
    left = left_at_end(evidence, place)
    files = evidence.last(Kind.MODEL_FILES, evidence.attempts[-1]) if evidence.attempts and place == "model" else None
    if files is not None:
        for path, facts in files.data["files"].items():
            unread = "it cannot be read" if facts["digest"] == "unreadable" else ""
            by_bytes = StateRead(files.attempt, files.at, path, "bytes", str(facts["digest"]), unread=unread)
            left.setdefault(path, by_bytes)
    return {path: state for path, state in left.items() if not is_bookkeeping(path)}


def _exit_code(evidence: Evidence) -> int | None:
    exited = evidence.exited(evidence.attempts[-1]) if evidence.attempts else None
    return None if exited is None else exited.data.get("exit_code")


def _compared(timeline: Timeline) -> str:
    """What there was to compare, in a few words; a proof by an exit code alone should look like one."""
    evidence = Evidence(timeline)
    numbers = sum(1 for _ in timeline.of(Kind.METRIC))
    files = len(_left(evidence, "checkpoints")) + len(_left(evidence, "model"))
    parts = [f"{numbers} logged numbers"] * bool(numbers) + [f"{files} files that are left"] * bool(files)
    return ", ".join(parts) + " and the exit code" if parts else "the exit code"

"""What is odd about a state of S3, and how to say it in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simulator.checkpoints.s3 import PART_BYTES
from simulator.explore.crash_state import CrashState, History, StateKind, Torn
from simulator.explore.operations import Act, Operation

_AT_A_TIME = 16  # more uploads than that are never under way


def told(history: History, state: CrashState) -> CrashState:
    """The state with its kind and its sentence."""
    kind = _kind(history, state)
    return replace(state, kind=kind, how=_how(history.operations, state, kind))


def _kind(history: History, state: CrashState) -> StateKind:
    if state.torn is not None:
        return StateKind.TORN
    operations = history.operations
    lacking = min(state.left_out, default=state.after)
    saves = [save for save in history.saves if min(save) < state.after and max(save) >= lacking]
    kinds = {_of_save(operations, save, state) for save in saves}
    if StateKind.MIXED in kinds:
        return StateKind.MIXED
    if _index_disagrees(history, state):
        return StateKind.INDEX
    if any(operations[index].bytes > PART_BYTES for index in _under_way(operations, state)):
        return StateKind.MULTIPART
    if StateKind.INCOMPLETE in kinds:
        return StateKind.INCOMPLETE
    return StateKind.REORDERED if state.left_out else StateKind.IN_ORDER


def _of_save(operations: Sequence[Operation], save: Sequence[int], state: CrashState) -> StateKind | None:
    """Whether S3 holds a part of a save, and an earlier one's files in place of the others."""
    here = [i for i in save if state.had([i]) and state.objects.get(operations[i].path) == operations[i].digest]
    missing = [operations[i] for i in save if not state.had([i])]
    if not here or not missing:
        return None
    mixed = any(  # an index that is older has a kind of its own
        state.objects.get(operation.path, operation.digest) != operation.digest
        for operation in missing
        if not operation.names
    )
    return StateKind.MIXED if mixed else StateKind.INCOMPLETE


def _under_way(operations: Sequence[Operation], state: CrashState) -> list[int]:
    """The uploads that had begun and were not done when the instance went."""
    later = range(state.after, min(len(operations), state.after + _AT_A_TIME))
    begun = [index for index in later if operations[index].began_at <= state.at_seconds]
    return [index for index in (*state.left_out, *begun) if operations[index].act is Act.PUT]


def _index_disagrees(history: History, state: CrashState) -> bool:
    """A file in S3 names others that never came, or one that names what came last has not come itself."""
    operations = history.operations
    for pointer in history.pointers:
        operation = operations[pointer.operation]
        if operation.path not in state.objects:
            continue
        if state.had([pointer.operation]):
            is_here = state.objects[operation.path] == operation.digest
            if is_here and not all(any(state.had([index]) for index in uploads) for uploads in pointer.named):
                return True
        elif pointer.newest is not None and state.had([pointer.newest]):
            return True
    return False


def _how(operations: Sequence[Operation], state: CrashState, kind: StateKind) -> str:
    """The state in a sentence, without its full stop."""
    total = len(operations)
    said = f"S3 had {_count(state.after - len(state.left_out))} of the run's {total}"
    if state.after and state.after - 1 not in state.left_out:
        said += f", the last one {_change(operations[state.after - 1])}"
    waiting = [operations[index] for index in state.left_out]
    if waiting:
        said += f"; before that, still under way: {', '.join(_change(operation) for operation in waiting)}"
    if state.torn is not None:
        said += f"; {state.torn.path} had gone up while it was written: {_capture(operations, state.torn)}"
    large = [operations[i] for i in _under_way(operations, state) if operations[i].bytes > PART_BYTES]
    if large:
        said += f"; the multipart upload of {large[0].path} ({large[0].bytes} bytes) was never completed"
    return f"{kind.value}: {said}"


def _count(count: int) -> str:
    return f"{count} change" if count == 1 else f"{count} changes"


def _change(operation: Operation) -> str:
    return operation.path if operation.act is Act.PUT else f"the deletion of {operation.path}"


def _capture(operations: Sequence[Operation], torn: Torn) -> str:
    size = operations[torn.operation].bytes
    if torn.cut.kept == 0:
        return "empty"
    rest = ", and the rest of the version before" if torn.cut.tail else ""
    return f"{torn.cut.kept} of {size} bytes{rest}"

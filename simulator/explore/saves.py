"""Which operations belong to one save: files that were written together, before the training went on."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from simulator.checks.file_names import family, may_be_a_checkpoint, numbers
from simulator.explore.operations import Act, Operation

TOGETHER_SECONDS = 0.3  # a pause within a save is shorter, where the script trains on beside it


def saves_of(operations: Sequence[Operation], logged_at: Sequence[float]) -> list[tuple[int, ...]]:
    """The indices of the uploads of each save, in the order of the saves. `logged_at`: when progress was logged.

    A new save begins where a path is written again, and where training went on and either time passed or a file of the
    same kind comes under another number (ckpt-10 after ckpt-5). Where nothing was logged, it went on all the time.
    Logs and temporary files belong to no save, unless there is nothing else."""
    puts = [index for index, operation in enumerate(operations) if operation.act is Act.PUT]
    puts = [index for index in puts if may_be_a_checkpoint(operations[index].path)] or puts
    puts.sort(key=lambda index: operations[index].changed_at)
    logged = sorted(logged_at)
    saves: list[list[int]] = []
    for index in puts:
        if not saves or _begins_anew([operations[other] for other in saves[-1]], operations[index], logged):
            saves.append([])
        saves[-1].append(index)
    return [tuple(save) for save in saves]


def _begins_anew(save: Sequence[Operation], operation: Operation, logged: Sequence[float]) -> bool:
    if any(other.path == operation.path for other in save):
        return True
    last = save[-1].changed_at
    if logged and bisect(logged, last) == bisect(logged, operation.changed_at):
        return False
    name, number = family(operation.path), numbers(operation.path)[:1]
    renumbered = any(family(other.path) == name and numbers(other.path)[:1] != number for other in save)
    return renumbered or operation.changed_at - last > TOGETHER_SECONDS

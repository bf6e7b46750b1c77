"""The sample ledger: which samples the effective training was made of, epoch by epoch, across restarts.

*Effective* is what the final model was trained on. A batch that an attempt trained after the state from which a later
attempt went on is rolled back: it was lost with the instance, and doing it again repeats nothing. So of each attempt
those batches count that come before the step (or where steps begin again in each epoch, the epoch and step) at which
every later attempt began.

What a run owes is learned, not assumed: ids may come twice where they do in an epoch that nobody interrupted (sampling
with replacement), or be left out where they are (the incomplete last batch). Lines that a kill took along (a buffered
output) leave a hole in the steps, and nothing is called skipped beside a hole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from simulator.checks.evidence import Evidence
from simulator.core.timeline import Kind

Position = tuple[int, int]
"""Epoch and step; steps may count on or begin again in each epoch."""


@dataclass(frozen=True)
class Batch:
    """One told batch."""

    attempt: int
    epoch: int
    step: int
    ids: Sequence[str]

    @property
    def position(self) -> Position:
        """Where in the training it stands."""
        return self.epoch, self.step


@dataclass(frozen=True)
class Ledger:
    """All told batches of one run, in order. `incomplete` says why there are not all of them."""

    batches: Sequence[Batch]
    incomplete: str = ""

    def of(self, attempt: int) -> list[Batch]:
        """One attempt's batches."""
        return [batch for batch in self.batches if batch.attempt == attempt]

    @cached_property
    def steps_count_on(self) -> bool:
        """Whether steps go on over the epochs, so that they alone tell which of two batches came first; else they
        begin again in each."""
        return all(
            after.step >= batch.step
            for attempt in self.attempts
            for batch, after in pairwise(self.of(attempt))
            if after.epoch > batch.epoch
        )

    def order(self, batch: Batch) -> Position:
        """What tells which of two batches comes first in the training."""
        return (0, batch.step) if self.steps_count_on else batch.position

    def first(self, attempt: int) -> Batch:
        """The batch with which an attempt began."""
        return min(self.of(attempt), key=self.order)

    @cached_property
    def attempts(self) -> list[int]:
        """The attempts that told any."""
        return sorted({batch.attempt for batch in self.batches})


@dataclass(frozen=True)
class Replay:
    """An epoch across a restart in which samples came twice or never."""

    epoch: int
    attempt: int
    repeated: Sequence[str]
    skipped: Sequence[str]
    resumed_at: Position


def ledger_of(evidence: Evidence) -> Ledger:
    """The run's ledger; empty when the script tells no samples."""
    return evidence.once(_ledger_of)


def _ledger_of(evidence: Evidence) -> Ledger:
    batches: list[Batch] = []
    incomplete = ""
    events = [event for attempt in evidence.attempts for event in evidence.of(Kind.SAMPLES, attempt)]
    sidecar = any(event.data.get("source") == "sidecar" for event in events)
    for event in events:
        if "truncated" in event.data:
            incomplete = incomplete or str(event.data["truncated"])
        elif not sidecar or event.data.get("source") == "sidecar":  # told twice, it would count twice
            ids = [str(one) for one in event.data["ids"]]
            batches.append(Batch(event.attempt, int(event.data["epoch"]), int(event.data["step"]), ids))
    return Ledger(batches, incomplete)


def effective(ledger: Ledger) -> list[Batch]:
    """The batches that the final model was trained on."""
    kept: list[Batch] = []
    limit: Position | None = None
    for attempt in reversed(ledger.attempts):
        own = ledger.of(attempt)
        kept = [batch for batch in own if limit is None or ledger.order(batch) < limit] + kept
        first = ledger.order(ledger.first(attempt))
        limit = first if limit is None else min(limit, first)
    return kept


def replays(evidence: Evidence) -> list[Replay]:
    """Epochs across a restart in which a sample surely came twice, or never."""
    ledger = ledger_of(evidence)
    if ledger.incomplete or len(ledger.attempts) < 2:
        return []
    contract = _contract(evidence, ledger)
    kept = effective(ledger)
    found: list[Replay] = []
    for attempt in ledger.attempts[1:]:
        first = ledger.first(attempt)
        before = [batch for batch in kept if batch.attempt < attempt]
        if not before or not any(batch.attempt == attempt for batch in kept):
            continue
        epoch = max(batch.epoch for batch in before)
        here = [batch for batch in kept if batch.epoch == epoch]
        if epoch > first.epoch or any(other.epoch == epoch for other in found):
            continue
        seen: set[str] = set()
        again: dict[str, int] = {}
        for batch in here:
            again |= {one: batch.attempt for one in batch.ids if one in seen}
            seen.update(batch.ids)
        repeated = list(again) if contract.once else []
        skipped = contract.missing(epoch, seen, kept) if _is_gapless(before, first, ledger) else []
        if repeated or skipped:
            guilty = min(again.values()) if repeated else attempt
            found.append(Replay(epoch, guilty, repeated, skipped, ledger.first(guilty).position))
    return found


def order_difference(evidence: Evidence, baseline: Evidence) -> str | None:
    """The first place at which the effective order of samples is not the uninterrupted run's; None when it is."""
    mine, theirs = _by_position(effective(ledger_of(evidence))), _by_position(ledger_of(baseline).batches)
    for position in sorted(mine.keys() & theirs.keys()):
        if mine[position] != theirs[position]:
            epoch, step = position
            shown, expected = _few(mine[position]), _few(theirs[position])
            return f"epoch {epoch}, step {step}: {shown} instead of {expected}"
    return None


def tells_order(evidence: Evidence) -> bool:
    """Whether the run's samples and the uninterrupted runs' can be compared place by place."""
    runs = [evidence, *evidence.baselines]
    ledgers = [ledger_of(run) for run in runs]
    return all(ledger.batches and not ledger.incomplete for ledger in ledgers)


@dataclass(frozen=True)
class _Contract:
    """What an epoch owes: each id at most `once`; `everything`, where whole epochs agree on it; an uninterrupted run's
    own epochs, where two of them agree."""

    once: bool
    everything: frozenset[str] | None
    by_epoch: Mapping[int, frozenset[str]]
    largest_batch: int

    def missing(self, epoch: int, seen: set[str], kept: Sequence[Batch]) -> list[str]:
        """The ids that an epoch lacks; none where it was not trained to its end, or owes nothing known."""
        if any(batch.epoch > epoch for batch in kept) and self.everything is not None:
            return sorted(self.everything - seen, key=_natural)
        owed = self.by_epoch.get(epoch)
        if owed is None:
            return []
        lacking = sorted(owed - seen, key=_natural)
        # An incomplete last batch that is dropped drops other ids in another order: fewer than a batch.
        return lacking if len(lacking) >= self.largest_batch or owed == self.everything else []


def _contract(evidence: Evidence, ledger: Ledger) -> _Contract:
    baselines = [ledger_of(baseline) for baseline in evidence.baselines]
    whole = [*_whole_epochs(ledger)]
    for baseline in baselines:
        whole += _whole_epochs(baseline)
    by_epoch: dict[int, frozenset[str]] = {}
    unique = all(len(ids) == len(set(ids)) for _, ids in whole)
    known = bool(whole)
    if len(baselines) > 1 and all(other.batches for other in baselines):
        sets = [_ids_by_epoch(other.batches) for other in baselines]
        for epoch, ids in sets[0].items():
            unique = unique and len(ids) == len(set(ids))
            known = True
            if all(set(other.get(epoch, ())) == set(ids) for other in sets[1:]):
                by_epoch[epoch] = frozenset(ids)
    contents = {frozenset(ids) for _, ids in whole}
    everything = next(iter(contents)) if len(contents) == 1 else None
    # One epoch may have left out its last batch, and another other samples: two with the same ids have not.
    same = {epoch for epoch, ids in whole + _one_attempts_epochs(ledger) if frozenset(ids) == everything}
    everything = everything if len(same) > 1 else None
    largest = max((len(batch.ids) for batch in ledger.batches), default=0)
    return _Contract(known and unique, everything if unique else None, by_epoch if unique else {}, largest)


def _whole_epochs(ledger: Ledger) -> list[tuple[int, list[str]]]:
    """The epochs that one attempt trained from its first batch to its last: a later one follows, and an earlier one
    comes before unless the attempt was the first."""
    found = []
    for attempt in ledger.attempts:
        by_epoch = _ids_by_epoch(ledger.of(attempt))
        numbers = sorted(by_epoch)
        begun = numbers[:-1] if attempt == ledger.attempts[0] else numbers[1:-1]
        found += [(epoch, by_epoch[epoch]) for epoch in begun]
    return found


def _one_attempts_epochs(ledger: Ledger) -> list[tuple[int, list[str]]]:
    """The epochs of which one attempt alone tells, whole or not."""
    told = [(attempt, _ids_by_epoch(ledger.of(attempt))) for attempt in ledger.attempts]
    often = Counter(epoch for _, by_epoch in told for epoch in by_epoch)
    return [(epoch, ids) for _, by_epoch in told for epoch, ids in by_epoch.items() if often[epoch] == 1]


def _is_gapless(before: Sequence[Batch], first: Batch, ledger: Ledger) -> bool:
    """Whether the later attempt's first batch follows the last one that counts, so that none between is untold."""
    last = max(before, key=ledger.order)
    gaps = Counter(
        after - step
        for attempt in ledger.attempts
        for step, after in pairwise(batch.position[1] for batch in ledger.of(attempt))
        if after > step
    )
    usual = gaps.most_common(1)[0][0] if gaps else 1
    return first.step - last.step in (0, usual)


def _ids_by_epoch(batches: Iterable[Batch]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for batch in batches:
        found[batch.epoch] += batch.ids
    return found


def _by_position(batches: Iterable[Batch]) -> dict[Position, list[str]]:
    found: dict[Position, list[str]] = defaultdict(list)
    for batch in batches:
        found[batch.position] += batch.ids
    return found


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (1 << 62, text)


def _few(ids: Sequence[str], count: int = 4) -> str:
    return " ".join(ids[:count]) + (" …" if len(ids) > count else "")

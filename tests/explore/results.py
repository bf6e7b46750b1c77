"""Results of a search, as short as a test can say them."""

from __future__ import annotations

from typing import Any

from simulator.explore.trial import Outcome, Schedule, Trial, TrialResult


def result(
    number: int, *interruptions: str, outcome: Outcome = Outcome.SURVIVED, profile: str = "sudden", **more: Any
) -> TrialResult:
    """A trial of that number, and what came of it; `state`, `label` and `faults` go to the trial."""
    of_trial = {name: more.pop(name) for name in ("label", "state", "faults") if name in more}
    schedule = Schedule(interruptions, profile)
    trial = Trial(number, schedule, **{"label": str(schedule), **of_trial})
    known = {"evidence": "the second attempt died of model.ckpt", "rules": ("SPOT004",)}
    told = known if outcome is Outcome.FAILED else {"evidence": f"it {outcome.value}"}
    return TrialResult(trial, outcome, **{**told, **more})

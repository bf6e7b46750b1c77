"""What a run under faults says of the script: nothing that is the fault's doing, and whether the harness held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulator.core.errors import EnvironmentFailure
from simulator.explore.faults import Faults
from simulator.explore.harm import Evidence
from simulator.explore.trial import SOUND, Outcome, Trial, TrialResult, result_of
from simulator.verdict import Verdict

LATE = frozenset({"SPOT001", "SPOT003", "SPOT006", "SPOT007", "SPOT013", "SPOT014"})
"""The rules that a slow or refusing S3, or a disk that failed, makes fire by itself: what was written was not in S3 in
time, more work was done again, all of it took longer."""


def judge_fault(
    trial: Trial,
    ended: Verdict | EnvironmentFailure,
    evidence: Evidence,
    seconds: float,
    control: Callable[[], TrialResult],
    last: float | None = None,
) -> TrialResult:
    """What came of a trial under faults. `control` runs the same schedule without them; it is asked only where the
    run was not sound, and its answer decides whose doing that is:

    - the harness told something durable that is not, left something behind, or gave up under a fault that passes:
      BROKEN, the simulator's own failure;
    - the fault did not come: MISSED;
    - the fault does not pass, and the run ended as the environment's failure: UNDECIDED, as it must;
    - not sound without the fault either: FAILED, with the rules that fire there;
    - sound without it, the job completed, and only rules of lateness fire: SURVIVED, and the sentence says why;
    - sound without it, and something else fires or the job ended: UNDECIDED, the fault's doing;
    - without it nothing is shown, the job completed and more than lateness fires: FAILED, as no fault explains that
      (a search confirms it without one);
    - without it nothing is shown either: what the control came to.

    `last`: see `result_of`.
    """
    faults = Faults.from_dict(trial.faults)
    failure = ended if isinstance(ended, EnvironmentFailure) else None

    def told(outcome: Outcome, why: str) -> TrialResult:
        return TrialResult(trial, outcome, why, seconds=round(seconds, 3))

    if evidence.falsehoods:
        more = f" ({len(evidence.falsehoods) - 1} more)" if len(evidence.falsehoods) > 1 else ""
        return told(Outcome.BROKEN, f"the simulator told what is not so: {evidence.falsehoods[0]}{more}")
    if evidence.left:
        return told(Outcome.BROKEN, f"the simulator left behind {', '.join(evidence.left)}")
    if failure is not None and (faults.passes or not evidence.happened):
        return told(Outcome.BROKEN, f"the simulator did not outlast {faults}: {failure.what}: {failure.why}")
    if not evidence.happened:
        return told(Outcome.MISSED, f"the run ended before {faults}")
    if failure is not None:
        return told(Outcome.UNDECIDED, f"no run can go on, and this one said so: {failure.what}: {failure.why}")
    assert isinstance(ended, Verdict)
    result = result_of(trial, ended, seconds, last)
    if result.outcome in SOUND:
        return result
    return _whose_doing(result, ended, control())


def _whose_doing(result: TrialResult, verdict: Verdict, control: TrialResult) -> TrialResult:
    if control.outcome is Outcome.FAILED:
        both = tuple(rule for rule in result.rules if rule in control.rules)
        return replace(
            control,
            trial=result.trial,
            rules=both or control.rules,
            seconds=result.seconds,
            evidence=f"without the fault too: {control.evidence}",
        )
    rules = ", ".join(result.rules)
    beyond = tuple(rule for rule in result.rules if rule not in LATE)
    if control.outcome is Outcome.UNPROVED and verdict.completed and beyond:
        return replace(
            result, rules=beyond, evidence=f"{result.evidence} (without the fault nothing is shown: {control.evidence})"
        )
    if control.outcome not in SOUND:
        return replace(
            result,
            outcome=control.outcome,
            rules=(),
            evidence=f"{result.evidence}; without the fault: {control.evidence}",
        )
    said = f"{rules + ': ' if rules else ''}{result.evidence}"
    if verdict.completed and result.rules and set(result.rules) <= LATE:
        return replace(
            result,
            outcome=Outcome.SURVIVED,
            rules=(),
            evidence=f"the fault's doing, as without it the script survives, and under it the job completed ({said})",
        )
    return replace(
        result,
        outcome=Outcome.UNDECIDED,
        rules=(),
        evidence=f"the fault's doing, as without it the script survives ({said})",
    )

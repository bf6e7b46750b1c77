"""What an attempt at a recorded state of S3 shows of the script: the judge's answer, with what the recording tells.

The judge sees a timeline, and convicts only of what is sure in that. Here it is known besides which saves a state holds
as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simulator.checks import Severity, restarted_from_scratch, torn_checkpoint
from simulator.checks.evidence import Evidence
from simulator.core.timeline import Kind, Timeline
from simulator.explore.recording import Recording
from simulator.explore.splice import spliced
from simulator.explore.states import CrashState, StateKind
from simulator.verdict import Answer, Baseline, JudgeOptions, Reason, Verdict, judge

PROGRESS_TIER = 3  # the weakest proof: it continued
_ALL = 0.9  # of the lines of the uninterrupted run
_STARTED_ANEW = frozenset({"SPOT001", "SPOT002", "SPOT003", "SPOT007"})
_DONE = Reason(
    "the script survived",
    "S3 held the last save of a finished training, and the attempt left the same model as the uninterrupted run",
    "try a state in the middle of training",
)
_NOTHING_SAVED = Reason(
    "the job completed from the start",
    "no save had wholly reached S3 when the instance went, so that there was nothing to resume from",
    "save a first checkpoint sooner, to have less at risk",
)


def judge_state(
    recording: Recording,
    state: CrashState,
    resumed: Timeline,
    baselines: Sequence[Timeline] = (),
    options: JudgeOptions | None = None,
) -> Verdict:
    """What an attempt at a state shows of the script. `resumed`: the run of one attempt, not interrupted, whose store
    held the state.

    Where no save had wholly reached S3, beginning at the start is no fault and nothing was at stake. Where nothing was
    left to train, as the last save was there, the model that the attempt left is what shows that it survived. Where a
    whole save is there, an attempt that does all the work again has not found it."""
    timeline = spliced(recording, state, resumed)
    verdict = judge(timeline, options=options, baseline=Baseline(list(baselines)) if baselines else None)
    if recording.nothing_was_saved(state):
        return _without_blame(verdict)
    if state.kind is StateKind.MIXED and verdict.verdict is Answer.FAILED:
        return _explained(verdict, state)
    if verdict.verdict is Answer.ERROR and verdict.completed:
        was_over = recording.nothing_was_left(state)
        same_model = bool(_models(resumed)) and _models(resumed) == _models(recording.timeline)
        if same_model and (was_over or not resumed.of(Kind.METRIC)):
            shown = [_DONE.why]
            return replace(verdict, verdict=Answer.SURVIVED, reason=_DONE, tier=PROGRESS_TIER, tier_evidence=shown)
        if was_over:
            return replace(verdict, at_stake=False)
        if began_anew(recording, resumed) and (whole := recording.whole_save_in(state)):
            return _started_anew(verdict, recording, state, whole)
    return verdict


def _without_blame(verdict: Verdict) -> Verdict:
    """The verdict of a state in which there was nothing to resume from."""
    findings = [one for one in verdict.findings if one.rule not in _STARTED_ANEW or one.severity is not Severity.ERROR]
    if any(one.severity is Severity.ERROR for one in findings) or not verdict.completed:
        return verdict
    if verdict.verdict is Answer.FAILED:
        return replace(verdict, verdict=Answer.ERROR, reason=_NOTHING_SAVED, findings=findings, at_stake=False)
    return replace(verdict, at_stake=False)


def _explained(verdict: Verdict, state: CrashState) -> Verdict:
    """A run that went wrong on files of two saves did so because of them: what diverged is told with that."""
    told = {
        finding.message: replace(
            finding,
            message=f"S3 held files of two saves ({state.how}), and attempt 2 went on from them: {finding.message}",
            fix=torn_checkpoint.ONE_SAVE,
        )
        for finding in verdict.findings
        if finding.rule == "SPOT008" and finding.severity is Severity.ERROR
    }
    reason = verdict.reason
    if reason.why in told:
        reason = replace(reason, why=told[reason.why].message)
    return replace(verdict, reason=reason, findings=[told.get(one.message, one) for one in verdict.findings])


def _models(timeline: Timeline) -> Mapping[str, Any] | None:
    told = timeline.last(Kind.MODEL_FILES)
    return None if told is None else told.data["files"]


def began_anew(recording: Recording, resumed: Timeline) -> bool:
    """Whether an attempt did all the work of the uninterrupted run again, as its log shows."""
    again, whole = (Evidence(timeline).walk(1) for timeline in (resumed, recording.timeline))
    if again is None or whole is None or again.first.value > whole.first.value:
        return False
    return len(again.readings) >= _ALL * len(whole.readings)


def _started_anew(verdict: Verdict, recording: Recording, state: CrashState, whole: Sequence[str]) -> Verdict:
    finding = restarted_from_scratch.RULE.finding(
        2,
        f"Attempt 2 began again at the start, although S3 held a whole save: {', '.join(whole[:4])} ({state.how}).",
        {"whole_save": list(whole), "restored_files": sorted(state.objects)[:20]},
    )
    what = f"the script does not survive: {finding.rule} {finding.name}"
    reason = Reason(what, finding.message, f"spot-simulator rules {finding.rule}")
    return replace(verdict, verdict=Answer.FAILED, reason=reason, findings=[finding, *verdict.findings])

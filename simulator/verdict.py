"""The answer: did the script survive, what proves it, what was lost, and what was not proven.

"Survived" is said only when every planned interruption was seen to happen, the job completed, no rule found an error,
and a later attempt was seen to go on from where an earlier one had been. Whatever is missing of that is named; it never
counts as survived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from simulator.checks import BrokenCheck, Finding, Severity, check_all
from simulator.checks.equivalence import Comparison, compare
from simulator.checks.evidence import Evidence, EvidenceMissing, JudgeOptions
from simulator.checks.resume import Resume, resumes
from simulator.checks.tried import not_tried
from simulator.core.errors import ExitCode
from simulator.core.hosts import log_to_read
from simulator.core.lifecycle import FINAL, SecondaryStatus, TrainingJobStatus, status_of
from simulator.core.timeline import Kind, Timeline

__all__ = ["Answer", "Baseline", "JudgeOptions", "Loss", "Losses", "Reason", "Verdict", "judge"]

_PROGRESS_TIER = 3


class Answer(StrEnum):
    """The three answers. `error`: nothing was interrupted, or what happened proves nothing either way."""

    SURVIVED = "survived"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True)
class Baseline:
    """The same job run without interruption, twice where tier 1 is to be asked."""

    runs: Sequence[Timeline]


@dataclass(frozen=True)
class Reason:
    """Why the verdict is what it is, in the three fields of every message to people."""

    what: str
    why: str
    next_step: str


@dataclass(frozen=True)
class Loss:
    """What one interruption cost; None where nothing tells. `work_seconds` is from the newest durable checkpoint's
    write (or the process's start) to the kill; `restart_seconds` from there to the next process's start."""

    attempt: int
    metric: str | None
    reached: float | None
    resumed_at: float | None
    progress_lost: float | None
    work_seconds: float
    restart_seconds: float | None


@dataclass(frozen=True)
class Losses:
    """What all interruptions cost."""

    interruptions: Sequence[Loss] = ()

    @property
    def progress_lost(self) -> float:
        """The metric's units done again, where known."""
        return sum(loss.progress_lost or 0.0 for loss in self.interruptions)

    @property
    def seconds_lost(self) -> float:
        """Work lost and restarts, in seconds."""
        return sum(loss.work_seconds + (loss.restart_seconds or 0.0) for loss in self.interruptions)


@dataclass(frozen=True)
class Verdict:
    """The answer with all that it rests on. `tier`: 1, 2 or 3 when survived (3 is the weakest proof), else None.
    `not_proved` is what this run might have shown and did not; `not_tried` what it says nothing of.

    `completed`: the job ended Completed. `interruptions_missed`: so many of the planned ones were not seen to happen.
    `at_stake`: some interruption came when there was work that a checkpoint should have kept."""

    verdict: Answer
    reason: Reason
    tier: int | None = None
    tier_evidence: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    not_proved: list[str] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    broken_checks: list[BrokenCheck] = field(default_factory=list)
    not_tried: list[str] = field(default_factory=list)
    completed: bool = False
    interruptions_missed: int = 0
    at_stake: bool = True

    @property
    def exit_code(self) -> ExitCode:
        """The command's exit code."""
        return {
            Answer.SURVIVED: ExitCode.SURVIVED,
            Answer.FAILED: ExitCode.DOES_NOT_SURVIVE,
            Answer.ERROR: ExitCode.USAGE,
        }[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """The verdict's part of report.json."""
        return {
            "verdict": self.verdict.value,
            "reason": asdict(self.reason),
            "tier": self.tier,
            "tier_evidence": list(self.tier_evidence),
            "findings": [finding.as_dict() for finding in self.findings],
            "not_proved": list(self.not_proved),
            "not_tried": list(self.not_tried),
            "losses": {
                "interruptions": [asdict(loss) for loss in self.losses.interruptions],
                "progress_lost": self.losses.progress_lost,
                "seconds_lost": self.losses.seconds_lost,
            },
            "broken_checks": [asdict(check) for check in self.broken_checks],
        }


def judge(timeline: Timeline, *, baseline: Baseline | None = None, options: JudgeOptions | None = None) -> Verdict:
    """Judge a finished run by its timeline alone (and the uninterrupted runs' timelines). Never raises for what a
    timeline holds or lacks: that is what the verdict `error` is for."""
    baselines = [Evidence(run, options) for run in (baseline.runs if baseline else ())]
    evidence = Evidence(timeline, options, baselines)
    findings, broken = check_all(evidence)
    try:
        return _Judgement(evidence, findings, broken).verdict()
    except Exception as error:  # noqa: BLE001 - an unreadable timeline is an open question, not a crash
        reason = Reason(
            "the run cannot be judged",
            f"its timeline could not be read: {type(error).__name__}: {error}",
            "run it again, and report this with the run's timeline.jsonl",
        )
        return Verdict(Answer.ERROR, reason, findings=findings, broken_checks=broken)


@dataclass(frozen=True)
class _Proof:
    """What is known of one interruption's aftermath. `needed` False: nothing was at stake, so nothing needs proving."""

    shown: list[str]
    needed: bool = True
    lacking: str = ""


class _Judgement:
    def __init__(self, evidence: Evidence, findings: list[Finding], broken: list[BrokenCheck]) -> None:
        self._evidence = evidence
        self._findings = findings
        self._broken = broken
        self._resumes = {resume.attempt: resume for resume in resumes(evidence)}

    def verdict(self) -> Verdict:
        evidence = self._evidence
        proofs = {attempt: self._proof(attempt) for attempt in evidence.reclaimed}
        not_proved = [f"interruption {attempt}: {proof.lacking}" for attempt, proof in proofs.items() if proof.lacking]
        not_proved += [
            f"{check.rule} {check.name}: the check could not answer: {check.error}" for check in self._broken
        ]
        answer, reason = self._answer(proofs)
        shown = [line for proof in proofs.values() for line in proof.shown]
        tier: int | None = None
        if answer is Answer.SURVIVED:
            comparison = _compared(evidence)
            tier = comparison.tier or _PROGRESS_TIER
            shown += comparison.evidence
            not_proved += comparison.open
        return Verdict(
            answer,
            reason,
            tier,
            shown,
            self._findings,
            not_proved,
            self._losses(),
            self._broken,
            _not_tried(evidence),
            completed=self._completed,
            interruptions_missed=sum(self._not_seen(attempt) is not None for attempt in self._planned()),
            at_stake=any(proof.needed for proof in proofs.values()),
        )

    @property
    def _completed(self) -> bool:
        status = self._evidence.final_status
        return status is not None and status_of(SecondaryStatus(status)) is TrainingJobStatus.COMPLETED

    # The answer, in the order in which a reader would ask.

    def _answer(self, proofs: dict[int, _Proof]) -> tuple[Answer, Reason]:
        evidence = self._evidence
        status = evidence.final_status
        refused = next((finding for finding in self._findings if finding.rule == "SPOT016"), None)
        if refused is not None and status is None:
            return Answer.FAILED, Reason(
                f"the job was not started: {refused.rule} {refused.name}",
                refused.message,
                f"spot-simulator rules {refused.rule}",
            )
        if status is None or SecondaryStatus(status) not in FINAL:
            return Answer.ERROR, Reason(
                "the run did not come to its end",
                f"the job's last status is {status or 'none'}",
                "run it again",
            )
        errors = [finding for finding in self._findings if finding.severity is Severity.ERROR]
        completed = self._completed
        triggered = evidence.timeline.first(Kind.TRIGGER_FIRED) is not None
        if completed and not triggered:
            return Answer.ERROR, self._nothing_interrupted()
        if errors:
            first = errors[0]
            more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
            return Answer.FAILED, Reason(
                f"the script does not survive: {first.rule} {first.name}{more}",
                first.message,
                first.fix.splitlines()[0] if "\n" not in first.fix else f"spot-simulator rules {first.rule}",
            )
        if not completed:
            return Answer.FAILED, self._not_completed(status)
        missed = [(attempt, why) for attempt in self._planned() if (why := self._not_seen(attempt))]
        if missed:
            return Answer.ERROR, self._missed(*missed[0])
        if self._broken:
            check = self._broken[0]
            return Answer.ERROR, Reason(
                f"the run cannot be judged: {check.rule} {check.name} could not answer",
                check.error,
                "run it again; if it happens again, report this with the run's timeline.jsonl",
            )
        if evidence.progress is None:
            return Answer.ERROR, Reason(
                "the job completed, but nothing shows that it resumed",
                "no log line gave a metric that grows, such as step or epoch, so that its progress cannot be read",
                r"name one of your own, for example --metric 'step=step (\d+)'",
            )
        open_ = [(attempt, proof) for attempt, proof in proofs.items() if proof.needed and not proof.shown]
        if open_ or not any(proof.shown for proof in proofs.values()):
            attempt, proof = (open_ or list(proofs.items()))[0]
            return Answer.ERROR, Reason(
                f"the job completed, but nothing shows that it resumed after interruption {attempt}",
                proof.lacking,
                "interrupt later, when more than one checkpoint is in S3, for example --interrupt checkpoint=2",
            )
        shown = next(proof.shown[0] for proof in proofs.values() if proof.shown)
        return Answer.SURVIVED, Reason(
            f"the script survived {len(proofs)} interruption{'s' if len(proofs) != 1 else ''}",
            shown,
            "try harder moments: --interrupt save, --interrupt upload, --profile sudden",
        )

    def _planned(self) -> range:
        return range(1, len(self._evidence.planned) + 1)

    def _nothing_interrupted(self) -> Reason:
        evidence = self._evidence
        if not evidence.planned:
            return Reason(
                "nothing was interrupted", "the plan holds no interruption", "add for example --interrupt checkpoint=2"
            )
        return Reason(
            "nothing was interrupted",
            f"the script ended before {evidence.planned[0]!r} came{self._how_far()}",
            f"use an earlier one, for example {self._earlier()}, or let the script train longer",
        )

    def _how_far(self) -> str:
        evidence = self._evidence
        attempt = evidence.attempts[-1] if evidence.attempts else 0
        walk, began = evidence.walk(attempt), evidence.began_at(attempt)
        parts = []
        if began is not None:
            parts.append(f"it trained {evidence.gone_at(attempt) - began:.1f} s")
        if walk is not None and evidence.progress is not None:
            parts.append(f"reached {evidence.progress.axis.describe(walk.last.value)}")
        saves = len(evidence.saves(attempt))
        if saves:
            parts.append(f"wrote {saves} checkpoint{'s' if saves != 1 else ''}")
        return f" ({', '.join(parts)})" if parts else ""

    def _earlier(self) -> str:
        evidence = self._evidence
        attempt = evidence.attempts[-1] if evidence.attempts else 0
        walk, began = evidence.walk(attempt), evidence.began_at(attempt)
        if walk is not None and evidence.progress is not None and evidence.progress.axis.within is None:
            middle = walk.first.value + (walk.last.value - walk.first.value) // 2
            if middle > walk.first.value:
                return f"--interrupt {evidence.progress.axis.name}={middle:g}"
        if began is not None:
            return f"--interrupt {max(1, int((evidence.gone_at(attempt) - began) / 2))}s"
        return "--interrupt save"

    def _not_completed(self, status: str) -> Reason:
        evidence = self._evidence
        attempt = evidence.attempts[-1] if evidence.attempts else 0
        exited = evidence.exited(attempt)
        tail = [str(line) for line in exited.data.get("log_tail", ())] if exited else []
        code = exited.data.get("exit_code") if exited else None
        when = "" if evidence.first(Kind.TRIGGER_FIRED, attempt) else ", without being interrupted in that attempt"
        last = next((f": {line.strip()}" for line in reversed(tail) if line.strip()), "")
        host = evidence.ended_by(attempt)
        on_host = f" on {host}" if host else ""
        log = log_to_read(attempt, evidence.hosts, host)
        return Reason(
            f"the job ended {status}",
            f"attempt {attempt} exited with {code}{on_host}{when}{last}",
            f"read logs/{log}, and mend the script first",
        )

    # Whether the planned interruptions happened.

    def _not_seen(self, attempt: int) -> str | None:
        """What of the attempt's planned interruption was not seen to happen; None when all of it was."""
        evidence = self._evidence
        if attempt not in evidence.attempts:
            return "there was no such attempt"
        if evidence.first(Kind.TRIGGER_FIRED, attempt) is None:
            return f"the attempt ended before {evidence.planned[attempt - 1]!r} came"
        if evidence.outcome(attempt) != "reclaimed":
            return f"the attempt ended by itself ({evidence.outcome(attempt)}), before the instance was taken away"
        if evidence.first(Kind.INSTANCE_WIPED, attempt) is None:
            return "the instance was not wiped"
        if evidence.began_at(attempt) is None:
            return None  # taken away while it restored: there was no process to tell or to kill
        profile = evidence.profile
        killed = evidence.killed(attempt)
        if profile["warning_seconds"] is not None and evidence.notice(attempt) is None:
            return "the notice was not given"
        if profile["sigterm"]:
            if evidence.sigterm(attempt) is None:
                return "SIGTERM did not reach the process"
            return None if killed or evidence.exited(attempt) else "the process was not seen to end"
        return None if killed else "the process was not killed: it had ended before"

    def _missed(self, attempt: int, why: str) -> Reason:
        happened = len(self._evidence.reclaimed)
        return Reason(
            f"interruption {attempt} of {len(self._evidence.planned)} did not happen"
            + (f" ({happened} did)" if happened else ""),
            f"{why}{self._how_far()}",
            f"use an earlier one, for example {self._earlier()}, or fewer",
        )

    # What shows that training went on.

    def _proof(self, attempt: int) -> _Proof:
        evidence, progress = self._evidence, self._evidence.progress
        if evidence.began_at(attempt) is None:
            return _Proof([], needed=False, lacking="it came before training began, so that there was nothing to lose")
        if progress is None:
            return _Proof([], lacking="no log line tells the progress")
        resume = self._resume_after(attempt)
        if resume is None:
            return _Proof([], lacking="no later attempt logged any progress")
        if not resume.shows_progress:
            too_early = any(
                finding.rule == "SPOT001" and finding.attempt == attempt and finding.severity is Severity.WARNING
                for finding in self._findings
            )
            why = resume.why or "the next attempt began again from the start"
            return _Proof([], needed=not too_early, lacking=why)
        restored = self._restored_as_it_was(resume)
        if restored is None:
            return _Proof([], lacking="what was restored is not what was in S3 when the instance went")
        return _Proof([self._story(resume), restored])

    def _resume_after(self, attempt: int) -> Resume | None:
        return next((resume for number, resume in sorted(self._resumes.items()) if number > attempt), None)

    def _story(self, resume: Resume) -> str:
        evidence, progress = self._evidence, self._evidence.progress
        if progress is None:
            raise EvidenceMissing("no progress")
        tell = progress.axis.describe
        began, reached = tell(resume.first_value), tell(resume.reached)
        story = f"attempt {resume.attempt} went on at {began}, after the run had reached {reached}"
        newest = evidence.newest_durable(resume.after)
        if newest is None:
            return story
        walk = progress.walks.get(newest.version.attempt)
        written = walk.at(newest.content_at) if walk else None
        where = f", written at about {tell(written.value)}" if written else ""
        return f"{story}; the newest checkpoint in S3 was {newest.version.path}{where}"

    def _restored_as_it_was(self, resume: Resume) -> str | None:
        """The line that says that the restore gave back what was in S3, None when it did not."""
        evidence = self._evidence
        kept = {file.path: file.digest for file in evidence.durable_at_kill(resume.after)}
        back = evidence.manifest("restored", resume.attempt)
        if back is None:
            raise EvidenceMissing(f"nobody noted what was restored for attempt {resume.attempt}")
        restored = {path: str(facts.get("digest", "")) for path, facts in back.items()}
        if any(restored.get(path) != digest for path, digest in kept.items()):
            return None
        return (
            f"attempt {resume.attempt} was given back what was in S3 at the kill, equal in content ({len(kept)} files)"
        )

    # What it cost.

    def _losses(self) -> Losses:
        return Losses([self._loss(attempt) for attempt in self._evidence.reclaimed])

    def _loss(self, attempt: int) -> Loss:
        evidence, progress = self._evidence, self._evidence.progress
        gone_at, began_at = evidence.gone_at(attempt), evidence.began_at(attempt)
        walk, later = evidence.walk(attempt), evidence.walk_after(attempt)
        resumed = lost = None
        reached = walk.last.value if walk is not None and progress is not None else None
        if reached is not None and later is not None and progress is not None:
            resumed = later[1].first.value
            lost = max(0.0, reached - resumed + progress.stride)
        try:
            newest = evidence.newest_durable(attempt)
        except EvidenceMissing:
            newest = None
        since = newest.content_at if newest is not None and newest.version.attempt == attempt else began_at
        next_start = evidence.began_at(attempt + 1)
        return Loss(
            attempt,
            progress.axis.label if progress else None,
            reached,
            resumed,
            lost,
            max(0.0, gone_at - since) if since is not None else 0.0,
            None if next_start is None else max(0.0, next_start - gone_at),
        )


def _not_tried(evidence: Evidence) -> list[str]:
    try:
        return not_tried(evidence)
    except (EvidenceMissing, KeyError):
        return []  # of a timeline without a beginning nobody can say what it tried


def _compared(evidence: Evidence) -> Comparison:
    try:
        return compare(evidence)
    except EvidenceMissing as missing:
        return Comparison(None, open=[f"tiers 1 and 2: {missing}"])

"""Attempts that found restored files and died before any progress of their own: what two rules ask about.

Leaves out a script that crashes without restored files too, one that had trained on, and one being interrupted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from simulator.checks.evidence import Evidence, EvidenceMissing

_TAIL = 15
_ERROR = re.compile(r"^\s*([\w.]*(Error|Exception|Interrupt|Exit)\b.*|.*\b(fatal|panic|Segmentation fault)\b.*)", re.I)
_READS_HALF = re.compile(
    r"EOF|truncat|BadZip|not a zip|zip archive|central directory|Unpickling|ran out of input|corrupt|damaged|\btorn\b"
    r"|magic|unexpected end|end-of-stream|invalid load key|DataLoss|JSONDecode|unterminated string|IncompleteBody"
    r"|IncompleteBuffer|HeaderTooLarge|InvalidHeader|checksum|cannot reshape array|buffer is smaller|incomplete|No data"
    r"|unable to (synchronously )?open file",
    re.I,
)
_MISMATCH = re.compile(
    r"mismatch|generation|inconsisten|do(es)? ?n.t match|do(es)? not match|differ|out of sync|not the same|checksum",
    re.I,
)


@dataclass(frozen=True)
class Death:
    """How an attempt died while it restored. `reason`: the error's own line, empty where there is none. `host`: that
    died, where it was another than the leading one."""

    attempt: int
    exit_code: object
    lived_seconds: float
    restored: list[str]
    tail: list[str]
    reason: str
    host: str = ""

    @property
    def who(self) -> str:
        """How sentences call it."""
        return f"Attempt {self.attempt}" + (f" on {self.host}" if self.host else "")

    @property
    def reads_half(self) -> bool:
        """Whether the error is one that half a file gives."""
        return _READS_HALF.search(self._text) is not None

    @property
    def finds_a_mismatch(self) -> bool:
        """Whether the script says that its files do not belong together."""
        return _MISMATCH.search(self._text) is not None

    def names(self, path: str) -> bool:
        """Whether its last lines name a file; one with a name of its own, or with its folder."""
        name = PurePosixPath(path)
        wanted = name.name if len(name.name) > 4 else "/".join(name.parts[-2:])
        return wanted in self._text

    @property
    def _text(self) -> str:
        return "\n".join(self.tail)


def restore_deaths(evidence: Evidence) -> list[Death]:
    """Each later attempt that failed before progress beyond what was restored."""
    return evidence.once(_restore_deaths)


def _restore_deaths(evidence: Evidence) -> list[Death]:
    deaths = []
    for before, attempt in zip(evidence.attempts, evidence.attempts[1:], strict=False):
        exited = evidence.exited(attempt)
        if exited is None or evidence.outcome(attempt) != "failed" or evidence.warned_at(attempt) is not None:
            continue
        restored = evidence.manifest("restored", attempt)
        if restored is None:
            raise EvidenceMissing(f"nobody noted what was restored for attempt {attempt}")
        code = exited.data.get("exit_code")
        if not restored or code == 0 or _made_progress(evidence, before, attempt):
            continue
        tail = [str(line) for line in exited.data.get("log_tail", ())][-_TAIL:]
        reason = next((line.strip() for line in reversed(tail) if _ERROR.search(line)), tail[-1] if tail else "")
        lived = exited.at - (evidence.began_at(attempt) or exited.at)
        deaths.append(Death(attempt, code, lived, sorted(restored), tail, reason, evidence.ended_by(attempt)))
    return deaths


def _made_progress(evidence: Evidence, before: int, attempt: int) -> bool:
    walk = evidence.walk(attempt)
    if walk is None:
        # Without a metric, a checkpoint written anew is the only sign of training.
        return evidence.progress is None and any(v.settled_at for v in evidence.files.by_attempt.get(attempt, ()))
    earlier = [
        known.last.value for number in evidence.attempts if number <= before and (known := evidence.walk(number))
    ]
    return walk.last.value > max(earlier, default=float("-inf")) or walk.second_value() is not None

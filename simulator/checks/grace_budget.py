"""The grace as a budget: from the notice (or SIGTERM) to SIGKILL, what the time went on, and how large a checkpoint
would still fit.

Only a reaction is split: a save at the script's regular interval tells nothing of how fast it answers. Instants of
writes and uploads are as exact as they are seen (about 0.2 s); the extrapolation keeps everything but the upload as it
was, so it holds for checkpoints whose writing does not take much longer than here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from simulator.checks.durability import Version
from simulator.checks.evidence import Evidence
from simulator.checks.signal_path import answers, sent_at
from simulator.core.reaction import speaks_of_the_end
from simulator.core.timeline import Kind

ASSUMED_UPLOAD_BYTES_PER_SECOND = 50e6
"""A named assumption: S3 documents 85–90 MB/s for one connection in the region ("Performance guidelines"); how many
SageMaker's uploader uses, and what of the network training leaves it, nobody documents. 50 MB/s is on the safe side."""
_LEAST_SECONDS = 0.001


@dataclass(frozen=True)
class Segment:
    """What a part of the window went on; `started_at` in run seconds. `name`: notice-seen (until the script showed that
    it knew), step-finished (until the save began), save, upload, margin."""

    name: str
    started_at: float
    seconds: float


@dataclass(frozen=True)
class GraceBudget:
    """One attempt's window. `bytes`: what was saved in reaction. `fits_bytes`: None where nothing was."""

    window_seconds: float
    start: str
    segments: Sequence[Segment]
    bytes: int
    upload_bytes_per_second: float | None
    fits_bytes: float | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """As report.json holds it."""
        return {
            "window_seconds": self.window_seconds,
            "from": self.start,
            "segments": [asdict(segment) for segment in self.segments],
            "bytes": self.bytes,
            "upload_bytes_per_second": self.upload_bytes_per_second,
            "fits": {"bytes_per_second": ASSUMED_UPLOAD_BYTES_PER_SECOND, "bytes": self.fits_bytes},
            "sentence": self.sentence,
        }


def grace_budget(evidence: Evidence, attempt: int) -> GraceBudget | None:
    """The budget of an attempt that was reclaimed with a notice or SIGTERM; None for any other."""
    if attempt not in evidence.reclaimed or evidence.began_at(attempt) is None:
        return None
    notice, sigterm_at = evidence.notice(attempt), sent_at(evidence, attempt)
    begins_at = notice.at if notice is not None else sigterm_at
    ends_at = _ends_at(evidence, attempt)
    if begins_at is None or ends_at is None or ends_at <= begins_at:
        return None
    return _Window(evidence, attempt, begins_at, ends_at, sigterm_at).budget("sigterm" if notice is None else "notice")


def _ends_at(evidence: Evidence, attempt: int) -> float | None:
    """When SIGKILL came, or would have come."""
    killed, signal, notice = evidence.killed(attempt), evidence.sigterm(attempt), evidence.notice(attempt)
    if killed is not None:
        return killed.at
    if signal is not None:
        return float(signal.data.get("scheduled_at", signal.at)) + float(evidence.profile["grace_seconds"])
    if notice is not None and "terminate_at" in notice.data:
        return float(notice.data["terminate_at"])
    return None


class _Window:
    def __init__(
        self, evidence: Evidence, attempt: int, begins_at: float, ends_at: float, sigterm_at: float | None
    ) -> None:
        self._evidence, self._attempt = evidence, attempt
        self._begins_at, self._ends_at, self._sigterm_at = begins_at, ends_at, sigterm_at
        self._saves = self._last_reaction()
        self._spoken_at = self._first_line_that_speaks()

    def budget(self, start: str) -> GraceBudget:
        segments = self._segments()
        size = sum(version.bytes for version in self._saves)
        saved_at = max((version.done_at for version in self._saves), default=None)
        cut = any(version.settled_at is None for version in self._saves)
        fits = None
        if saved_at is not None and not cut:
            fits = round(ASSUMED_UPLOAD_BYTES_PER_SECOND * max(0.0, self._ends_at - saved_at))
        window = round(self._ends_at - self._begins_at, 3)
        rate = self._upload_rate()
        told = "SIGTERM" if start == "sigterm" else "the notice"
        return GraceBudget(
            window, start, segments, size, rate, fits, self._sentence(window, told, segments, size, fits)
        )

    def _last_reaction(self) -> list[Version]:
        """The files of the last save in reaction: what the next attempt would resume from. Of several hosts the leading
        one's, as each uploads its own."""
        moment: list[Version] = []
        for save in self._evidence.leaders(answers(self._evidence, self._attempt, self._begins_at)):
            if moment and save.started_at > moment[-1].done_at + self._evidence.options.detection_seconds:
                moment = []
            moment = [other for other in moment if other.path != save.path] + [save]
        return moment

    def _segments(self) -> list[Segment]:
        parts: list[tuple[str, float]] = []  # name, end
        seen_at = self._seen_at()
        if seen_at is not None:
            parts.append(("notice-seen", seen_at))
        if not self._saves:
            left_at = self._left_at()
            if left_at is not None:
                parts += [("step-finished", left_at), ("margin", self._ends_at)]
            return self._laid_out(parts)
        parts.append(("step-finished", min(version.started_at for version in self._saves)))
        if any(version.settled_at is None for version in self._saves):
            return self._laid_out([*parts, ("save", self._lost_at())])
        parts.append(("save", max(version.done_at for version in self._saves)))
        durable_at = [_durable_at(version) for version in self._saves]
        known = [at for at in durable_at if at is not None]
        if len(known) < len(durable_at):
            return self._laid_out([*parts, ("upload", self._lost_at())])
        return self._laid_out([*parts, ("upload", max(known)), ("margin", self._ends_at)])

    def _laid_out(self, parts: Sequence[tuple[str, float]]) -> list[Segment]:
        """End to end from the window's beginning; what is observed a little late does not reach beyond its end."""
        segments, at = [], self._begins_at
        for name, end in parts:
            end = min(max(at, end), self._ends_at)
            segments.append(Segment(name, round(at, 3), round(end - at, 3)))
            at = end
        return segments

    def _seen_at(self) -> float | None:
        """When the script showed that it knew: a log line said so, or it answered to SIGTERM only; None: not shown."""
        until = self._answered_at()
        if until is None or self._spoken_at is not None:
            return self._spoken_at
        return self._sigterm_at if self._sigterm_at is not None and self._sigterm_at <= until else None

    def _answered_at(self) -> float | None:
        """When the save in reaction began, or else the script left by itself; None where it did neither."""
        return min((version.started_at for version in self._saves), default=self._left_at())

    def _first_line_that_speaks(self) -> float | None:
        until = self._answered_at()
        spoken = [
            event.at
            for event in self._evidence.of(Kind.LOG_LINE, self._attempt)
            if until is not None
            and self._begins_at <= event.at <= until
            and speaks_of_the_end(str(event.data.get("line", "")))
        ]
        return min(spoken, default=None)

    def _left_at(self) -> float | None:
        exited = self._evidence.exited(self._attempt)
        return exited.at if exited is not None and self._evidence.exited_by_itself(self._attempt) else None

    def _lost_at(self) -> float:
        """When what had not reached S3 was lost: by the time that its manifest was taken."""
        taken = [event.at for event in self._evidence.of(Kind.MANIFEST, self._attempt) if event.data["when"] == "kill"]
        return min([self._ends_at, *taken])

    def _upload_rate(self) -> float | None:
        done = [upload for version in self._saves for upload in version.uploads if upload.finished_at is not None]
        if not done:
            return None
        seconds = max(upload.finished_at or 0.0 for upload in done) - min(upload.started_at for upload in done)
        size = sum({upload.version.path: upload.version.bytes for upload in done}.values())
        return round(size / seconds, 1) if seconds >= _LEAST_SECONDS and size else None

    def _sentence(self, window: float, told: str, segments: Sequence[Segment], size: int, fits: float | None) -> str:
        head = f"Of the {_seconds(window)} from {told} to SIGKILL"
        if not self._saves:
            left_at = self._left_at()
            if left_at is None:
                return f"{head} none was used: nothing was saved in reaction."
            used = _seconds(left_at - self._begins_at)
            if self._sigterm_at is not None and self._begins_at < self._sigterm_at <= left_at:
                used += f", {_seconds(left_at - self._sigterm_at)} of it after SIGTERM"
            return f"{head} the script used {used}, and left without saving in reaction."
        seen = "until it was seen" if self._spoken_at is not None else "until SIGTERM, which it answered"
        words = {"notice-seen": seen, "step-finished": "until the save began", "save": f"to save {_size(size)}"}
        words |= {"upload": f"to upload {_size(size)}", "margin": "were left"}
        parts = [f"{_seconds(part.seconds)} {words[part.name]}" for part in segments if part.seconds >= _LEAST_SECONDS]
        text = f"{head}: {', '.join(parts)}."
        if segments[-1].name != "margin":
            return f"{text} That was not enough: what was saved did not reach S3 whole." + _at_rate(fits)
        return text + _at_rate(fits)


def _durable_at(version: Version) -> float | None:
    """When its last content was in S3: surely whole, or sent after the last change that was seen."""
    sent = [upload.finished_at for upload in version.uploads if upload.started_at >= version.changed_at]
    return version.durable_at or next((at for at in reversed(sent) if at is not None), None)


def _at_rate(fits: float | None) -> str:
    if fits is None:
        return ""
    return f" At {_size(ASSUMED_UPLOAD_BYTES_PER_SECOND)}/s this fits checkpoints up to {_size(fits)}."


def _seconds(value: float) -> str:
    if value < 0.0995:
        return f"{1000 * value:.0f} ms"
    return f"{value:.0f} s" if value >= 99.5 else f"{value:.1f} s"


def _size(count: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.9995 * scale:
            return f"{count / scale:.1f} {unit}".replace(".0 ", " ")
    return f"{count:.0f} bytes"

"""Progress as plain lines, for logs, pipes and CI: one line for each thing that matters, no escape codes ever."""

from __future__ import annotations

from typing import TextIO

from simulator.core.timeline import Event, Kind
from simulator.reports.progress import Countdown, Progress
from simulator.reports.sentences import sentence
from simulator.reports.wording import clean, count, seconds, size

COUNTDOWN_AT = (60.0, 30.0, 10.0)
UPLOAD_LINE_SECONDS = 5.0  # at most one line about uploads in this time

_TELLS_UPLOADS_FIRST = frozenset(
    {Kind.TRIGGER_FIRED, Kind.NOTICE_GIVEN, Kind.SIGNAL_SENT, Kind.KILLED, Kind.PROCESS_EXITED, Kind.ATTEMPT_ENDED}
)


class PlainLines:
    """Writes to `stream`, a line at a time. `quiet_logs` leaves out what the script prints."""

    def __init__(self, stream: TextIO, quiet_logs: bool = False) -> None:
        self._stream, self._quiet_logs = stream, quiet_logs
        self._progress = Progress()
        self._told: dict[float, set[float]] = {}  # instant counted to → the seconds already called out
        self._uploads_told = 0
        self._abandoned_told = 0
        self._last_upload_line: float | None = None

    def say(self, line: str) -> None:
        """A line that belongs to no event."""
        self._write(clean(line))

    def on_event(self, event: Event) -> None:
        """Tell an event, if it is one that people are told of."""
        before = self._progress.status
        self._progress.on_event(event)
        uploaded = event.kind is Kind.UPLOAD_FINISHED
        if event.kind in _TELLS_UPLOADS_FIRST or (uploaded and self._upload_line_is_due(event.at)):
            self._tell_uploads(event.at)
        told = sentence(event, before, self._progress)
        if told is not None:
            self._line(event.at, event.attempt, told)
        if event.kind is Kind.ATTEMPT_ENDED:
            self._tell_abandoned(event.at)

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        """A line that the script printed."""
        if not self._quiet_logs:
            self._write(f"{host}| {clean(line)}")

    def tick(self, now: float) -> None:
        """Time passed."""
        countdown = self._progress.countdown
        if countdown is not None:
            self._count_down(countdown, now)
        if self._last_upload_line is not None and self._upload_line_is_due(now):
            self._tell_uploads(now)

    def close(self) -> None:
        """Nothing is held."""

    def _count_down(self, countdown: Countdown, now: float) -> None:
        left = countdown.left(now)
        told = self._told.setdefault(countdown.at, set())
        passed = {mark for mark in COUNTDOWN_AT if left <= mark < countdown.at - countdown.since} - told
        told |= passed
        if passed and left > 0:
            self._line(now, self._progress.attempt, f"{countdown.what} in {seconds(round(left))}")

    def _upload_line_is_due(self, now: float) -> bool:
        return self._last_upload_line is None or now - self._last_upload_line >= UPLOAD_LINE_SECONDS

    def _tell_uploads(self, now: float) -> None:
        new = self._progress.uploads - self._uploads_told
        if not new:
            return
        self._uploads_told, self._last_upload_line = self._progress.uploads, now
        objects = count(len(self._progress.objects), "checkpoint file")
        waiting = f", {len(self._progress.in_flight)} on the way" if self._progress.in_flight else ""
        in_s3 = f"{objects}, {size(self._progress.durable_bytes)}, in S3 ({count(new, 'upload')} more{waiting})"
        self._line(now, self._progress.attempt, in_s3)

    def _tell_abandoned(self, now: float) -> None:
        lost = self._progress.abandoned - self._abandoned_told
        if lost:
            self._abandoned_told = self._progress.abandoned
            self._line(now, self._progress.attempt, f"lost before it was in S3: {count(lost, 'checkpoint file')}")

    def _line(self, at: float, attempt: int, text: str) -> None:
        who = f"attempt {attempt}  " if attempt else ""
        self._write(f"[{at:7.1f} s] {who}{text}")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

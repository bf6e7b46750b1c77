"""The live view of a run in a terminal: phase, countdown, step, checkpoint bytes in S3, the last log lines."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.core.timeline import Event
from simulator.reports.progress import Progress
from simulator.reports.sentences import sentence
from simulator.reports.wording import clean, count, seconds, size

MARGIN = 6  # columns: ^C, and what is left of a character that it cut in two
REFRESH_SECONDS = 0.1  # of the run's own time

_STYLES = {"Training": "green", "Interrupted": "bold red", "Failed": "bold red", "Completed": "bold green"}


class LiveView:
    """A panel at the foot of the terminal, kept up to date; what matters scrolls by above it. A context manager."""

    def __init__(self, stream: TextIO | None = None, console: Console | None = None) -> None:
        self._console = console or Console(file=stream, highlight=False, markup=False, emoji=False)
        self._progress = Progress()
        self._now = 0.0
        self._shown_at = -1.0
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            get_renderable=lambda: panel(self._progress, self._now),
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def say(self, line: str) -> None:
        """A line above the panel."""
        self._console.print(Text(clean(line)))

    def on_event(self, event: Event) -> None:
        """Take in an event; one that people are told of scrolls by above the panel."""
        before = self._progress.status
        self._progress.on_event(event)
        self._now = event.at
        told = sentence(event, before, self._progress)
        if told is not None:
            self._console.print(_told(event, told), soft_wrap=False)
            self._refresh()
        elif abs(self._now - self._shown_at) >= REFRESH_SECONDS:
            self._refresh()

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        """Take in a log line; shown at the next refresh."""
        self._progress.on_log(line, host)

    def tick(self, now: float) -> None:
        """Show the time."""
        self._now = now
        self._refresh()

    def close(self) -> None:
        """Take the panel away and give the cursor back."""
        if self._live.is_started:
            self._live.stop()

    def _refresh(self) -> None:
        self._shown_at = self._now
        if not self._live.is_started:
            self._live.start()
        self._live.refresh()


def panel(progress: Progress, now: float) -> RenderableType:
    """The panel for a state of the run, at an instant of it; nearly as wide as the terminal."""
    return _WithMargin(Panel(_body(progress, now), title=_title(progress), title_align="left"))


class _WithMargin:
    """Leaves the last columns free: the terminal itself writes ^C into a line, which must not grow over its end."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._content, options.update_width(max(1, options.max_width - MARGIN)))


def _title(progress: Progress) -> Text:
    return Text(f" {clean(progress.job) or 'starting'} ", "bold")


def _body(progress: Progress, now: float) -> RenderableType:
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True, min_width=8)
    facts.add_column(overflow="ellipsis", no_wrap=True)
    facts.add_row("phase", _phase(progress, now))
    facts.add_row("next", _next(progress, now))
    facts.add_row("progress", Text(progress.progress_text or "nothing logged yet"))
    facts.add_row("in S3", _s3(progress))
    tail = Text("\n".join(f"| {line}" for line in progress.log_tail), "dim", overflow="ellipsis", no_wrap=True)
    return Group(facts, tail) if progress.log_tail else facts


def _phase(progress: Progress, now: float) -> Text:
    text = Text(progress.status or "Pending", _STYLES.get(progress.status, "yellow"))
    text.append(f" for {seconds(max(0.0, now - progress.status_since))}", "dim")
    attempt = f"attempt {progress.attempt}, " if progress.attempt else ""
    return text.append(f"   {attempt}{seconds(now)} in all", "dim")


def _next(progress: Progress, now: float) -> RenderableType:
    countdown = progress.countdown
    if countdown is None:
        waits = f"the interruption, at {clean(progress.trigger)}" if progress.trigger else "the end of the job"
        return Text(waits if not progress.finished else "the verdict", "dim")
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(no_wrap=True)
    left = countdown.left(now)
    whole = max(0.001, countdown.at - countdown.since)
    row.add_row(
        Text(f"{countdown.what} in {left:.0f} s", "bold yellow"),
        ProgressBar(total=whole, completed=min(whole, max(0.0, now - countdown.since)), width=24),
    )
    return row


def _s3(progress: Progress) -> Text:
    text = Text(f"{count(len(progress.objects), 'checkpoint file')}, {size(progress.durable_bytes)}")
    if progress.in_flight:
        text.append(f"   {len(progress.in_flight)} on the way, {size(sum(progress.in_flight.values()))}", "yellow")
    if progress.abandoned:
        text.append(f"   {progress.abandoned} lost on the way", "red")
    return text


def _told(event: Event, told: str) -> Text:
    text = Text(f"[{event.at:7.1f} s] ", "dim", overflow="fold")
    if event.attempt:
        text.append(f"attempt {event.attempt}  ", "not dim")
    return text.append(told, "not dim")

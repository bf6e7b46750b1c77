"""How a search is watched: a bar with an estimate on a terminal, a line now and then elsewhere, or nothing.

The estimate is from the results as they come in, over the last of them, and never promises more than the budget holds:
where not all trials will be tried, it says how many.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.explore.trial import Outcome, TrialResult
from simulator.reports.background import Behind
from simulator.reports.stream import as_forgiving
from simulator.reports.wording import clean, count, seconds

WINDOW = 48  # results that the rate is measured over: of workers side by side they come in bunches
LEAST_RESULTS = 4  # before which there is no estimate
LINE_SECONDS = 10.0  # between two plain lines, failures apart
LINE_RESULTS = 50
REFRESH_SECONDS = 0.1
OVER = "the budget has ended; what is under way is finished"
_WORDS = {
    Outcome.SURVIVED: "survived",
    Outcome.FAILED: "failed",
    Outcome.RESTARTED: "began again",
    Outcome.MISSED: "missed",
    Outcome.UNPROVED: "not proved",
    Outcome.BROKEN: "broken",
    Outcome.UNDECIDED: "the fault's doing",
}
FAILURES_TOLD = 8  # one by one, besides the first with each set of rules; a broken script fails a thousand times
_STYLES = {Outcome.SURVIVED: "green", Outcome.FAILED: "bold red"}


class ExploreProgress:
    """Where a search stands: results in, what people want to see out. Pure; instants are seconds since it began."""

    def __init__(self, total: int | None, budget_seconds: float | None) -> None:
        self.total, self.budget_seconds = total, budget_seconds
        self.counts: Counter[Outcome] = Counter()
        self.last_failure: TrialResult | None = None
        self._last: deque[float] = deque([0.0], maxlen=WINDOW + 1)

    @property
    def done(self) -> int:
        """Trials that have come to an end."""
        return sum(self.counts.values())

    def on_result(self, result: TrialResult, at: float) -> None:
        """Take in a result."""
        self.counts[result.outcome] += 1
        self._last.append(at)
        if result.outcome is Outcome.FAILED:
            self.last_failure = result

    def rate(self, now: float) -> float | None:
        """Trials a second over the last results; None while there are too few to tell."""
        if self.done < LEAST_RESULTS or now <= self._last[0]:
            return None
        return (len(self._last) - 1) / (now - self._last[0])

    def budget_left(self, now: float) -> float | None:
        """Seconds of the budget that are left, None without one."""
        return None if self.budget_seconds is None else max(0.0, self.budget_seconds - now)

    def estimate(self, now: float) -> str:
        """What is left, as far as the rate tells: `about 3 min 20 s left`, `the budget holds about 120 more`."""
        rate, left = self.rate(now), self.budget_left(now)
        if left == 0:
            return OVER
        if rate is None:
            return "" if left is None else f"{seconds(round(left))} of the budget left"
        if self.total is not None:
            needed = max(0, self.total - self.done) / rate
            if left is None or needed <= left:
                return f"about {seconds(round(needed))} left"
        if left is None:
            return f"{rate * 60:.0f} a minute"
        return f"{seconds(round(left))} of the budget left, which holds about {int(rate * left)} more"

    def counted(self) -> str:
        """`12 survived, 1 failed`."""
        return ", ".join(f"{self.counts[outcome]} {word}" for outcome, word in _WORDS.items() if self.counts[outcome])

    def of_how_many(self) -> str:
        """`13 of 400`, or `13 trials` where nobody knows how many there are."""
        return count(self.done, "trial") if self.total is None else f"{self.done} of {self.total}"


class Told:
    """Which failures are told one by one: the first few, and the first of each kind."""

    def __init__(self) -> None:
        self._kinds: set[tuple[str, ...]] = set()
        self._count = 0

    def line(self, result: TrialResult) -> str | None:
        """What is told of a result as it comes, None for nothing."""
        if result.outcome not in (Outcome.FAILED, Outcome.BROKEN):
            return None
        kind = (result.outcome.value, *result.rules)
        new, self._count = kind not in self._kinds, self._count + 1
        self._kinds.add(kind)
        if new or self._count <= FAILURES_TOLD:
            return told(result)
        return "further failures of these kinds are only counted here" if self._count == FAILURES_TOLD + 1 else None


class ExploreView(Protocol):
    """What is told of a search while it goes on. Every method returns at once and never raises."""

    def say(self, line: str) -> None:
        """What is being done besides: recording, confirming, shrinking."""
        ...

    def on_result(self, result: TrialResult) -> None:
        """A trial came to its end."""
        ...

    def expect(self, total: int | None) -> None:
        """The first trials begin, and so many there will be; None: nobody knows. Time is counted from here."""
        ...


class _Shown(Protocol):
    def say(self, line: str) -> None: ...
    def on_result(self, result: TrialResult, at: float) -> None: ...
    def expect(self, total: int | None) -> None: ...
    def tick(self, now: float) -> None: ...
    def close(self) -> None: ...


class ExploreBar:
    """A bar at the foot of the terminal, with counts and the last failure; lines scroll by above it."""

    def __init__(
        self, total: int | None, budget_seconds: float | None, stream: TextIO | None = None, **options: object
    ) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, **options)  # type: ignore[arg-type]
        self._progress = ExploreProgress(total, budget_seconds)
        self._told = Told()
        self._now, self._shown_at = 0.0, -1.0
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            get_renderable=lambda: bar(self._progress, self._now),
        )

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(Text(clean(line)))

    def on_result(self, result: TrialResult, at: float) -> None:
        """Take in a result; a failure scrolls by above the bar."""
        self._now = max(self._now, at)
        self._progress.on_result(result, at)
        if line := self._told.line(result):
            self._console.print(Text(line, _STYLES.get(result.outcome, "yellow")))
        if at - self._shown_at >= REFRESH_SECONDS:
            self._refresh()

    def expect(self, total: int | None) -> None:
        """See ExploreView; time begins anew."""
        self._progress.total = total
        self._now, self._shown_at = 0.0, -1.0

    def tick(self, now: float) -> None:
        """Show the time."""
        self._now = max(self._now, now)
        self._refresh()

    def close(self) -> None:
        """Take the bar away and give the cursor back."""
        if self._live.is_started:
            self._live.stop()

    def _refresh(self) -> None:
        self._shown_at = self._now
        if not self._live.is_started:
            self._live.start()
        self._live.refresh()


class ExploreLines:
    """A line every few results or seconds, and one for each failure; no escape codes ever."""

    def __init__(self, total: int | None, budget_seconds: float | None, stream: TextIO) -> None:
        self._stream = stream
        self._progress = ExploreProgress(total, budget_seconds)
        self._failures = Told()
        self._told_at, self._told = 0.0, 0

    def say(self, line: str) -> None:
        """A line of its own."""
        self._write(clean(line))

    def on_result(self, result: TrialResult, at: float) -> None:
        """Take in a result; tell failures, and how far it is where that is due."""
        self._progress.on_result(result, at)
        if line := self._failures.line(result):
            self._write(f"[{at:7.1f} s] {line}")
        self._tell_if_due(at)

    def expect(self, total: int | None) -> None:
        """See ExploreView; time begins anew."""
        self._progress.total = total
        self._told_at = 0.0

    def tick(self, now: float) -> None:
        """Time passed."""
        self._tell_if_due(now)

    def close(self) -> None:
        """Tell what was not told yet."""
        if self._progress.done > self._told:
            self._tell(self._told_at)

    def _tell_if_due(self, now: float) -> None:
        new = self._progress.done - self._told
        if new >= LINE_RESULTS or (new and now - self._told_at >= LINE_SECONDS):
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._told_at, self._told = max(now, self._told_at), self._progress.done
        parts = [self._progress.of_how_many(), self._progress.counted(), self._progress.estimate(self._told_at)]
        self._write(f"[{self._told_at:7.1f} s] {'; '.join(part for part in parts if part)}")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class QuietExplore:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """Not shown."""

    def on_result(self, result: TrialResult) -> None:
        """Not shown."""

    def expect(self, total: int | None) -> None:
        """Not shown."""


class ExploreBackground(Behind[_Shown]):
    """Passes results on in a thread of its own, each with the instant at which it came."""

    def __init__(self, view: _Shown, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._began = monotonic()
        super().__init__(view, monotonic)

    def on_result(self, result: TrialResult) -> None:
        """See ExploreView."""
        at = self._monotonic() - self._began
        self._put(lambda: self._view.on_result(result, at))

    def expect(self, total: int | None) -> None:
        """See ExploreView."""
        self._began = self._monotonic()
        self.tick(0.0)
        self._put(lambda: self._view.expect(total))


@contextmanager
def open_explore_view(
    view: str = "auto", total: int | None = None, budget_seconds: float | None = None, stream: TextIO | None = None
) -> Iterator[ExploreView]:
    """The view of that name (auto, live, plain, quiet); auto is live on a terminal that can move its cursor, and plain
    elsewhere. The budget and the estimate count from here, and anew from `expect`."""
    out = stream or sys.stdout
    live = out.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    if view == "quiet":
        yield QuietExplore()
        return
    shown: _Shown
    if view == "live" or (view == "auto" and live):
        shown = ExploreBar(total, budget_seconds, as_forgiving(out))
    else:
        shown = ExploreLines(total, budget_seconds, as_forgiving(out))
    behind = ExploreBackground(shown)
    try:
        yield behind
    finally:
        behind.close()


def told(result: TrialResult) -> str:
    """A result in a line: `failed: save=2 (sudden), SPOT004: a torn file …`."""
    rules = f", {' '.join(result.rules)}" if result.rules else ""
    return clean(f"{_WORDS[result.outcome]}: {result.trial.label}{rules}: {result.evidence}")


def bar(progress: ExploreProgress, now: float) -> RenderableType:
    """The bar for a state of the search, at an instant of it."""
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(no_wrap=True)
    row.add_column(no_wrap=True, overflow="ellipsis")
    row.add_row(
        progress.of_how_many(),
        _bar_of(progress, now),
        Text(progress.estimate(now), "dim"),
    )
    counts = Text()
    for outcome, word in _WORDS.items():
        if progress.counts[outcome]:
            counts.append(f"{progress.counts[outcome]} {word}  ", _STYLES.get(outcome, "yellow"))
    lines: list[RenderableType] = [row, counts]
    if progress.last_failure is not None:
        lines.append(Text(f"last {told(progress.last_failure)}", "red", overflow="ellipsis", no_wrap=True))
    return Group(*lines)


def _bar_of(progress: ExploreProgress, now: float) -> ProgressBar:
    """How much of the search is over: of its trials, or of its budget where that will end first."""
    parts = []
    if progress.total:
        parts.append(progress.done / progress.total)
    if progress.budget_seconds:
        parts.append(now / progress.budget_seconds)
    if not parts:
        return ProgressBar(total=None, width=24, pulse=True, animation_time=now)
    return ProgressBar(total=1.0, completed=min(1.0, max(parts)), width=24)

"""Pictures of a run as SVG: matplotlib draws, the page's stylesheet gives the colours, so that light and dark are one
drawing. Text stays text. Each picture exists for a wide and for a narrow page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from simulator.reports.canvas import CHARACTER, WIDE, Margins, Width, colour, figure, plain_axes, svg_of, time_axis
from simulator.reports.curves import Curve, Curves
from simulator.reports.lanes import Lane, Mark, Phase, Sign
from simulator.reports.wording import brief, clean, count, seconds

PHASE_INKS: Mapping[Phase, str] = {
    Phase.STARTING: "starting",
    Phase.RESTORING: "restoring",
    Phase.TRAINING: "training",
    Phase.NOTICE: "notice",
    Phase.GRACE: "grace",
    Phase.FINISHING: "finishing",
}
SIGN_INKS: Mapping[Sign, str] = {
    Sign.NOTICE: "ink",
    Sign.SIGTERM: "ink",
    Sign.SIGKILL: "bad",
    Sign.GONE: "bad",
    Sign.COMPLETED: "good",
    Sign.FAILED: "bad",
    Sign.STOPPED: "bad",
    Sign.SAVE: "ink",
    Sign.UPLOAD: "good",
    Sign.LOST: "bad",
}
_MARKERS: Mapping[Sign, str] = {
    Sign.NOTICE: "v",
    Sign.SIGTERM: "D",
    Sign.SIGKILL: "X",
    Sign.GONE: "s",
    Sign.COMPLETED: "o",
    Sign.FAILED: "X",
    Sign.STOPPED: "s",
}
CURVE_INKS = ("curve-1", "curve-2", "curve-3", "curve-4")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.4)), (0, (6, 2, 1.5, 2)))
DETAILED_LANES = 6  # more attempts than these are drawn without their saves and uploads


@dataclass(frozen=True)
class GraceBar:
    """One segment of a grace window, from its beginning."""

    name: str
    start: float
    seconds: float


def draw_timeline(lanes: Sequence[Lane], width: Width, name: str) -> str:
    """Attempts below each other on one scale of time: phases, signals, saves and uploads."""
    detailed = len(lanes) <= DETAILED_LANES
    height_of_lane = 92 if detailed else 26
    margins = Margins(top=6, right=16, bottom=30, left=14 if detailed else 34)
    with figure(width, margins, height_of_lane * len(lanes)) as (drawn, axes):
        pen = _Pen(axes, width, margins, max((lane.end for lane in lanes), default=0.0))
        pen.time_axis()
        for row, lane in enumerate(lanes):
            (_detailed_lane if detailed else _slim_lane)(pen, lane, row * height_of_lane)
        for row, (earlier, later) in enumerate(pairwise(lanes)):
            pen.waiting(earlier.end, later.start, row * height_of_lane + (44 if detailed else 13))
        pen.finish()
        return svg_of(drawn, name)


def draw_curves(curves: Curves, width: Width, name: str) -> str:
    """A panel for each metric: the uninterrupted run as a band beneath, the attempts as lines, the restarts marked."""
    of_panel, between = (220 if width is WIDE else 190), 52
    margins = Margins(top=46, right=14, bottom=40, left=56)
    count_of = len(curves.panels)
    height = of_panel * count_of + between * (count_of - 1)
    with figure(width, margins, height) as (drawn, whole):
        whole.set_axis_off()
        box = whole.get_position()
        each = box.height * of_panel / height
        for row, panel in enumerate(curves.panels):
            bottom = box.y1 - each - row * box.height * (of_panel + between) / height
            axes = drawn.add_axes((box.x0, bottom, box.width, each))
            for curve in panel.curves:
                _curve(axes, curve)
            _scale(axes, panel.curves)
            plain_axes(axes, width)
            axes.grid(axis="y", color=colour("rule"), lw=0.8)
            title = {"fontsize": width.text + 0.5, "fontweight": "bold", "color": colour("ink")}
            axes.set_title(clean(panel.metric)[:48], loc="left", pad=26, **title)
            _restarts(axes, curves, width, labelled=row == 0)
            if row == count_of - 1:
                axes.set_xlabel(clean(curves.unit), fontsize=width.text, color=colour("soft"))
        return svg_of(drawn, name)


def draw_grace(
    bars: Sequence[GraceBar], window: float, marks: Sequence[tuple[str, float]], width: Width, name: str
) -> str:
    """A waterfall: what the seconds from the first sign to the end went to, one below the other. A margin that would
    leave no room for the rest is cut at the right edge."""
    inks = {"notice-seen": "notice", "step-finished": "training", "save": "curve-3", "upload": "finishing"}
    height_of_row = 40
    margins = Margins(top=22, right=16, bottom=30, left=14)
    with figure(width, margins, height_of_row * len(bars)) as (drawn, axes):
        busy = max((bar.start + bar.seconds for bar in bars if bar.name != "margin"), default=0.0)
        cut = 0 < busy < window / 3
        pen = _Pen(axes, width, margins, busy * 1.5 if cut else max(window, busy))
        pen.time_axis()
        for row, bar in enumerate(bars):
            y = row * height_of_row
            beyond = ", goes on to the right" if cut and bar.name == "margin" else ""
            pen.bar(bar.start, bar.start + bar.seconds, y + 18, 16, inks.get(bar.name))
            pen.text(bar.start, y + 9, f"{clean(bar.name).replace('-', ' ')}  {brief(bar.seconds)}" + beyond)
        for text, at in marks:
            axes.axvline(at, color=colour("bad"), lw=1, ls=(0, (4, 2)), zorder=0)
            pen.text(at, -10, text, "bad")
        pen.finish()
        return svg_of(drawn, name)


class _Pen:
    """Draws into axes whose x are seconds from 0 to `end` and whose y are pixels from the top."""

    def __init__(self, axes: Any, width: Width, margins: Margins, end: float) -> None:
        self._axes, self._width = axes, width
        self._end = end or 1.0
        self._pixel = self._end / (width.pixels - margins.left - margins.right)  # in seconds
        axes.set_xlim(0, self._end)
        self._bars: dict[str | None, list[list[tuple[float, float]]]] = defaultdict(list)
        self._dots: dict[tuple[str, float, str, str], list[tuple[float, float]]] = defaultdict(list)
        self._ticks: list[tuple[float, float, float]] = []
        self._transfers: list[tuple[float, float, float]] = []

    def time_axis(self) -> None:
        """Seconds along the bottom, at round distances."""
        time_axis(self._axes, self._width, self._end)

    def bar(self, start: float, end: float, y: float, height: float, ink: str | None) -> None:
        """A span, never thinner than a pixel; without an ink only its outline."""
        end = max(end, start + self._pixel)
        self._bars[ink].append([(start, y), (end, y), (end, y + height), (start, y + height)])

    def sign(self, mark: Mark, y: float, size: float) -> None:
        """A signal's or an end's own shape."""
        style = (_MARKERS[mark.sign], size, SIGN_INKS[mark.sign], "paper")
        self._dots[style].append((mark.at, y))

    def extent(self, at: float, text: str) -> tuple[float, float]:
        """From where to where a text would reach, in seconds; it begins at its place unless that leaves the picture."""
        wide = len(text) * self._width.text * CHARACTER * self._pixel
        left = min(at, max(0.0, self._end - wide))
        return left, left + wide + 6 * self._pixel

    def text(self, at: float, y: float, text: str, ink: str = "ink", weight: str = "normal") -> None:
        """Write from a place on, or up to the right edge where there is no room."""
        overflows = self.extent(at, text)[0] < at
        place = {"x": self._end if overflows else at, "ha": "right" if overflows else "left"}
        self._axes.text(
            y=y, s=text, va="center", fontsize=self._width.text, fontweight=weight, color=colour(ink), **place
        )

    def number(self, number: int, y: float) -> None:
        """A lane's number, left of the axes."""
        self._axes.text(
            -6 * self._pixel, y, str(number), ha="right", va="center", fontsize=self._width.text, color=colour("ink")
        )

    def waiting(self, start: float, end: float, y: float) -> None:
        """The time between two instances, where it can be seen."""
        if end - start > 3 * self._pixel:
            self._axes.plot([start, end], [y, y], color=colour("soft"), lw=1, ls=(0, (1, 2)), zorder=1)

    def ticks(self, ats: Iterable[float], top: float, bottom: float) -> None:
        """Short upright lines, as many as can be told apart."""
        self._ticks += [(at, top, bottom) for at, _ in _apart([(at, at) for at in ats], 3 * self._pixel)]

    def transfers(self, spans: Iterable[tuple[float, float]], y: float) -> None:
        """Lines from the beginning of an upload to its end."""
        self._transfers += [(y, start, end) for start, end in _apart(spans, 3 * self._pixel)]

    def dots(self, ats: Iterable[float], y: float, marker: str, ink: str) -> None:
        """Dots, as many as can be told apart."""
        kept = _apart([(at, at) for at in ats], 4 * self._pixel)
        self._dots[marker, 5, ink, ""] += [(at, y) for at, _ in kept]

    def finish(self) -> None:
        """Draw what was gathered: one artist a kind, since fifty attempts have thousands of marks."""
        from matplotlib.collections import PolyCollection

        for ink, shapes in self._bars.items():
            outline = {"facecolors": "none", "edgecolors": colour("soft"), "linewidths": 1, "linestyles": (0, (3, 2))}
            style: dict[str, Any] = {"facecolors": colour(ink), "linewidths": 0} if ink else outline
            self._axes.add_collection(PolyCollection(shapes, zorder=2, **style), autolim=False)
        if self._ticks:
            xs, tops, bottoms = zip(*self._ticks, strict=True)
            self._axes.vlines(xs, tops, bottoms, colors=colour("ink"), lw=1.4, zorder=2, clip_on=False)
        if self._transfers:
            ys, starts, ends = zip(*self._transfers, strict=True)
            self._axes.hlines(ys, starts, ends, colors=colour("good"), lw=2.5, zorder=2)
        for (marker, size, ink, edge), places in self._dots.items():
            xs, ys = zip(*places, strict=True) if places else ((), ())
            inks = {"mfc": colour(ink), "mec": colour(edge or ink), "mew": 1.2 if edge else 0}
            self._axes.plot(xs, ys, marker=marker, ms=size, ls="none", zorder=4, clip_on=False, **inks)


def _detailed_lane(pen: _Pen, lane: Lane, y: float) -> None:
    title = f"Attempt {lane.attempt}, {clean(lane.outcome) if lane.outcome else 'not ended'}"
    pen.text(lane.start, y + 10, title, weight="bold")
    taken = [(y + 10, *pen.extent(lane.start, title))]
    for mark in lane.signals:
        if mark.sign in (Sign.NOTICE, Sign.SIGTERM, Sign.SIGKILL):  # the title tells the others
            _label(pen, mark, y, taken)
    for span in lane.spans:
        pen.bar(span.start, span.end, y + 36, 16, PHASE_INKS[span.phase])
    for mark in lane.signals:
        pen.sign(mark, y + 44, 6.5)
    pen.ticks([mark.at for mark in lane.saves], y + 57, y + 66)
    pen.transfers(lane.transfers, y + 74)
    pen.dots([mark.at for mark in lane.uploads if mark.sign is Sign.UPLOAD], y + 74, "o", "good")
    pen.dots([mark.at for mark in lane.uploads if mark.sign is Sign.LOST], y + 74, "X", "bad")


def _slim_lane(pen: _Pen, lane: Lane, y: float) -> None:
    pen.number(lane.attempt, y + 13)
    for span in lane.spans:
        pen.bar(span.start, span.end, y + 7, 12, PHASE_INKS[span.phase])
    for mark in lane.signals:
        pen.sign(mark, y + 13, 4.5)


def _label(pen: _Pen, mark: Mark, y: float, taken: list[tuple[float, float, float]]) -> None:
    """Write a signal's name above its mark where there is room; the legend and the table have it in any case."""
    left, right = pen.extent(mark.at, mark.sign.value)
    for line in (y + 27, y + 10):
        if all(line != other or right < start or left > stop for other, start, stop in taken):
            taken.append((line, left, right))
            pen.text(mark.at, line, mark.sign.value, "soft")
            return


def _apart(spans: Iterable[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Spans that touch, or nearly, as one: a thousand of them look like the few hundred that fit."""
    merged: list[tuple[float, float]] = []
    last = float("-inf")
    for start, stop in sorted(spans):
        if start - last < least:
            if stop > merged[-1][1] and stop - merged[-1][0] > least:
                merged[-1] = (merged[-1][0], stop)
            continue
        merged.append((start, stop))
        last = start
    return merged


def _curve(axes: Any, curve: Curve) -> None:
    xs, ys = [x for x, _ in curve.points], [y for _, y in curve.points]
    lonely = {"marker": "o", "ms": 3.5} if len(curve.points) < 3 else {}
    if curve.baseline:
        axes.plot(xs, ys, color=colour("baseline"), lw=5, solid_capstyle="round", zorder=1, **lonely)
    else:
        place = (curve.number - 1) % len(CURVE_INKS)
        axes.plot(xs, ys, color=colour(CURVE_INKS[place]), lw=1.5, ls=_DASHES[place], zorder=3, **lonely)


def _scale(axes: Any, curves: Sequence[Curve]) -> None:
    values = [y for curve in curves for _, y in curve.points]
    if values and min(values) > 0 and max(values) / min(values) > 1000:
        axes.set_yscale("log")


def _restarts(axes: Any, curves: Curves, width: Width, labelled: bool) -> None:
    """A line where an attempt went on, with its name where there is room, and a field over what was done twice."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    pixel = (right - left) / (width.pixels - 70)
    free_from = left
    upright = axes.get_xaxis_transform()  # y from the bottom, 0, to the top, 1
    redone = [(r.at, r.reached - r.at) for r in curves.restarts if r.reached is not None and r.reached > r.at]
    axes.broken_barh(redone, (0, 1), facecolor=colour("redone"), lw=0, zorder=0, transform=upright)
    at = [restart.at for restart in curves.restarts]
    axes.vlines(at, 0, 1, colors=colour("bad"), lw=1.2, ls=(0, (4, 2)), zorder=2, transform=upright)
    for restart in curves.restarts:
        text = f"attempt {restart.attempt} goes on" if len(curves.restarts) < 6 else str(restart.attempt)
        wide = len(text) * width.text * CHARACTER * pixel
        start = min(restart.at, right - wide)
        if labelled and start >= free_from:
            free_from = start + wide + 6 * pixel
            axes.annotate(
                text,
                (right if start < restart.at else restart.at, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 5),
                textcoords="offset points",
                ha="right" if start < restart.at else "left",
                va="bottom",
                fontsize=width.text,
                color=colour("bad"),
            )
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


def summary_of(lanes: Sequence[Lane]) -> str:
    """What the timeline's picture shows, in words."""
    told = []
    for lane in lanes[:12]:
        signs = ", ".join(f"{mark.sign.value} at {seconds(mark.at)}" for mark in lane.signals)
        saved = f"{count(len(lane.saves), 'save')}, {count(len(lane.uploads), 'upload')}"
        told.append(f"attempt {lane.attempt} from {seconds(lane.start)} to {seconds(lane.end)}: {saved}; {signs}")
    more = f"; and {count(len(lanes) - 12, 'attempt')} more" if len(lanes) > 12 else ""
    return "Timeline. " + ". ".join(told) + more

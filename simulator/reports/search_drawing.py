"""The pictures of a search: points along the recorded run, and a cell a state. An outcome has a shape of its own, and
survivors, failures and the rest have lines of their own, so that none of it rests on colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.explore.strip import Deed
from simulator.explore.trial import Outcome
from simulator.reports.canvas import WIDE, Margins, Width, colour, figure, svg_of, time_axis
from simulator.reports.search_strip import WORDS, SearchStrip

LINE = 15  # pixels from one line of points to the next
TITLE = 20
CELL = 14


@dataclass(frozen=True)
class Shape:
    """How an outcome is drawn: matplotlib's marker, a colour of the stylesheet, filled or an outline; and the same as a
    character, for legends."""

    marker: str
    ink: str
    filled: bool
    sign: str


SHAPES: Mapping[Outcome, Shape] = {
    Outcome.FAILED: Shape("X", "bad", True, "✖"),
    Outcome.UNPROVED: Shape("^", "notice", True, "▲"),
    Outcome.SURVIVED: Shape("o", "good", True, "●"),
    Outcome.RESTARTED: Shape("o", "good", False, "○"),
    Outcome.MISSED: Shape("D", "soft", False, "◇"),
    Outcome.UNDECIDED: Shape("^", "soft", False, "△"),
    Outcome.BROKEN: Shape("s", "soft", False, "□"),
}
_LINES: Sequence[frozenset[Outcome]] = (
    frozenset({Outcome.FAILED}),
    frozenset({Outcome.UNPROVED}),
    frozenset({Outcome.SURVIVED, Outcome.RESTARTED}),
    frozenset({Outcome.MISSED, Outcome.UNDECIDED, Outcome.BROKEN}),
)


def draw_strip(strip: SearchStrip, width: Width, name: str) -> str:
    """What the script did, and below it every interruption that was tried, a row a kind."""
    margins = Margins(top=6, right=16, bottom=30, left=52)
    marked = _marked(strip)
    height = LINE * len(marked) + sum(_height(row.points) for row in strip.rows)
    height += TITLE + LINE * len(strip.links) if strip.links else 0
    with figure(width, margins, height) as (drawn, axes):
        pen = _Pen(axes, width, strip.seconds, width.pixels - margins.left - margins.right)
        axes.set_xlim(0, strip.seconds)
        time_axis(axes, width, strip.seconds)
        for at in strip.landmarks.get(Deed.EPOCH, ()):
            axes.axvline(at * strip.seconds, color=colour("baseline"), lw=1, ls=(0, (2, 2)), zorder=0)
        y = 0.0
        for deed, label, marker, ink in marked:
            pen.label(label, y + LINE / 2)
            pen.points(strip.landmarks[deed], y + LINE / 2, marker, ink, filled=True, size=3.5 if marker == "o" else 6)
            y += LINE
        for row in strip.rows:
            pen.title(row.title, y)
            y += TITLE
            for line in _LINES:
                if line & set(row.points):
                    for outcome in line & set(row.points):
                        pen.outcome(row.points[outcome], y + LINE / 2, outcome)
                    y += LINE
        if strip.links:
            pen.title(strip.links_title + _left_out(strip), y)
            y += TITLE
            for link in strip.links:
                pen.link(link.places, y + LINE / 2, link.outcome)
                y += LINE
        pen.finish()
        return svg_of(drawn, name)


def draw_cells(cells: Sequence[Outcome], width: Width, name: str) -> str:
    """A cell a state, in the order of the run, numbered at the left of each line."""
    margins = Margins(top=4, right=8, bottom=4, left=40)
    inside = width.pixels - margins.left - margins.right
    columns = max(1, int(inside // CELL) // 10 * 10)
    lines = -(-len(cells) // columns)
    with figure(width, margins, CELL * lines) as (drawn, axes):
        axes.set_axis_off()
        axes.set_xlim(0, inside)
        pen = _Pen(axes, width, inside, inside)
        for outcome in set(cells):
            for line in range(lines):
                here = cells[line * columns : (line + 1) * columns]
                at = [(place + 0.5) * CELL / inside for place, one in enumerate(here) if one is outcome]
                pen.outcome(at, (line + 0.5) * CELL, outcome, thinned=False)
        for line in range(lines):
            pen.label(str(line * columns + 1), (line + 0.5) * CELL)
        pen.finish()
        return svg_of(drawn, name)


def legend(strip: SearchStrip) -> list[tuple[str, str, str]]:
    """Sign, class and word of each outcome that is drawn, and of what the script did."""
    moods = {"notice": "warn"}  # the stylesheet's class for text
    shapes = [(outcome, SHAPES[outcome]) for outcome in strip.outcomes]
    told = [(shape.sign, moods.get(shape.ink, shape.ink), WORDS[outcome]) for outcome, shape in shapes]
    if strip.landmarks.get(Deed.EPOCH) and strip.rows:
        told.append(("┊", "soft", "an epoch ended"))
    return told


def _marked(strip: SearchStrip) -> list[tuple[Deed, str, str, str]]:
    kinds = [(Deed.SAVE, "saved", "|", "soft"), (Deed.UPLOAD, "in S3", "o", "soft")]
    return [kind for kind in kinds if strip.landmarks.get(kind[0])]


def _height(points: Mapping[Outcome, Sequence[float]]) -> int:
    return TITLE + LINE * sum(bool(line & set(points)) for line in _LINES)


def _left_out(strip: SearchStrip) -> str:
    return f"; {len(strip.links)} of them drawn" if strip.links_of > len(strip.links) else ""


class _Pen:
    """Draws points at shares (0 to 1) of axes that are `end` long, in `pixels`; y in pixels from the top."""

    def __init__(self, axes: Any, width: Width, end: float, pixels: float) -> None:
        self._axes, self._width, self._end, self._pixel = axes, width, end, 1 / pixels
        self._dots: dict[tuple[str, float, str, bool], list[tuple[float, float]]] = {}
        self._lines: dict[str, list[tuple[float, float, float]]] = {}

    def title(self, text: str, y: float) -> None:
        """A row's title."""
        shown = text if self._width is WIDE else text.replace("one interruption, ", "").replace(" interruptions,", ":")
        self._text(0.0, y + TITLE / 2, shown, "ink", "left")

    def label(self, text: str, y: float) -> None:
        """Left of the axes."""
        self._text(-8 * self._pixel * self._end, y, text, "soft", "right")

    def outcome(self, places: Iterable[float], y: float, outcome: Outcome, thinned: bool = True) -> None:
        """Points of an outcome; such as lie upon each other are one."""
        shape = SHAPES[outcome]
        self.points(places, y, shape.marker, shape.ink, shape.filled, 7 if shape.filled else 6, thinned)

    def points(
        self, places: Iterable[float], y: float, marker: str, ink: str, filled: bool, size: float, thinned: bool = True
    ) -> None:
        """Points in any style."""
        kept: list[float] = []
        for place in sorted(places):
            if not thinned or not kept or place - kept[-1] >= 4 * self._pixel:
                kept.append(place)
        self._dots.setdefault((marker, size, ink, filled), []).extend((place * self._end, y) for place in kept)

    def link(self, places: Sequence[float], y: float, outcome: Outcome) -> None:
        """A trial of several interruptions."""
        self._lines.setdefault(SHAPES[outcome].ink, []).append((y, min(places) * self._end, max(places) * self._end))
        self.outcome(places, y, outcome, thinned=False)

    def finish(self) -> None:
        """Draw what was gathered, one artist a style."""
        for ink, lines in self._lines.items():
            ys, starts, ends = zip(*lines, strict=True)
            self._axes.hlines(ys, starts, ends, colors=colour(ink), lw=1.2, zorder=2)
        for (marker, size, ink, filled), places in self._dots.items():
            if not places:
                continue
            xs, ys = zip(*places, strict=True)
            lonely = marker == "|"
            inks = {
                "mfc": colour(ink if filled else "paper"),
                "mec": colour(ink if lonely or not filled else "paper"),
                "mew": 1.3 if lonely or not filled else 0.8,
            }
            self._axes.plot(xs, ys, marker=marker, ms=size, ls="none", zorder=4, clip_on=False, **inks)

    def _text(self, at: float, y: float, text: str, ink: str, side: str) -> None:
        self._axes.text(at, y, text, ha=side, va="center", fontsize=self._width.text, color=colour(ink))

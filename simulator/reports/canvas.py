"""What every picture is drawn on: matplotlib's figure in pixels, and the page's colours and letters in its SVG.

matplotlib takes half a second to load, so it is imported when the first picture is drawn and not before.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from simulator.reports.wording import seconds

INKS = (
    "ink",
    "soft",
    "rule",
    "paper",
    "starting",
    "restoring",
    "training",
    "notice",
    "grace",
    "finishing",
    "good",
    "bad",
    "baseline",
    "curve-1",
    "curve-2",
    "curve-3",
    "curve-4",
    "redone",
)
"""The stylesheet's variables. In matplotlib's hands each is a colour that is used for nothing else."""

CHARACTER = 0.58  # of the font's size: the width that a letter takes, about


@dataclass(frozen=True)
class Width:
    """A page's width, in the pixels that all sizes here are given in, and the size of its letters."""

    pixels: int
    text: float


WIDE, NARROW = Width(960, 12.5), Width(340, 11.5)


@dataclass(frozen=True)
class Margins:
    """What a picture leaves free around its axes, in pixels."""

    top: float
    right: float
    bottom: float
    left: float


@contextmanager
def figure(width: Width, margins: Margins, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure with axes of this height, all in pixels, under settings of our own: a matplotlibrc says nothing here."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its font cache where nobody asked
    import matplotlib
    from matplotlib.figure import Figure

    total = margins.top + height + margins.bottom
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {"svg.fonttype": "none", "svg.hashsalt": "spot", "text.parse_math": False, "axes.unicode_minus": False}
        )
        made = Figure(figsize=(width.pixels / 72, total / 72), dpi=72)
        made.patch.set_visible(False)
        inside = 1 - (margins.left + margins.right) / width.pixels
        axes = made.add_axes((margins.left / width.pixels, margins.bottom / total, inside, height / total))
        axes.set_ylim(height, 0)
        yield made, axes


def colour(name: str) -> str:
    return f"#{0xA50000 + INKS.index(name):06x}"


def plain_axes(axes: Any, width: Width) -> None:
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(colour("rule"))
    axes.tick_params(length=0, labelsize=width.text, labelcolor=colour("soft"), pad=6)
    axes.set_axisbelow(True)


def time_axis(axes: Any, width: Width, end: float) -> None:
    """Seconds from 0 to `end` along the bottom, at round distances."""
    most = 8 if width is WIDE else 4
    step = next((nice for nice in _steps() if end / nice <= most), end)
    at = [step * index for index in range(int(end / step) + 1)]
    plain_axes(axes, width)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xticks(at, [seconds(value).replace(" min 0 s", " min") for value in at])
    axes.grid(axis="x", color=colour("rule"), lw=0.8, zorder=0)


def _steps() -> Iterator[float]:
    for unit in (0.1, 1.0, 60.0, 3600.0):
        for factor in (1, 2, 5, 10, 20, 30) if unit >= 1 else (1, 2, 5):
            yield unit * factor


_INK = re.compile(r"#a500([0-9a-f]{2})")
_PREAMBLE = re.compile(r"^.*?(?=<svg )", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>\s*", re.DOTALL)
_FAMILY = re.compile(r" font-family: [^;\"]*;?")
_FONT = re.compile(r"font: (?:(?P<weight>\d+|bold) )?(?P<size>[\d.]+)px [^;\"]*")
_ID = re.compile(r"(\bid=\"|url\(#|href=\"#)")
_ROOT = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.DOTALL)


def svg_of(drawn: Any, name: str) -> str:
    """The figure as an SVG element that can stand in a page: ids of its own, the page's colours and letters."""
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = _METADATA.sub("", _PREAMBLE.sub("", buffer.getvalue(), count=1))
    svg = _FAMILY.sub("", _STYLE.sub("", svg, count=1))
    svg = _ROOT.sub(r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="\1">', svg, count=1)
    svg = _FONT.sub(lambda found: _font(found["weight"], found["size"]), svg).replace("xlink:href", "href")
    svg = _ID.sub(lambda found: f"{found[1]}{name}-", svg)
    return _INK.sub(lambda found: f"var(--{INKS[int(found[1], 16)]})", svg).strip()


def _font(weight: str | None, size: str) -> str:
    return f"font-size: {size}px" + (f"; font-weight: {weight}" if weight else "")

"""A picture as a page holds it: for wide and for narrow screens, with its words; one that fails takes nothing along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.reports.canvas import NARROW, WIDE, Width
from simulator.reports.wording import clean

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Picture:
    """A picture for a wide and for a narrow page, and what it shows in words; both empty: it could not be drawn."""

    wide: Any
    narrow: Any
    label: str


def picture_of(draw: Callable[[Width], str], label: str, warn: Warn) -> Picture:
    """Draw it twice. `warn` is told where that fails."""
    from markupsafe import Markup

    try:
        # Safe: matplotlib escapes the text that it is given, and the rest is its own.
        return Picture(Markup(draw(WIDE)), Markup(draw(NARROW)), clean(label))
    except Exception as error:  # noqa: BLE001 - a picture less is better than no page
        warn(f"a picture of report.html could not be drawn: {type(error).__name__}: {error}")
        return Picture("", "", clean(label))

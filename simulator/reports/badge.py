"""badge.svg: the verdict in two words, for a README; no fonts and no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.reports.templating import environment

LABEL = "spot interruption"
_COLOURS = {"survived": "#1c7c43", "failed": "#b3261e", "error": "#8a5a00"}
_LETTER, _PADDING = 6.6, 8  # pixels; textLength makes every font keep to them


def badge(report: Mapping[str, Any]) -> str:
    """The badge of a run; one that was cut short proved nothing, and so its badge says."""
    answer = "error" if report["partial"] else str(report["verdict"])
    survived = f"survived, tier {report['tier']}"
    if report.get("explored") and not report["partial"]:
        explored = report["explored"]
        survived = f"survived {explored['survived']} of {explored['counted']} {explored['search']}"
    words = {"survived": survived, "failed": "does not survive", "error": "not proved"}[answer]
    left, right = (len(text) * _LETTER + 2 * _PADDING for text in (LABEL, words))
    return (
        environment()
        .get_template("badge.svg.j2")
        .render(
            label=LABEL, words=words, colour=_COLOURS[answer], left=round(left), right=round(right), padding=_PADDING
        )
    )

"""A picture of a run, for a README: the verdict, the timeline and the metrics as report.html draws them, as one SVG.

python -m simulator.reports.picture RUN_FOLDER OUT.svg
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.core.errors import SimulatorError
from simulator.reports.canvas import WIDE
from simulator.reports.curves import Curves, curves
from simulator.reports.drawing import PHASE_INKS, draw_curves, draw_timeline
from simulator.reports.finished import FinishedRun, read_run
from simulator.reports.html_report import words_of
from simulator.reports.lanes import Lane, Phase, lanes
from simulator.reports.summary import TIERS, as_sentence
from simulator.reports.templating import environment

_VIEW_BOX = re.compile(r'viewBox="0 0 [\d.]+ ([\d.]+)"')


def picture(run: FinishedRun) -> str:
    """The SVG: light and dark as its reader's screen is, with no font or anything else from the network."""
    from markupsafe import Markup

    report, drawn, metrics = run.report, lanes(run.timeline), curves(run.timeline, run.baselines)
    parts = [draw_timeline(drawn, WIDE, "timeline")] if drawn else []
    parts += [draw_curves(metrics, WIDE, "curves")] if metrics.panels else []
    placed: list[dict[str, Any]] = []
    y = 104.0
    for part in parts:
        found = _VIEW_BOX.search(part)
        height = float(found[1]) if found else 0.0
        placed.append({"y": y, "height": height, "svg": Markup(part)})
        y += height + 20
    return (
        environment()
        .get_template("picture.svg.j2")
        .render(
            words=words_of(report),
            mood={"survived": "good", "failed": "bad"}.get(report["verdict"], "warn"),
            what=as_sentence(report["partial_reason"] if report["partial"] else report["reason"]["what"]),
            tier=f"proof of tier {report['tier']}, {TIERS[report['tier']]}" if report["tier"] in TIERS else "",
            legend=_legend(drawn, metrics),
            parts=placed,
            height=y + 34,
        )
    )


def _legend(drawn: Sequence[Lane], metrics: Curves) -> list[tuple[float, str, str]]:
    """From left to right: where an entry stands, its colour and its text."""
    seen = {span.phase for lane in drawn for span in lane.spans}
    entries = [(PHASE_INKS[phase], phase.value) for phase in Phase if phase in seen]
    if any(curve.baseline for panel in metrics.panels for curve in panel.curves):
        entries.append(("baseline", "uninterrupted runs"))
    placed, x = [], 38.0
    for ink, text in entries:
        placed.append((x, ink, text))
        x += 46 + 7.0 * len(text)
    return placed


def main(arguments: list[str]) -> int:
    """Write the picture of a run's folder."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m simulator.reports.picture RUN_FOLDER OUT.svg\n")
        return 2
    try:
        drawn = picture(read_run(Path(arguments[0])))
    except SimulatorError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    target = Path(arguments[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

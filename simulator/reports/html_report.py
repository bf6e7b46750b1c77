"""report.html: one page without script or network that tells a run to a person, from what is in the run's folder.

Whatever a script printed or named a file is shown as text: see templating.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.core.errors import ExitCode
from simulator.reports.curves import Curves, curves
from simulator.reports.custody import custody
from simulator.reports.drawing import (
    DETAILED_LANES,
    GraceBar,
    draw_curves,
    draw_grace,
    draw_timeline,
    summary_of,
)
from simulator.reports.finished import FinishedRun
from simulator.reports.lanes import Lane, Phase, Sign, lanes, moments
from simulator.reports.page_pictures import Picture, Warn, picture_of
from simulator.reports.search_page import searched_told
from simulator.reports.sentences import how_it_goes
from simulator.reports.summary import (
    CUT_SHORT,
    EXIT_CODES,
    TIERS,
    VERDICTS,
    as_sentence,
    evidence_told,
    losses_told,
    money_told,
)
from simulator.reports.templating import environment
from simulator.reports.wording import brief, count, number, seconds, size

LOG_LINES = 200  # of one attempt; of all together not more than
ALL_LOG_LINES = 3000
WATERFALLS = 6  # that are drawn; further attempts have the sentence and the table


def html_report(run: FinishedRun, warn: Warn) -> str:
    """The page. Everything on it is read from the run's folder. `warn` is told of a picture that could not be drawn;
    the page says so in its place, and is whole otherwise."""
    report = run.report
    drawn, metrics = lanes(run.timeline), curves(run.timeline, run.baselines)
    detailed = len(drawn) <= DETAILED_LANES
    told, left_out = moments(run.timeline)
    attempts = report["attempts"]
    lines = max(20, min(LOG_LINES, ALL_LOG_LINES // max(1, len(attempts))))
    return (
        environment(_FILTERS)
        .get_template("report.html.j2")
        .render(
            report=report,
            searched=searched_told(report["explored"], warn) if report.get("explored") else None,
            words=words_of(report),
            mood="error" if report["partial"] else report["verdict"],
            exit_meaning=EXIT_CODES[ExitCode(report["exit_code"])],
            tier_meaning=TIERS.get(report["tier"]),
            profile=_profile(report),
            lanes=drawn,
            timeline_picture=_timeline_picture(drawn, warn),
            phases=[phase for phase in Phase if any(span.phase is phase for lane in drawn for span in lane.spans)],
            signs=_signs(drawn, detailed),
            detailed=detailed,
            moments=told,
            moments_left_out=left_out,
            curves=metrics,
            curves_picture=_curves_picture(metrics, warn),
            graces=_graces(attempts, warn),
            paths=[(attempt["attempt"], attempt["signal_path"]) for attempt in attempts if attempt.get("signal_path")],
            custody=custody(run.timeline),
            losses=[line.plain for line in losses_told(report)],
            money=[line.plain for line in money_told(report)],
            logs=[(attempt["attempt"], run.log_tail(int(attempt["attempt"]), lines)) for attempt in attempts],
        )
    )


def words_of(report: Mapping[str, Any]) -> str:
    """The verdict in words."""
    return CUT_SHORT[0] if report["partial"] else VERDICTS[report["verdict"]][0]


def _utc(at: object) -> str:
    return str(at).replace("T", " ").split(".")[0].rstrip("Z") + " UTC"


def _profile(report: Mapping[str, Any]) -> str:
    from simulator.core.plan import Profile

    try:
        return how_it_goes(Profile(**report["plan"]["profile"]))
    except TypeError:
        return ""


def _timeline_picture(drawn: Sequence[Lane], warn: Warn) -> Picture | None:
    if not drawn:
        return None
    return picture_of(lambda width: draw_timeline(drawn, width, f"timeline-{width.pixels}"), summary_of(drawn), warn)


def _curves_picture(metrics: Curves, warn: Warn) -> Picture | None:
    if not metrics.panels:
        return None
    names = ", ".join(panel.metric for panel in metrics.panels)
    restarts = "; ".join(
        f"attempt {restart.attempt} goes on at {metrics.unit} {number(restart.at)}" for restart in metrics.restarts[:12]
    )
    label = f"Curves of {names} along {metrics.unit}. {restarts or 'Nothing was restarted'}. A table follows."
    return picture_of(lambda width: draw_curves(metrics, width, f"curves-{width.pixels}"), label, warn)


def _graces(attempts: Sequence[Mapping[str, Any]], warn: Warn) -> list[dict[str, Any]]:
    measured = [attempt for attempt in attempts if (attempt.get("grace_budget") or {}).get("segments")]
    return [_grace(attempt, place < WATERFALLS, warn) for place, attempt in enumerate(measured)]


def _grace(attempt: Mapping[str, Any], drawn: bool, warn: Warn) -> dict[str, Any]:
    """What the page shows of an attempt's grace budget."""
    budget = attempt["grace_budget"]
    segments = budget["segments"]
    planned = attempt.get("interruption") or {}
    instants = {name: (planned.get(name) or {}).get("actual_at") for name in ("notice", "sigterm", "sigkill")}
    base = min(float(segment["started_at"]) for segment in segments)
    if instants.get(budget["from"]) is not None:
        base = min(base, float(instants[budget["from"]] or 0.0))
    bars = [
        GraceBar(str(segment["name"]), float(segment["started_at"]) - base, max(0.0, float(segment["seconds"])))
        for segment in segments
    ]
    window = float(budget["window_seconds"])
    sigterm = instants["sigterm"]
    marks = (
        [("SIGTERM", float(sigterm) - base)] if sigterm is not None and float(sigterm) > base + 0.01 * window else []
    )
    told = ", ".join(f"{bar.name.replace('-', ' ')} {brief(bar.seconds)}" for bar in bars)
    name = f"grace-{attempt['attempt']}"
    return {
        "attempt": attempt["attempt"],
        "budget": budget,
        "bars": bars,
        "picture": picture_of(
            lambda width: draw_grace(bars, window, marks, width, f"{name}-{width.pixels}"),
            f"Waterfall of the {seconds(window)} that attempt {attempt['attempt']} had: {told}",
            warn,
        )
        if drawn
        else None,
    }


def _signs(drawn: Sequence[Lane], detailed: bool) -> list[Sign]:
    seen = {mark.sign for lane in drawn for mark in lane.signals}
    if detailed:
        seen |= {mark.sign for lane in drawn for mark in (*lane.saves, *lane.uploads)}
    return [sign for sign in Sign if sign in seen]


def _tree(hops: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Processes below their parents, each with its depth; one whose parent is not among them stands at the top."""
    known = {hop.get("pid") for hop in hops}
    children: dict[Any, list[Mapping[str, Any]]] = {}
    for hop in hops:
        parent = hop.get("ppid")
        children.setdefault(parent if parent in known and parent != hop.get("pid") else None, []).append(hop)
    placed: list[tuple[int, Mapping[str, Any]]] = []
    waiting = [(0, hop) for hop in reversed(children.get(None, []))]
    seen = set()
    while waiting:
        depth, hop = waiting.pop()
        if id(hop) in seen:
            continue
        seen.add(id(hop))
        placed.append((depth, hop))
        waiting += [(depth + 1, child) for child in reversed(children.get(hop.get("pid"), []))]
    return placed + [(0, hop) for hop in hops if id(hop) not in seen]


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "seconds": seconds,
    "size": size,
    "number": number,
    "count": count,
    "sentence": as_sentence,
    "evidence": evidence_told,
    "tree": _tree,
    "lag": brief,
    "utc": _utc,
    "broken": lambda check: f"{check['rule']} {check['name']}: {check['error']}",
}

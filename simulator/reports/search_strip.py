"""What a search tried, as rows of points along the recorded run and as cells; pure. The picture and its words are made
from it, and it from the `explored` of report.json alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.explore.trial import COUNTED, SOUND, Outcome, Search

LINKS = 24  # trials of several interruptions that are drawn, those that failed first
FAILURES = 500  # of which the page has a line; trials.jsonl has all

Explored = Mapping[str, Any]
Trial = Mapping[str, Any]

WORDS: Mapping[Outcome, str] = {
    Outcome.FAILED: "failed",
    Outcome.UNPROVED: "not proved",
    Outcome.SURVIVED: "survived",
    Outcome.RESTARTED: "began again, nothing was at stake",
    Outcome.MISSED: "did not take place",
    Outcome.UNDECIDED: "the fault's doing, as it may be",
    Outcome.BROKEN: "could not be carried out",
}
"""What people read, the gravest first."""


@dataclass(frozen=True)
class Row:
    """Trials with one point each, by outcome: places 0 to 1."""

    title: str
    points: Mapping[Outcome, Sequence[float]]


@dataclass(frozen=True)
class Link:
    """A trial of several interruptions."""

    places: Sequence[float]
    outcome: Outcome


@dataclass(frozen=True)
class SearchStrip:
    """All that is drawn. `links_of`: how many trials of several interruptions there were, of which `links` are drawn.
    `cells`: an outcome for each state, in the order of the run. `unplaced`: trials without a place on the recorded
    run, which are in the counts only."""

    seconds: float
    landmarks: Mapping[str, Sequence[float]]
    rows: Sequence[Row]
    links: Sequence[Link]
    links_title: str
    links_of: int
    cells: Sequence[Outcome]
    unplaced: int

    @property
    def outcomes(self) -> list[Outcome]:
        """Those that are drawn, the gravest first."""
        seen = {outcome for row in self.rows for outcome in row.points}
        seen |= {link.outcome for link in self.links} | set(self.cells)
        return [outcome for outcome in WORDS if outcome in seen]


def search_strip(explored: Explored) -> SearchStrip:
    """What is drawn of a search. Faults have no place in a run: they have a table alone."""
    search = Search(explored["search"])
    trials: Sequence[Trial] = () if search is Search.FAULTS else explored["trials"]
    placed = [trial for trial in trials if trial["places"] and None not in trial["places"]]
    single = [trial for trial in placed if len(trial["places"]) == 1]
    several = [trial for trial in placed if len(trial["places"]) > 1]
    landmarks: dict[str, list[float]] = defaultdict(list)
    for mark in explored["landmarks"]:
        landmarks[mark["deed"]].append(float(mark["at"]))
    return SearchStrip(
        seconds=float(explored["recorded_seconds"]) or 1.0,
        landmarks=landmarks,
        rows=_rows(single, search),
        links=[Link(trial["places"], Outcome(trial["outcome"])) for trial in _chosen(several)],
        links_title=f"several interruptions, {_counted(several)}",
        links_of=len(several),
        cells=[Outcome(trial["outcome"]) for trial in _in_order(trials)] if search is Search.STATES else (),
        unplaced=len(trials) - len(placed),
    )


def failures(explored: Explored) -> list[Trial]:
    """The trials that the script did not survive, smallest first."""
    failed = [trial for trial in explored["trials"] if trial["outcome"] == Outcome.FAILED]
    return sorted(failed, key=lambda trial: (len(trial["interruptions"]), len(trial["faults"]), trial["number"]))


def summary_of(strip: SearchStrip) -> str:
    """What the picture shows, in words."""
    told = [row.title for row in strip.rows] + ([strip.links_title] if strip.links else [])
    failed = [f"{at * strip.seconds:.1f} s" for row in strip.rows for at in sorted(row.points.get(Outcome.FAILED, ()))]
    more = f" and {len(failed) - 12} more" if len(failed) > 12 else ""
    where = f"; failed at {', '.join(failed[:12])}{more}" if failed else ""
    return f"Interruptions along the recorded run: {'; '.join(told)}{where}"


def _rows(trials: Sequence[Trial], search: Search) -> list[Row]:
    by_title: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_title["states" if search is Search.STATES else f"one interruption, {trial['profile']}"].append(trial)
    return [Row(f"{title}: {_counted(of)}", _by_outcome(of)) for title, of in sorted(by_title.items())]


def _by_outcome(trials: Sequence[Trial]) -> dict[Outcome, list[float]]:
    points: dict[Outcome, list[float]] = defaultdict(list)
    for trial in trials:
        points[Outcome(trial["outcome"])].append(float(trial["places"][0]))
    return points


def _counted(trials: Sequence[Trial]) -> str:
    outcomes = [Outcome(trial["outcome"]) for trial in trials]
    return f"{sum(one in SOUND for one in outcomes)} of {sum(one in COUNTED for one in outcomes)} survived"


def _chosen(trials: Sequence[Trial]) -> list[Trial]:
    """Those that are drawn: what failed, and of the others as many as fit, evenly."""
    failed = [trial for trial in trials if trial["outcome"] == Outcome.FAILED][: LINKS * 2 // 3]
    others = [trial for trial in trials if trial["outcome"] != Outcome.FAILED]
    room = LINKS - len(failed)
    every = -(-len(others) // room) or 1
    drawn = sorted(others[::every], key=lambda trial: trial["places"])
    return sorted(failed, key=lambda trial: trial["places"]) + drawn


def _in_order(trials: Sequence[Trial]) -> list[Trial]:
    """States by the place in the run at which they are left behind, as far as it is known."""
    return sorted(trials, key=lambda trial: (trial["places"][0] if trial["places"] else 2.0) or 0.0)

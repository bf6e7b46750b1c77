"""What is said of a search in every report: the line for CI, how it was made, the smallest failure and its commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.explore.coverage import Stop
from simulator.reports.wording import clean, count, seconds

Explored = Mapping[str, Any]
CUT = frozenset({Stop.BUDGET, Stop.UNTIL_FAILURE, Stop.INTERRUPTED})
"""Ends that the line's caveats tell already."""


def line_of(explored: Explored) -> str:
    """`survived 400 of 400 schedules, seed 7; …`."""
    return clean(str(explored["line"]))


def short_line(explored: Explored) -> str:
    """The line without what follows its semicolon."""
    return line_of(explored).partition(";")[0]


def caveats(explored: Explored) -> list[str]:
    """What follows it: what the two numbers do not say."""
    return line_of(explored).split("; ")[1:]


def how_told(explored: Explored) -> list[str]:
    """How the search was made, a sentence each."""
    rate = f", {explored['trials_per_minute']:.0f} a minute" if explored["trials_per_minute"] else ""
    workers = f"{count(explored['jobs'], 'job')} ({clean(str(explored['backend']))})"
    of = f" of {explored['total']}" if explored["total"] is not None else ""
    budget = f", budget {seconds(explored['budget_seconds'])}" if explored["budget_seconds"] is not None else ""
    sentences = [
        f"{explored['tried']}{of} {explored['search']} in {seconds(explored['seconds'])}{rate}: {workers}{budget}",
        *([] if explored["stopped"] in CUT else [clean(str(explored["stopped_because"]))]),
        *([clean(str(explored["start"]))] if explored["start"] else []),
    ]
    return [*sentences, *(clean(str(note)) for note in explored["notes"])]


def smallest_told(explored: Explored) -> str | None:
    """The smallest failure in a sentence; None where there was none."""
    smallest = explored["smallest"]
    if smallest is None:
        return None
    rules = f" ({', '.join(smallest['rules'])})" if smallest["rules"] else ""
    confirmed = "confirmed with a cold start and moto" if smallest["confirmed"] else "not confirmed"
    return f"{clean(smallest['label'])}{rules}: {clean(smallest['evidence'])} ({confirmed})"


def found_as(explored: Explored) -> str:
    """Which trial the smallest failure was, or was made from."""
    smallest = explored["smallest"]
    found = next((trial for trial in explored["trials"] if trial["number"] == smallest["found_as"]), None)
    if found is None:
        return ""
    is_it = (found["interruptions"], found["profile"]) == (smallest["interruptions"], smallest["profile"])
    return f"{'Found as' if is_it else 'Shrunk from'} trial {found['number']}."


def shown_is(explored: Explored) -> str:
    """Which run the rest of the report is about."""
    if explored["smallest"] is not None:
        return "What follows is the run that decides: the smallest failure, run once more."
    return "What follows is one of the trials, run once more: it stands for the others."


def commands(explored: Explored, folder: Path | None) -> list[tuple[str, str]]:
    """What can be typed next, each with what it does. `folder` None: the files are beside whoever reads this."""
    smallest = explored["smallest"] or {"replay": "", "pytest": ""}
    told = []
    for name, command, does in (
        ("replay", "spot-simulator replay", "to run it again"),
        (
            "pytest",
            "python -m pytest",
            "the same as a pytest case, to be copied into your tests",
        ),
    ):
        if smallest[name]:
            file = smallest[name] if folder is None else str(folder / smallest[name])
            told.append((f"{command} {shlex.quote(clean(file))}", does))
    return told

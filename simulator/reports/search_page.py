"""What report.html shows of a search, ready for its template."""

from __future__ import annotations

from typing import Any

from simulator.explore.trial import SOUND, Outcome, Search
from simulator.reports.page_pictures import Warn, picture_of
from simulator.reports.search_drawing import draw_cells, draw_strip, legend
from simulator.reports.search_strip import FAILURES, WORDS, Explored, failures, search_strip, summary_of
from simulator.reports.search_told import caveats, commands, found_as, how_told, short_line, shown_is

OPEN = 20  # trials that were not proved or not carried out, of which the page has a line
TABLE = 200  # faults, of which it has a line each


def searched_told(explored: Explored, warn: Warn) -> dict[str, Any]:
    """The template's `searched`."""
    strip, failed = search_strip(explored), failures(explored)
    is_open = [trial for trial in explored["trials"] if Outcome(trial["outcome"]) not in SOUND | {Outcome.FAILED}]
    counted = f"{explored['survived']} of {explored['counted']} survived, in the order of the run"
    return {
        "short": short_line(explored),
        "caveats": caveats(explored),
        "strip": strip,
        "picture": picture_of(lambda width: draw_strip(strip, width, f"tried-{width.pixels}"), summary_of(strip), warn)
        if strip.rows or strip.links
        else None,
        "cells": picture_of(lambda width: draw_cells(strip.cells, width, f"cells-{width.pixels}"), counted, warn)
        if strip.cells
        else None,
        "legend": legend(strip),
        "failures": failed[:FAILURES],
        "failed": len(failed),
        "open": is_open[:OPEN],
        "more_open": max(0, len(is_open) - OPEN),
        "table": explored["trials"][:TABLE] if explored["search"] == Search.FAULTS else [],
        "words": {outcome.value: word for outcome, word in WORDS.items()},
        "commands": commands(explored, None),
        "found_as": found_as(explored) if explored["smallest"] else "",
        "how": how_told(explored),
        "shown_is": shown_is(explored),
    }

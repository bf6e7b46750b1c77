"""What is drawn and said of a search, worked out from the report alone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.explore.trial import Outcome
from simulator.reports.canvas import NARROW, WIDE
from simulator.reports.finished import read_run
from simulator.reports.search_drawing import SHAPES, draw_cells, draw_strip, legend
from simulator.reports.search_strip import LINKS, WORDS, failures, search_strip, summary_of
from simulator.reports.search_told import caveats, commands, found_as, how_told, short_line, smallest_told
from tests.reports import runs


def explored(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = read_run(runs.kept(kind)).report["explored"]
    return found


def test_single_interruptions_have_a_row_a_profile_with_their_count():
    strip = search_strip(explored("searched"))
    assert [row.title for row in strip.rows] == [
        "one interruption, sudden: 13 of 14 survived",
        "one interruption, two-minute: 12 of 12 survived",
    ]
    assert len(strip.rows[0].points[Outcome.FAILED]) == 1


def test_several_interruptions_are_links_failures_first():
    strip = search_strip(explored("searched"))
    assert [(link.outcome, len(link.places)) for link in strip.links] == [
        (Outcome.FAILED, 2),
        (Outcome.UNPROVED, 3),
        (Outcome.SURVIVED, 2),
    ]


def test_what_has_no_place_is_counted_and_said():
    strip = search_strip(explored("searched"))
    drawn = sum(len(places) for row in strip.rows for places in row.points.values()) + len(strip.links)
    assert strip.unplaced == 1 and drawn + strip.unplaced == 31


def test_of_thousands_of_links_a_few_are_drawn_failures_and_survivors():
    strip = search_strip(explored("searched_widely"))
    assert strip.links_of > 1000 and len(strip.links) <= LINKS
    assert {link.outcome for link in strip.links} == {Outcome.FAILED, Outcome.SURVIVED}


def test_states_have_a_cell_each_in_the_order_of_the_run():
    block = explored("searched_states")
    block["trials"].reverse()
    strip = search_strip(block)
    assert len(strip.cells) == 214
    assert [place for place, outcome in enumerate(strip.cells, 1) if outcome is Outcome.FAILED] == [77, 140]


def test_faults_are_not_drawn():
    strip = search_strip(explored("searched_faults"))
    assert not strip.rows and not strip.links and not strip.cells and strip.unplaced == 0


def test_failures_come_smallest_first():
    assert [trial["number"] for trial in failures(explored("searched"))] == [25, 26]


def test_every_outcome_has_words_and_a_shape_that_no_other_has():
    assert WORDS.keys() == SHAPES.keys() == set(Outcome)
    assert len({shape.sign for shape in SHAPES.values()}) == len({(s.marker, s.filled) for s in SHAPES.values()}) == 7


def test_the_legend_names_what_is_drawn_and_no_more():
    words = [word for _, _, word in legend(search_strip(explored("searched_widely")))]
    assert words == ["failed", "survived", "an epoch ended"]


def test_the_pictures_words_tell_where_it_failed():
    assert "13 of 14 survived" in summary_of(search_strip(explored("searched")))
    assert "failed at 4.0 s" in summary_of(search_strip(explored("searched")))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_strip_of_thousands_stays_small(width):
    strip = search_strip(explored("searched_widely"))
    assert len(draw_strip(strip, width, "a")) < 60_000
    assert draw_strip(strip, width, "a") == draw_strip(strip, width, "a")


@pytest.mark.parametrize("number", [1, 214, 5000])
def test_cells_fit_any_number(number):
    svg = draw_cells([Outcome.SURVIVED] * number, NARROW, "cells")
    assert svg.startswith("<svg") and svg.count("<use") >= number


def test_what_is_said_of_a_search():
    block = explored("searched")
    assert short_line(block) == "survived 26 of 29 schedules, seed 7"
    assert len(caveats(block)) == 4
    assert smallest_told(block) == (
        "save=2 (sudden) (SPOT004): attempt 2 died reading model.ckpt: EOFError (confirmed with a cold start and moto)"
    )
    assert how_told(block)[0] == "31 schedules in 31.5 s, 59 a minute: 2 jobs (loky)"
    assert how_told(block)[-1] == "the notice was shortened to 1 s and the grace to 5 s"


def test_commands_can_be_typed_as_they_stand(tmp_path):
    block, folder = explored("searched"), tmp_path / "runs of mine"
    assert [command for command, _ in commands(block, folder)] == [
        f"spot-simulator replay '{folder}/replay.json'",
        f"python -m pytest '{folder}/spot_case.py'",
    ]
    assert commands(explored("searched_faults"), folder) == []
    assert smallest_told(explored("searched_faults")) is None


def test_a_search_that_was_stopped_says_how_far_it_came():
    assert how_told(explored("searched_faults"))[0] == (
        "6 of 40 faults in 31.5 s, 11 a minute: 2 jobs (loky), budget 10 min"
    )
    assert "stopped after 6, of 40 in all: it was interrupted by you" in caveats(explored("searched_faults"))


def test_the_smallest_says_which_trial_it_was_or_came_from():
    block = explored("searched")
    assert found_as(block) == "Shrunk from trial 26."
    block["smallest"]["found_as"] = 25
    assert found_as(block) == "Found as trial 25."

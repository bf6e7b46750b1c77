"""What a search tried, counted and said in a line."""

from __future__ import annotations

import json
from typing import Any

from simulator.explore.coverage import STOPS, Explored, Smallest, Stop, Tried, coverage_line, tried_on
from simulator.explore.strip import Strip
from simulator.explore.trial import Outcome, Schedule, Search, TrialResult
from tests.explore.results import result
from tests.reports.story import story


def explored(*results: TrialResult, **facts: Any) -> Explored:
    known: dict[str, Any] = {
        "search": Search.SCHEDULES,
        "seed": 7,
        "total": len(results),
        "stopped": Stop.EXHAUSTED,
        "seconds": 30.0,
        "jobs": 2,
        "backend": "loky",
    }
    return Explored(tried=[Tried(one) for one in results], **(known | facts))


def many(number: int, **more: Any) -> list[TrialResult]:
    return [result(one, "step=4", **more) for one in range(1, number + 1)]


def test_the_line_of_a_search_that_all_survived_is_the_one_that_ci_reads():
    assert explored(*many(400)).line() == "survived 400 of 400 schedules, seed 7"


def test_two_searches_have_one_line():
    schedules, states = explored(*many(400)), explored(*many(214), search=Search.STATES)
    assert coverage_line([schedules, states]) == "survived 400 of 400 schedules, 214 of 214 states, seed 7"


def test_a_failure_is_counted_and_not_survived():
    assert explored(*many(3), result(4, "save=2", outcome=Outcome.FAILED)).line() == (
        "survived 3 of 4 schedules, seed 7"
    )


def test_a_restarted_trial_counts_as_survived_and_is_said():
    assert explored(*many(3), result(4, "1s", outcome=Outcome.RESTARTED)).line() == (
        "survived 4 of 4 schedules, seed 7; 1 began again from the start, as nothing had been at stake"
    )


def test_a_trial_that_did_not_take_place_counts_nowhere_and_is_said():
    search = explored(*many(3), *many(2, outcome=Outcome.MISSED), result(9, "save", outcome=Outcome.BROKEN))
    assert search.line() == (
        "survived 3 of 3 schedules, seed 7; 2 did not take place and are not counted, as the script had ended before;"
        " 1 could not be carried out here and is not counted"
    )


def test_what_was_not_proved_is_no_survival():
    assert explored(*many(1), result(2, "save", outcome=Outcome.UNPROVED)).line() == (
        "survived 1 of 2 schedules, seed 7; 1 completed without anything to show that it resumed"
    )


def test_a_search_that_stopped_early_says_of_how_many_and_why():
    assert explored(*many(120), total=400, stopped=Stop.BUDGET).line() == (
        "survived 120 of 120 schedules, seed 7; stopped after 120, of 400 in all: the budget ended"
    )
    assert explored(*many(5), total=None, stopped=Stop.INTERRUPTED).caveats() == [
        "stopped after 5: it was interrupted by you"
    ]


def test_failures_come_smallest_first():
    failed = {"outcome": Outcome.FAILED}
    two, late, early = (
        result(1, "step=1", "save", **failed),
        result(9, "step=9", **failed),
        result(4, "step=4", **failed),
    )
    assert explored(two, late, result(2, "step=2"), early).failures == [early, late, two]


def test_the_rate_is_of_all_trials_that_were_made_now():
    assert explored(*many(100), seconds=60).trials_per_minute == 100
    assert explored(seconds=0).trials_per_minute == 0
    assert explored(*many(100), seconds=60, earlier=40).trials_per_minute == 60


def test_places_come_from_the_recorded_run():
    strip = Strip(_recorded())
    (tried,) = tried_on(strip, [result(1, "step=20", "step=40")])
    assert tried.places[0] is not None and tried.places[1] is not None
    assert 0 < tried.places[0] < tried.places[1] < 1
    assert tried_on(None, [result(1, "step=20")])[0].places == ()


def test_a_state_is_where_an_instance_would_have_left_it():
    strip = Strip(_recorded())
    halfway = strip.start + strip.seconds / 2
    known, unknown = tried_on(strip, [result(1, state="one"), result(2, state="two")], {"one": halfway})
    assert (known.places, unknown.places) == ((0.5,), ())


def test_the_report_holds_every_trial_in_its_order_as_json_does():
    smallest = Smallest(
        Schedule(("save=2",), "sudden"), "save=2", "a torn file", ("SPOT004",), found_as=2, replay="replay.json"
    )
    one, two = result(1, "step=1"), result(2, "save=2", outcome=Outcome.FAILED, warnings=("SPOT007",))
    block = explored(two, one, smallest=smallest).as_dict()
    assert json.loads(json.dumps(block)) == block
    assert [trial["number"] for trial in block["trials"]] == [1, 2]
    assert [trial["evidence"] for trial in block["trials"]] == ["", "the second attempt died of model.ckpt"]
    assert block["smallest"]["interruptions"] == ["save=2"] and block["smallest"]["rules"] == ["SPOT004"]
    assert block["counts"] == {**{outcome.value: 0 for outcome in Outcome}, "survived": 1, "failed": 1}
    assert block["line"] == "survived 1 of 2 schedules, seed 7"


def test_every_reason_to_stop_has_words():
    assert STOPS.keys() == set(Stop)


def _recorded() -> Any:
    from simulator.core.timeline import Timeline

    return Timeline(story())

"""Results on disk as they come, and read back after a crash."""

from __future__ import annotations

import json

import pytest

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.explore.trial import Outcome
from simulator.explore.trials_file import SEARCH, TRIALS, TrialsFile, checked_against, read_search
from tests.explore.results import result

FACTS = {"search": "schedules", "seed": 7, "job": {"entry_script": "train.py"}}
RESULTS = [result(1, "step=4"), result(2, "save=2", "3s", outcome=Outcome.FAILED, faults={"kind": "503"}, state="s-1")]


def written(folder, results=RESULTS):
    with TrialsFile.begin(folder, FACTS) as file:
        for one in results:
            file.on_result(one)
    return folder


def test_what_was_written_is_read_back(tmp_path):
    saved = read_search(written(tmp_path))
    assert list(saved.results) == RESULTS
    assert saved.facts == FACTS


def test_a_result_is_on_disk_before_the_next_one_is_waited_for(tmp_path):
    with TrialsFile.begin(tmp_path, FACTS) as file:
        file.on_result(RESULTS[0])
        assert read_search(tmp_path).results == (RESULTS[0],)


def test_a_line_that_a_crash_cut_is_left_out_and_written_over(tmp_path):
    trials = written(tmp_path) / TRIALS
    trials.write_bytes(trials.read_bytes()[:-20])
    assert read_search(tmp_path).results == (RESULTS[0],)
    with TrialsFile.resume(tmp_path) as file:
        file.on_result(RESULTS[1])
    assert list(read_search(tmp_path).results) == RESULTS


def test_a_search_that_was_killed_at_once_goes_on_with_nothing(tmp_path):
    assert read_search(written(tmp_path, [])).results == ()


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"a": 1'])
def test_a_folder_that_holds_no_search_is_named(tmp_path, broken):
    written(tmp_path)
    (tmp_path / SEARCH).write_text(broken)
    with pytest.raises(UsageError, match="no search that could go on"):
        read_search(tmp_path)


def test_a_line_that_is_no_result_is_told(tmp_path):
    (written(tmp_path) / TRIALS).write_text('{"trial": 3}\n')
    with pytest.raises(UsageError, match="no search"):
        read_search(tmp_path)


def test_an_empty_folder_holds_no_search(tmp_path):
    with pytest.raises(UsageError) as error:
        read_search(tmp_path)
    assert SEARCH in error.value.why


def test_the_same_search_goes_on(tmp_path):
    saved = read_search(written(tmp_path))
    assert checked_against(saved, FACTS | {"job": {"entry_script": "train.py"}}, tmp_path) is saved


def test_another_search_does_not_go_on_in_its_folder(tmp_path):
    saved = read_search(written(tmp_path))
    with pytest.raises(UsageError) as error:
        checked_against(saved, FACTS | {"seed": 8, "profile": "sudden"}, tmp_path)
    assert error.value.why == "profile was None and is 'sudden' now; seed changed too"


def test_a_disk_that_takes_nothing_is_the_environments_failure(tmp_path):
    with pytest.raises(EnvironmentFailure, match="cannot be written"):
        TrialsFile.begin(tmp_path / "missing", FACTS)
    with pytest.raises(EnvironmentFailure):
        TrialsFile.resume(tmp_path)


def test_every_line_is_json_of_one_result(tmp_path):
    lines = (written(tmp_path) / TRIALS).read_text().splitlines()
    assert [json.loads(line)["trial"]["number"] for line in lines] == [1, 2]

"""The documented ways to tell sample ids, and what is none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.core.samples import Samples, samples_of_json, samples_of_line


@pytest.mark.parametrize(
    "line",
    [
        "sample-ids epoch=3 step=41: 17 4 99",
        "sample-ids epoch=3 step=41:17,4,99",
        "2026-01-01 12:00:00 [INFO] sample-ids epoch=3 step=41: 17, 4, 99\r",
    ],
)
def test_a_log_line_tells_a_batch(line: str) -> None:
    assert samples_of_line(line) == Samples(3, 41, ["17", "4", "99"])


@pytest.mark.parametrize(
    "line",
    ["samples epoch=3: 640", "sample-ids epoch=3: 4", "sample-ids epoch=3 step=41:", "no-sample-ids epoch=3 step=4: 1"],
)
def test_another_line_tells_none(line: str) -> None:
    assert samples_of_line(line) is None


def test_a_line_of_the_file_tells_a_batch() -> None:
    assert samples_of_json('{"epoch": 3, "step": 41, "ids": [17, "a"]}') == Samples(3, 41, ["17", "a"])


@pytest.mark.parametrize("line", ['{"epoch": 3, "ste', "[]", '{"epoch": 3, "ids": [1]}', '{"step": 1, "ids": 4}', "7"])
def test_a_line_that_was_cut_or_is_another_tells_none(line: str) -> None:
    assert samples_of_json(line) is None


def test_the_examples_of_the_page_are_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "samples.md").read_text()
    examples = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    assert [samples_of_line(line) or samples_of_json(line) for line in examples] == 2 * [
        Samples(3, 41, ["17", "4", "99"])
    ]

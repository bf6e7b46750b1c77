"""badge.svg: two words, and no more than they say."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from simulator.reports.badge import badge
from simulator.reports.json_report import build_report
from tests.reports.story import record

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verdict": "survived", "tier": 1}, "survived, tier 1"),
        ({"verdict": "failed", "tier": None}, "does not survive"),
        ({"verdict": "error", "tier": None}, "not proved"),
        ({"verdict": "survived", "tier": 3, "partial": True}, "not proved"),
    ],
)
def test_the_badge_says_the_verdict_and_fits_it(fields, words):
    root = ElementTree.fromstring(badge(build_report(record()) | fields))
    label, value = root.iter(f"{SVG}text")
    assert (label.text, value.text) == ("spot interruption", words)
    assert root.find(f"{SVG}title").text == root.get("aria-label") == f"spot interruption: {words}"
    assert float(value.get("x")) + float(value.get("textLength")) < float(root.get("width"))

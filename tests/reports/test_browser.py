"""report.html in a real browser: it opens without a complaint, asks for nothing, and can be read by anyone anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.reports.finished import read_run
from simulator.reports.render import render
from tests.reports import runs
from tests.reports.browser import Page, browser

pytestmark = pytest.mark.browser

CONTRAST = 4.5  # WCAG 2.2, 1.4.3: text
KINDS = list(runs.KINDS)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def reports() -> dict[str, Path]:
    """Each rendered from its folder, since some were given more after they were written."""
    for kind in KINDS:
        assert render(read_run(runs.kept(kind))) == []
    return {kind: runs.kept(kind) / "report.html" for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_opens_without_a_complaint_and_asks_for_nothing(page, reports, kind):
    for scheme in ("light", "dark"):
        page.open(reports[kind], scheme=scheme)
        assert page.complaints() == []
        assert [url for url in page.requests() if url != "data:,"] == [reports[kind].as_uri()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [360, 720, 1100])
def test_a_page_is_never_wider_than_the_screen(page, reports, kind, width):
    page.open(reports[kind], width)
    page.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_their_ground(page, reports, scheme):
    """Text against the page and the cards, also in the pictures; and the schemes are what the reader prefers."""
    page.open(reports["failed"], scheme=scheme)
    ground = page.ask("getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) > 0.5) == (scheme == "light")
    elements = "[...document.querySelectorAll('h1,h2,h3,p,a,li,dt,dd,td,th,summary,pre,.tag')].map(e => "
    text = set(page.ask(elements + "getComputedStyle(e).color)"))
    drawn = set(page.ask("[...document.querySelectorAll('.wide text')].map(e => getComputedStyle(e).fill)"))
    assert len(text) > 3
    assert len(drawn) > 1
    for colour in text | drawn:
        assert contrast(colour, ground) >= CONTRAST, colour


def test_marks_and_phases_stand_out_from_the_page(page, reports):
    """WCAG 2.2, 1.4.11: what a picture needs to be understood, 3 to 1 against the page; grey is for what waits."""
    for scheme in ("light", "dark"):
        page.open(reports["survived"], scheme=scheme)
        ground = page.ask("getComputedStyle(document.body).backgroundColor")
        for name in ("training", "grace", "finishing", "good", "bad", "curve-1", "curve-2", "curve-3", "curve-4"):
            colour = page.ask(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')")
            assert contrast(colour, ground) >= 3, (scheme, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_screen_reader_finds_landmarks_and_headings_in_order(page, reports, kind):
    page.open(reports[kind])
    nodes = [(node["role"]["value"], node) for node in page.tree()]
    roles = [role for role, _ in nodes]
    assert [roles.count(role) for role in ("banner", "main", "navigation", "contentinfo")] == [1, 1, 1, 1]
    levels = [
        next(entry["value"]["value"] for entry in node["properties"] if entry["name"] == "level")
        for role, node in nodes
        if role == "heading"
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(node["name"]["value"] for role, node in nodes if role in ("image", "region", "navigation", "heading"))
    assert page.ask("document.documentElement.lang") == "en"


def test_pictures_have_a_wide_and_a_narrow_form_and_one_is_shown(page, reports):
    for width, shown in ((360, "narrow"), (1100, "wide")):
        page.open(reports["survived"], width)
        heights = "[...document.querySelectorAll('figure .%s')].map(e => e.getBoundingClientRect().height)"
        other = "wide" if shown == "narrow" else "narrow"
        assert all(height > 50 for height in page.ask(heights % shown))
        assert all(height == 0 for height in page.ask(heights % other))


@pytest.mark.parametrize("width", [360, 720, 840, 1100])
def test_letters_in_pictures_can_be_read_and_stay_inside(page, reports, width):
    page.open(reports["survived"], width)
    form = "narrow" if width < 832 else "wide"
    boxes = page.ask(
        f"[...document.querySelectorAll('.{form} svg text')].map(e => {{const b = e.getBoundingClientRect(),"
        " s = e.ownerSVGElement.getBoundingClientRect();"
        " return [e.textContent, b.height, b.left - s.left, s.right - b.right]})"
    )
    assert len(boxes) > 10
    assert [box for box in boxes if box[1] < 9.5 or box[2] < -1 or box[3] < -1] == []


def test_the_first_key_leads_past_the_page_s_head(page, reports):
    page.open(reports["survived"])
    page.press("Tab")
    assert page.ask("document.activeElement.textContent") == "To the verdict"
    assert page.ask("document.activeElement.getBoundingClientRect().left") >= 0


def test_everything_that_scrolls_can_be_reached_with_keys(page, reports):
    page.open(reports["many_files"], 360)
    page.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    scrolling = "[...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1"
    outside = " && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.tabIndex < 0).map(e => e.outerHTML)"
    assert page.ask(scrolling + outside) == []


def test_what_a_script_printed_is_shown_and_never_run(page, reports):
    page.open(reports["hostile"])
    assert page.complaints() == []
    assert page.ask("document.scripts.length + document.images.length") == 0
    assert "<script>alert(1)</script>" in page.ask("document.querySelector('main').textContent")


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `rgb(1, 2, 3)` or `#010203`."""
    colour = colour.strip()
    if colour.startswith("#"):
        parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    else:
        parts = [int(part) for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 / 255 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)

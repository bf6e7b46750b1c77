"""report.html as text: what it tells, in which order, and that it is one harmless file."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import pytest

from simulator.reports import html_report as html_report_module
from simulator.reports.finished import read_run
from simulator.reports.html_report import html_report
from tests.reports import runs

VOID = {"meta", "link", "br", "img", "hr", "input"}
SECTIONS = [
    "verdict-title",
    "timeline",
    "metrics",
    "grace",
    "signals",
    "findings",
    "checkpoints",
    "losses",
    "proof",
    "assumptions",
    "logs",
]


class Page(HTMLParser):
    """Checks that elements are nested as they should be, and gathers what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.tags if attrs.get("id")]


@cache
def html_of(kind: str) -> str:
    told: list[str] = []
    html = html_report(read_run(runs.kept(kind)), told.append)
    assert told == []
    return html


def page(kind: str) -> Page:
    return Page(html_of(kind))


@pytest.mark.parametrize("kind", runs.KINDS)
def test_a_page_is_whole_and_asks_for_nothing(kind):
    found = page(kind)
    assert [tag for tag, _ in found.tags if tag in ("script", "img", "iframe", "object", "embed", "form")] == []
    assert all(not name.startswith("on") for _, attrs in found.tags for name in attrs)
    links = [attrs[name] for _, attrs in found.tags for name in ("href", "src") if name in attrs]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert set(re.findall(r"url\((.)", html_of(kind))) <= {"#"}
    ids = found.ids()
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


@pytest.mark.parametrize("kind", runs.KINDS)
def test_the_verdict_comes_first_and_the_rest_in_its_order(kind):
    ids = page(kind).ids()
    assert [name for name in ids if name in SECTIONS] == SECTIONS


def test_a_run_that_survived_tells_its_proof_and_what_was_not_tried():
    text = page("survived").text
    for told in (
        "Survived",
        "attempt 2 went on at step 41",
        "An interruption while a checkpoint was being written",
        "At 50 MB/s this fits checkpoints up to 305 MB",
        "10 s from the notice",
        "pid 7",
        "and went no further",
        "exec sh sm_train.sh",
        "uninterrupted run 2",
        "4 files, 4.8 kB, in S3 at its end",
    ):
        assert told.lower() in text.lower()


def test_a_run_that_did_not_survive_tells_its_findings_with_their_fixes():
    text, finding = page("failed").text, read_run(runs.kept("failed")).report["findings"][0]
    assert "Does not survive" in text
    assert " ".join(finding["message"].split()) in text
    assert " ".join(finding["fix"].split()) in text


def test_a_run_that_was_cut_says_so_first():
    text = page("cut_short").text
    assert text.index("Cut short") < text.index("Interrupted by the user") < text.index("Timeline")


def test_what_scripts_print_and_name_is_text_and_nothing_else():
    html = html_of("hostile")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<img" not in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e\ud800]", html)
    html.encode("utf-8")


def test_a_picture_keeps_dollars_and_underscores_of_names():
    html = html_of("hostile")
    assert re.search(r"<text[^>]*>loss \$x_\{1\}\$ &lt;/script&gt;", html)


@pytest.mark.parametrize("kind", ["survived", "many_attempts"])
def test_every_picture_has_words_and_a_table_beside_it(kind):
    html = html_of(kind)
    pictures = re.findall(r'<div role="img" aria-label="([^"]+)"', html)
    assert len(pictures) == html.count("<figure>") > 1
    assert all(len(label) > 40 for label in pictures)
    for figure in html.split("<figure>")[1:]:
        assert "<table" in figure.split("<section")[0]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("many_attempts", "Attempt 1, the last 60 lines"),
        ("many_attempts", "left out here; timeline.jsonl has all of it"),
        ("many_attempts", "Attempt 50 printed nothing"),
        ("many_readings", "before it are in logs/attempt-1.log"),
        ("many_files", "300 files more: see timeline.jsonl"),
    ],
)
def test_a_long_run_makes_a_page_of_moderate_size_that_says_what_it_left_out(kind, told):
    html = html_of(kind)
    assert len(html) < 1_000_000
    assert told in Page(html).text


def test_colours_in_pictures_are_the_stylesheets():
    html = html_of("survived")
    pictures = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}", pictures)) == set()
    styles = re.findall(r"--([a-z0-9-]+):", html)
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", html)) <= set(styles)


def test_an_old_report_without_the_newer_fields_is_shown(tmp_path):
    def older(report):
        for attempt in report["attempts"]:
            attempt.pop("grace_budget", None)
            attempt.pop("signal_path", None)
        report.pop("not_tried", None)

    text = Page(html_report(read_run(runs.made(tmp_path / "run", change=older)), print)).text
    assert "No save within a grace period was measured." in text
    assert "SIGTERM's way through the processes was not followed in this run." in text


def test_a_picture_that_cannot_be_drawn_is_told_and_the_page_is_whole_otherwise(monkeypatch):
    def broken(*_: object) -> str:
        raise ZeroDivisionError("a bug in a picture")

    monkeypatch.setattr(html_report_module, "draw_curves", broken)
    told: list[str] = []
    found = Page(html_report(read_run(runs.kept("survived")), told.append))
    assert told == ["a picture of report.html could not be drawn: ZeroDivisionError: a bug in a picture"]
    assert "This picture could not be drawn. Curves of loss along step." in found.text
    assert [name for name in found.ids() if name in SECTIONS] == SECTIONS

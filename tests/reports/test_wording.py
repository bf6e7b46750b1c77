"""Numbers for people, and log lines that cannot do harm."""

from __future__ import annotations

import pytest

from simulator.reports.wording import LINE_CHARACTERS, brief, clean, number, printable, seconds, size


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"step=1 loss=0.5", "step=1 loss=0.5"),
        (b"\x1b[31;1mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b[2J\x1b[Hcleared", "cleared"),
        (b"bell\x07 null\x00 backspace\x08", "bell null backspace"),
        (b" 10%\r 50%\r100%\r\n", "100%"),
        (b"a\tb", "a   b"),
        (b"\xff\xfe binary", "\ufffd\ufffd binary"),
        ("right\u202eto left\u2066", "rightto left"),
        ("two\u2028lines", "twolines"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
        (b"\x1b[", ""),
        (b"", ""),
    ],
)
def test_a_log_line_is_shown_without_anything_that_a_terminal_would_obey(line, shown):
    assert clean(line) == shown


def test_an_endless_line_is_cut():
    assert len(clean(b"x" * 50_000_000)) == LINE_CHARACTERS


def test_every_single_byte_can_be_shown():
    for value in range(256):
        assert "\x1b" not in clean(bytes([value, 0x41]))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0 s"), (5.0, "5 s"), (12.34, "12.3 s"), (120, "120 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_written_as_people_say_them(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1 byte"), (999, "999 bytes"), (1200, "1.2 kB"), (5e6, "5 MB"), (3e15, "3000.0 TB")]
)
def test_sizes_are_written_in_powers_of_a_thousand(value, text):
    assert size(value) == text


def test_numbers_that_are_none_do_not_break():
    assert number(float("nan")) == "nan"
    assert number(float("inf")) == "inf"
    assert number(63.0) == "63"


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0 ms"), (0.0254, "25 ms"), (0.9996, "1 s"), (4.96, "5 s"), (120, "120 s")]
)
def test_short_times_are_told_in_milliseconds(value, told):
    assert brief(value) == told


def test_text_for_pages_keeps_its_lines_and_loses_what_xml_forbids():
    assert printable("a\n\tb\x00\x1b\u202e\ufffe\ud800c") == "a\n\tbc"

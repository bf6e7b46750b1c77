"""summary.md: the verdict first; a script's text is read and not interpreted."""

from __future__ import annotations

import pytest

from simulator.reports.finished import read_run
from simulator.reports.json_report import build_report
from simulator.reports.markdown import markdown, plain
from tests.reports import runs
from tests.reports.story import record


@pytest.mark.parametrize("kind", runs.KINDS)
def test_every_kind_of_run_is_summed_up_verdict_first(kind):
    text = markdown(read_run(runs.kept(kind)).report)
    assert text.startswith("## ")
    assert text.split(":")[0][3:] in ("Survived", "Does not survive", "Not proved", "Cut short")
    text.encode("utf-8")


def test_the_attempts_are_a_table():
    assert "| 1 | reclaimed | 0 | 13.5 s | 1 to 45 | step=40 |" in markdown(build_report(record()))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b>bold</b>", r"\<b\>bold\</b\>"),
        ("[a](http://b)", r"\[a\](http\://b)"),
        ("a | b", r"a \| b"),
        ("`code` *x* _y_ ~z~", r"\`code\` \*x\* \_y\_ \~z\~"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("a\n\n# head", r"a \# head"),
        ("$x$ &amp; @you", r"\$x\$ \&amp; \@you"),
        ("step-by-step: 3.4 s (of 5)", "step-by-step: 3.4 s (of 5)"),
    ],
)
def test_what_markdown_would_interpret_is_escaped_and_nothing_else(text, escaped):
    assert plain(text) == escaped


def test_a_fix_stays_in_its_fence():
    text = markdown(read_run(runs.kept("hostile")).report)
    assert "\n````\nfirst\n```\n" in text


def test_hundreds_of_findings_are_counted_and_not_all_written():
    finding = {
        "rule": "SPOT003",
        "name": "n",
        "severity": "error",
        "attempt": 1,
        "message": "m",
        "evidence": {},
        "fix": "",
    }
    text = markdown(build_report(record()) | {"findings": [finding] * 60})
    assert text.count("### SPOT003") == 50
    assert "10 findings more: see report.json." in text

"""docs/explore-corpus.md: what the search found in the corpus at its last run, written by the command that runs it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.explore.corpus import BUDGET_SECONDS, JOBS, Found
from tests.explore.table import GRACE_SECONDS, WARNING_SECONDS, Searched
from tests.trainers.table import HERE

PAGE = HERE.parents[1] / "docs" / "explore-corpus.md"
Row = tuple[Searched, Found]

_HEAD = f"""\
# What the search finds in the corpus

The trainers of [the corpus](corpus.md), searched over moments without being told where they fail, as `spot-simulator
explore schedules --until-failure` does it: {BUDGET_SECONDS:g} s on {JOBS} cores, a notice of {WARNING_SECONDS:g} s and
a grace of {GRACE_SECONDS:g} s or the longer one that the trainer has in the corpus. What was found is shrunk to the
smallest schedule that shows the same rule.

    make explore-corpus                 # runs all, and fails where the table below is not met
    python -m tests.explore torn slow   # only those whose path holds a word

This page is written by that command (`--write`). Times are from a machine that did other work too.
"""


_GATHERED = "Gathered from several runs of the command, between which the program and this table changed"


def summary(done: Sequence[Row]) -> tuple[str, bool]:
    """The last line, and whether all is as the table has it. What could not be run here counts for nothing."""
    ran = [(row, found) for row, found in done if not found.not_run]
    faulty = [(row, found) for row, found in ran if row.expected]
    correct = [(row, found) for row, found in ran if not row.expected]
    caught = sum(not found.wrong(row) for row, found in faulty)
    false = sum(bool(found.wrong(row)) for row, found in correct)
    line = f"found {caught}/{len(faulty)}, false alarms {false}/{len(correct)}"
    return line, caught == len(faulty) and not false


def page(done: Sequence[Row], gathered: bool = False) -> str:
    """The page's text. `gathered`: not all of it is from one run of the command."""
    ordered = sorted(done, key=lambda pair: pair[0].trainer.script)
    line, _ = summary(done)
    return "\n".join(
        [
            _HEAD,
            f"{_GATHERED if gathered else 'Last run'}: **{line}**.",
            "",
            "## Faulty trainers",
            "",
            "| trainer | fails when the instance goes | found by | after | smallest schedule | rules | |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(_faulty(row, found) for row, found in ordered if row.expected),
            "",
            "## Correct trainers",
            "",
            "| trainer | profiles | trials | of | |",
            "| --- | --- | --- | --- | --- |",
            *(_correct(row, found) for row, found in ordered if not row.expected),
            "",
        ]
    )


def _faulty(row: Searched, found: Found) -> str:
    cells = [f"`{row.trainer.script}`", row.moment]
    if found.not_run:
        return _line(*cells, found.not_run, "", "", "", "")
    if not found.first:
        return _line(*cells, "–", f"{found.trials} trials, {found.seconds:g} s", "–", "–", "not found")
    after = f"{found.trials} trials, {found.seconds:g} s"
    answer = found.wrong(row) or ("found" if row.trainer.errors & set(found.rules) else _by_another_rule(row))
    return _line(*cells, _code(found.first), after, _code(found.smallest), " ".join(found.rules), answer)


def _by_another_rule(row: Searched) -> str:
    return f"found, though not by {' '.join(sorted(row.trainer.errors))}, its rule in the corpus"


def _correct(row: Searched, found: Found) -> str:
    cells = [f"`{row.trainer.script}`", ", ".join(row.profiles)]
    if found.not_run:
        return _line(*cells, found.not_run, "", "")
    return _line(*cells, str(found.trials), str(found.schedules), found.wrong(row) or "no failure")


def _code(schedule: str) -> str:
    return "`" + schedule.replace("|", r"\|") + "`"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"

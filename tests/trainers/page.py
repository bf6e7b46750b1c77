"""docs/corpus.md: the table of the corpus as its last run left it, written by the command that runs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.trainers.corpus import Score, summary
from tests.trainers.table import HERE, Trainer

PAGE = HERE.parents[1] / "docs" / "corpus.md"

_HEAD = """\
# The corpus

Training scripts that lose state, each modelled on a failure that users reported or a document describes, and scripts
that survive, in many styles; `tests/trainers/` holds them. Each is run as it is, interrupted at its kill points, and
judged. A faulty one is caught when the judge names exactly its rules and no other; a correct one is a false alarm when
it is not called survived, or any rule finds an error in it. In brackets: warnings, which fail no run.

    make corpus        # runs all, prints this table, and fails where the judge is wrong

This page is written by that command (`python -m tests.trainers --write`).
"""


def write_page(done: Iterable[Score]) -> None:
    """Write the page from the scores of a whole run."""
    PAGE.write_text(page(sorted(done, key=lambda score: score.trainer.script)))


def page(done: Sequence[Score]) -> str:
    """The page's text."""
    line, _ = summary(done)
    faulty = [score for score in done if score.trainer.is_faulty]
    correct = [score for score in done if not score.trainer.is_faulty]
    return "\n".join(
        [
            _HEAD,
            f"Last run: **{line}**.",
            "",
            "## Faulty trainers",
            "",
            "| trainer | modelled on | interrupted | expected | found | |",
            "| --- | --- | --- | --- | --- | --- |",
            *(_row(score) for score in faulty),
            "",
            "## Correct trainers",
            "",
            "| trainer | style | interrupted | found | |",
            "| --- | --- | --- | --- | --- |",
            *(_row(score) for score in correct),
            "",
        ]
    )


def _row(score: Score) -> str:
    trainer = score.trainer
    cells = [f"`{trainer.script}`", trainer.about, "; ".join(f"`{run}`" for run in trainer.runs)]
    if trainer.is_faulty:
        cells.append(_expected(trainer))
    cells.append(score.not_run or _found(score))
    cells.append("" if score.not_run else _answer(score))
    return "| " + " | ".join(cells) + " |"


def _expected(trainer: Trainer) -> str:
    return " ".join([*sorted(trainer.errors), *(f"({rule})" for rule in sorted(trainer.warnings))])


def _found(score: Score) -> str:
    """What the runs found, without the remarks that are tolerated: those come and go with the machine's pace."""
    errors = set().union(*(run.errors for run in score.runs))
    warnings = set().union(*(run.warnings for run in score.runs)) - errors - score.trainer.tolerated
    return " ".join([*sorted(errors), *(f"({rule})" for rule in sorted(warnings))]) or "–"


def _answer(score: Score) -> str:
    if score.trainer.is_faulty:
        return "missed" if score.misjudged else "caught"
    return "false alarm" if score.misjudged else "survived"

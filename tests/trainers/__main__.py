"""`python -m tests.trainers [WORD…]`: runs the corpus (or the trainers whose path holds a WORD) and prints the table.

`--write` writes docs/corpus.md besides; `--keep=DIR` keeps each run's folder there. Exits with 1 where the judge was
wrong.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.trainers.corpus import Score, scores, summary
from tests.trainers.page import write_page
from tests.trainers.table import TRAINERS


def main(arguments: list[str]) -> int:
    """Run, print, and say how it went."""
    words = [word for word in arguments if not word.startswith("--")]
    chosen = [t for t in TRAINERS if not words or any(word in t.script for word in words)]
    kept = next((argument.partition("=")[2] for argument in arguments if argument.startswith("--keep=")), None)
    done = []
    with tempfile.TemporaryDirectory(prefix="spot-simulator-corpus-") as scratch:
        for score in scores(Path(kept or scratch), chosen):
            done.append(score)
            print(_row(score), flush=True)
    line, perfect = summary(done)
    if "--write" in arguments and not words:
        write_page(done)
    print(line)
    return 0 if perfect else 1


def _row(score: Score) -> str:
    trainer = score.trainer
    said = score.not_run or score.said
    return f"{'WRONG' if score.misjudged else 'ok':5} {trainer.script:38} {said}" + (
        f"\n      {score.misjudged}" if score.misjudged else ""
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

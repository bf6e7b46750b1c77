"""`python -m tests.explore [WORD…]`: searches the corpus (or the trainers whose path holds a WORD) and prints a table.

`--write` writes docs/explore-corpus.md besides; `--results=FILE` adds each trainer's result to a file of JSON lines as
it comes, and takes those that are there already from it; `--budget=SECONDS` is what each search has. Exits with 1 where
the table is not met.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.explore.corpus import BUDGET_SECONDS, Found, as_fields, from_fields, search_all
from tests.explore.page import PAGE, Row, page, summary
from tests.explore.table import TABLE, Searched


def main(arguments: list[str]) -> int:
    """Search, print, and say how it went."""
    words = [argument for argument in arguments if not argument.startswith("--")]
    options = dict(argument[2:].partition("=")[::2] for argument in arguments if argument.startswith("--"))
    chosen = [row for row in TABLE if not words or any(word in row.trainer.script for word in words)]
    results = Path(options["results"]) if "results" in options else None
    earlier = _earlier(results)
    done: list[Row] = [(row, earlier[row.trainer.script]) for row in chosen if row.trainer.script in earlier]
    left = [row for row in chosen if row.trainer.script not in earlier]
    with tempfile.TemporaryDirectory(prefix="spot-simulator-corpus-") as scratch:
        for row, found in search_all(left, Path(scratch), float(options.get("budget", BUDGET_SECONDS))):
            done.append((row, found))
            print(_line(row, found), flush=True)
            if results is not None:
                with results.open("a") as file:
                    file.write(json.dumps(as_fields(found)) + "\n")
    line, perfect = summary(done)
    if "write" in options and not words:
        PAGE.write_text(page(done, gathered=bool(earlier)))
    print(line)
    return 0 if perfect else 1


def _earlier(results: Path | None) -> dict[str, Found]:
    if results is None or not results.exists():
        return {}
    known = [from_fields(json.loads(line)) for line in results.read_text().splitlines()]
    return {found.script: found for found in known}


def _line(row: Searched, found: Found) -> str:
    said = found.not_run or f"{found.trials} trials, {found.seconds:g} s"
    if found.first:
        said += f": {found.first} → {found.smallest} after {found.tries} tries ({' '.join(found.rules)})"
    wrong = found.wrong(row)
    return f"{'WRONG' if wrong else 'ok':5} {found.script:38} {said}" + (f"\n      {wrong}" if wrong else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

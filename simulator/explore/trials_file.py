"""trials.jsonl and search.json in an explore's folder: every result as it comes, and what is searched.

A result is on disk before the next one is waited for, so that a search that was killed goes on with `--resume DIR`. A
last line that a crash cut is left out, and written over by the search that goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.explore.trial import TrialResult

TRIALS = "trials.jsonl"
SEARCH = "search.json"


@dataclass(frozen=True)
class SavedSearch:
    """What an earlier search left: what it searched (see `TrialsFile.begin`) and its results in the order they came."""

    facts: Mapping[str, Any]
    results: tuple[TrialResult, ...]


class TrialsFile:
    """Appends results to trials.jsonl. Make it with `begin` or `resume`; a context manager."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    @classmethod
    def begin(cls, folder: Path, facts: Mapping[str, Any]) -> TrialsFile:
        """A new search in a folder that exists. `facts`: all that decides what is tried (search, seed, job, options),
        as JSON holds it. Raises EnvironmentFailure where the disk does not let us."""
        try:
            (folder / SEARCH).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            return cls((folder / TRIALS).open("wb", buffering=0), folder / TRIALS)
        except OSError as error:
            raise _disk(folder / TRIALS, error) from error

    @classmethod
    def resume(cls, folder: Path) -> TrialsFile:
        """Go on after what is there; a line that was cut is taken away. Raises EnvironmentFailure as `begin` does."""
        path = folder / TRIALS
        try:
            file = path.open("r+b", buffering=0)
            whole = file.read()
            file.truncate(file.seek(whole.rfind(b"\n") + 1))
            return cls(file, path)
        except OSError as error:
            raise _disk(path, error) from error

    def on_result(self, result: TrialResult) -> None:
        """Append a result; it is in the kernel's hands when this returns. Raises EnvironmentFailure for a full disk."""
        line = memoryview(json.dumps(result.as_dict(), default=str).encode() + b"\n")
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise _disk(self._path, error) from error

    def close(self) -> None:
        """Let go of the file. Safe to call again."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_search(folder: Path) -> SavedSearch:
    """What `--resume` goes on with. Raises UsageError for a folder that holds no search."""
    try:
        facts = json.loads((folder / SEARCH).read_text(encoding="utf-8"))
        lines = (folder / TRIALS).read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        results = tuple(TrialResult.from_dict(json.loads(line)) for line in whole)
        if not isinstance(facts, dict):
            raise TypeError(f"{SEARCH} is no object")
    except OSError as error:
        raise _no_search(folder, f"{error.strerror or error} ({error.filename})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _no_search(folder, f"what it holds cannot be read: {error}") from error
    return SavedSearch(facts, results)


def checked_against(saved: SavedSearch, facts: Mapping[str, Any], folder: Path) -> SavedSearch:
    """The saved search, if it is the one that these facts describe. Raises UsageError that names what differs."""
    now = json.loads(json.dumps(facts))
    differing = sorted(
        name for name in {*saved.facts, *now} if saved.facts.get(name, _ABSENT) != now.get(name, _ABSENT)
    )
    if differing:
        name = differing[0]
        raise UsageError(
            f"the search in {folder} is another one",
            f"{name} was {saved.facts.get(name)!r} and is {now.get(name)!r} now"
            + (f"; {', '.join(differing[1:])} changed too" if len(differing) > 1 else ""),
            f"give the same options as before, or leave out --resume {folder}",
        )
    return saved


_ABSENT = object()


def _no_search(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"{folder} holds no search that could go on", why, "give --resume the folder of an explore, such as runs/NAME"
    )


def _disk(path: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"{path} cannot be written",
        f"{error.strerror or error}",
        f"make room (df -h {path.parent}), then go on with --resume {path.parent}",
    )

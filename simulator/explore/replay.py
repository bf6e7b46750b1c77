"""A replay file: one trial with all that it needs to be run again by `spot-simulator replay FILE`, also elsewhere.

Paths are kept relative to the file wherever the two share a folder, so that a repository can hold both. What is to be
replayed is a schedule, a state that S3 holds at the start, faults on the way, or several of these.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.core.errors import EnvironmentFailure, UsageError
from simulator.core.plan import PROFILES, parse_when, profile_named
from simulator.explore.trial import Outcome, Schedule, Search, Trial, TrialResult

REPLAY = "replay.json"
"""Its name in an explore's folder."""
SCHEMA_VERSION = "1.0"
"""The part before the dot changes when a field goes or changes its meaning; the other when fields come."""
COMPARED = frozenset({"SPOT008"})
"""Rules that only a comparison with uninterrupted runs can find: for the others those are not made again."""
_NOT_OF_THE_JOB = frozenset({"interrupt", "profile", "warning", "grace", "seed", "out", "view"})
"""Settings that are the plan's, which the file holds itself, or that belong to the one run that wrote it."""


@dataclass(frozen=True)
class ReplayFile:
    """`job`: the other settings of `simulate()` under their names, paths absolute. `warning_seconds`: None where the
    profile gives no notice. `state`: the name of what S3 holds when the job begins, empty for
    nothing, and `recording` the folder of the run that it comes from, None without one. `outcome`,
    `rules` and `evidence`: what came of it when it was written."""

    job: Mapping[str, Any]
    schedule: Schedule
    warning_seconds: float | None
    grace_seconds: float
    seed: int
    search: Search
    label: str
    state: str = ""
    recording: Path | None = None
    faults: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome.FAILED
    rules: tuple[str, ...] = ()
    evidence: str = ""

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        result: TrialResult,
        search: Search,
        *,
        warning_seconds: float | None = None,
        grace_seconds: float | None = None,
        seed: int = 0,
        recording: Path | None = None,
    ) -> ReplayFile:
        """What replays this result. `settings`: the fields of Settings that were given, as JSON holds them
        (`model_dump(mode="json", exclude_defaults=True)`); the seconds: those of the explore, the profile's own where
        they are None."""
        trial = result.trial
        known = PROFILES[trial.schedule.profile]
        profile = profile_named(
            known.name,
            warning_seconds if known.warning_seconds is not None else None,
            grace_seconds if known.sigterm else None,
        )
        left_out = _NOT_OF_THE_JOB if COMPARED & set(result.rules) else _NOT_OF_THE_JOB | {"baseline"}
        return cls(
            {name: _absolute(name, value) for name, value in settings.items() if name not in left_out},
            trial.schedule,
            profile.warning_seconds,
            profile.grace_seconds,
            seed,
            search,
            trial.label,
            trial.state,
            None if recording is None else recording.absolute(),
            dict(trial.faults),
            result.outcome,
            result.rules,
            result.evidence,
        )

    @property
    def trial(self) -> Trial:
        """What is run again."""
        return Trial(0, self.schedule, self.label, self.state, self.faults)

    def keywords(self) -> dict[str, Any]:
        """The keywords of `simulate()` for the job and its plan; the state and the faults are not among them."""
        warning = {} if self.warning_seconds is None else {"warning": self.warning_seconds}
        return {
            **self.job,
            "interrupt": self.schedule.interruptions,
            "profile": self.schedule.profile,
            **warning,
            "grace": self.grace_seconds,
            "seed": self.seed,
        }

    def write(self, path: Path) -> None:
        """Write the file. Raises EnvironmentFailure where the disk does not let us."""
        folder = path.absolute().parent
        content = {
            "schema_version": SCHEMA_VERSION,
            "search": self.search.value,
            "label": self.label,
            "job": {name: _relative(name, value, folder) for name, value in self.job.items()},
            "interruptions": list(self.schedule.interruptions),
            "profile": {
                "name": self.schedule.profile,
                "warning_seconds": self.warning_seconds,
                "grace_seconds": self.grace_seconds,
            },
            "seed": self.seed,
            "state": self.state,
            "recording": None if self.recording is None else _shortest(self.recording, folder),
            "faults": dict(self.faults),
            "came_to": {"outcome": self.outcome.value, "rules": list(self.rules), "evidence": self.evidence},
        }
        try:
            path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
        except OSError as error:
            raise EnvironmentFailure(
                f"{path} cannot be written", error.strerror or str(error), f"see ls -ld {folder}, and df -h {folder}"
            ) from error


def read_replay(path: Path) -> ReplayFile:
    """Read a replay file. Raises UsageError for what cannot be read, is of another version, names what no version has
    (a profile, a WHEN), or whose source folder or recording is not there any more."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read", error.strerror or str(error), "give the replay file of an explore: replay.json"
        ) from error
    except ValueError as error:
        raise _no_replay(path, f"it is not JSON: {error}") from error
    try:
        version = str(content["schema_version"])
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise ValueError(f"it is of version {version}, and this is version {SCHEMA_VERSION}")
        replay = _understood(content, path.absolute().parent)
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_replay(path, f"a field is missing or wrong: {error}") from error
    except ValueError as error:
        raise _no_replay(path, str(error)) from error
    for found in (replay.job.get("source_dir"), replay.recording):
        if found is not None and not Path(found).exists():
            raise UsageError(
                f"{path} needs {found}, which is not there",
                "paths in a replay file begin at its own folder",
                f"put it there, or change the path in {path}",
            )
    return replay


def _understood(content: Mapping[str, Any], folder: Path) -> ReplayFile:
    profile, came_to = content["profile"], content["came_to"]
    interruptions = tuple(str(text) for text in content["interruptions"])
    for text in interruptions:
        parse_when(text)
    warning = profile["warning_seconds"]
    numbers = profile_named(str(profile["name"]), warning, float(profile["grace_seconds"]))
    return ReplayFile(
        {name: _found(name, value, folder) for name, value in content["job"].items()},
        Schedule(interruptions, numbers.name),
        numbers.warning_seconds,
        numbers.grace_seconds,
        int(content["seed"]),
        Search(content["search"]),
        str(content["label"]),
        str(content["state"]),
        None if content["recording"] is None else _joined(folder, str(content["recording"])),
        dict(content["faults"]),
        Outcome(came_to["outcome"]),
        tuple(came_to["rules"]),
        str(came_to["evidence"]),
    )


def _absolute(name: str, value: Any) -> Any:
    if name == "channels":
        return {channel: str(Path(path).absolute()) for channel, path in dict(value).items()}
    return str(Path(value).absolute()) if name == "source_dir" and value is not None else value


def _relative(name: str, value: Any, folder: Path) -> Any:
    if name == "channels":
        return {channel: _shortest(Path(path), folder) for channel, path in dict(value).items()}
    return _shortest(Path(value), folder) if name == "source_dir" and value is not None else value


def _found(name: str, value: Any, folder: Path) -> Any:
    if name == "channels":
        return {channel: str(_joined(folder, path)) for channel, path in dict(value).items()}
    return str(_joined(folder, str(value))) if name == "source_dir" and value is not None else value


def _shortest(path: Path, folder: Path) -> str:
    """From the file's folder, where the two share more than the root; `/data` stays what it is."""
    shared = os.path.commonpath((path.absolute(), folder))
    return str(path) if Path(shared) == Path(path.absolute().anchor) else os.path.relpath(path, folder)


def _joined(folder: Path, path: str) -> Path:
    return Path(os.path.normpath(folder / path))


def _no_replay(path: Path, why: str) -> UsageError:
    return UsageError(f"{path} is no replay file", why, "give one that spot-simulator explore wrote: replay.json")

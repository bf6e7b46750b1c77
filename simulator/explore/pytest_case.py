"""A ready test file from a replay: it runs as it stands in the user's project, and fails until the script is mended.

A schedule is written out as the marker and the call that people write themselves (docs/pytest.md). A state of S3 and
faults have no such form; their case runs the replay file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.core.plan import PROFILES
from simulator.explore.replay import ReplayFile

CASE = "spot_case.py"
"""Its name in an explore's folder: one that pytest runs when it is named, and never finds by itself among old runs."""
NAME_CHARACTERS = 70  # of a test's name
_WIDTH = 100


def pytest_case(replay: ReplayFile, root: Path, file: Path | None = None) -> str:
    """The text of the test file. `root`: the project's folder, pytest's root; paths in it are written relative to it.
    `file`: the replay file, wanted where there is a state or faults. Raises ValueError without it then."""
    name = test_name(replay)
    head = [
        f'"""Written by spot-simulator explore {replay.search.value}, seed {replay.seed}.',
        "",
        *_told(replay),
        '"""',
        "",
    ]
    if not replay.state and not replay.faults:
        body = _written_out(replay, root.absolute(), name)
    elif file is not None:
        body = [
            f"def {name}(spot_simulator):",
            f"    run = spot_simulator.replay({_text(_from(root.absolute(), file))})",
            "    run.assert_survived()",
        ]
    else:
        raise ValueError("a state and faults can be run from their replay file only")
    return "\n".join([*head, *body]) + "\n"


def test_name(replay: ReplayFile) -> str:
    """`test_train_survives_save_2_then_step_30_two_minute`."""
    script = Path(str(replay.job.get("entry_script") or replay.job.get("image") or "training")).stem
    if replay.state:
        moment = f"{replay.state} in s3"
    elif replay.faults:
        moment = replay.label
    else:
        moment = f"{' then '.join(replay.schedule.interruptions)} {replay.schedule.profile}"
    words = re.sub(r"[^a-z0-9]+", "_", f"{script} survives {moment}".lower()).strip("_")
    return f"test_{words[:NAME_CHARACTERS].rstrip('_')}"


test_name.__test__ = False  # type: ignore[attr-defined]  # pytest takes every test_… for a test


def _told(replay: ReplayFile) -> list[str]:
    """What was found, as lines of a docstring."""
    rules = ", ".join(replay.rules)
    said = f"The script does not survive {replay.label}{f' ({rules})' if rules else ''}: {replay.evidence}"
    lines, line = [], ""
    for word in _harmless(said).split():
        if line and len(line) + len(word) >= _WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return [*lines, line, "", "The test passes as soon as the script survives it."]


def _written_out(replay: ReplayFile, root: Path, name: str) -> list[str]:
    warning = replay.warning_seconds
    numbers = [f"profile={_text(replay.schedule.profile)}"]
    numbers += [f"warning={warning:g}"] if warning is not None else []
    if replay.grace_seconds != PROFILES[replay.schedule.profile].grace_seconds:
        numbers.append(f"grace={replay.grace_seconds:g}")
    moments = [_text(text) for text in replay.schedule.interruptions]
    return [
        "import pytest",
        "",
        "",
        f"@pytest.mark.interrupt({', '.join([*moments, *numbers])})",
        f"def {name}(spot_simulator):",
        "    run = spot_simulator(",
        *(f"        {setting}={_value(setting, value, root)}," for setting, value in replay.job.items()),
        f"        seed={replay.seed},",
        "    )",
        "    run.assert_survived()",
    ]


def _value(setting: str, value: Any, root: Path) -> str:
    if setting == "source_dir":
        return _text(_from(root, Path(value)))
    if setting == "channels":
        return _value("", {name: _from(root, Path(path)) for name, path in value.items()}, root)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(key))}: {_value('', inner, root)}" for key, inner in value.items()) + "}"
    return _text(value) if isinstance(value, str) else repr(value)


def _from(root: Path, path: Path) -> str:
    """Relative to the project's folder for what is in it, since the plugin's paths begin there."""
    whole = path.absolute()
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)


def _text(text: str) -> str:
    """A Python literal in double quotes where that needs no more escapes than single ones."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain.startswith("'") and '"' not in plain and "\\'" not in plain else plain


def _harmless(text: str) -> str:
    """Text that can stand in a docstring: no quotes that would end it, no escapes, nothing that cannot be printed."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown.replace("\\", "/").replace('"', "'")

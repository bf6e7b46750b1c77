"""What a search leaves to go on with: search.json says which search it was and how its trials were started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.core.errors import UsageError
from simulator.explore.laboratory import Start

SEARCH_FILE = "search.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Session:
    """`identity` is `explore.identity.identity`'s."""

    identity: Mapping[str, Any]
    start: Start

    def write(self, folder: Path) -> None:
        """Keep it in the search's folder. Raises OSError."""
        content = {"schema_version": SCHEMA_VERSION, "start": self.start.value, "identity": self.identity}
        (folder / SEARCH_FILE).write_text(json.dumps(content, indent=2) + "\n")


def resumed(folder: Path, identity: Mapping[str, Any]) -> Session:
    """The session in a folder. Raises UsageError where there is none, or it was one of another search: of another job,
    script, seed or profile."""
    try:
        content = json.loads((folder / SEARCH_FILE).read_text())
        session = Session(content["identity"], Start(content["start"]))
        version = content["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} holds no search that can be gone on with",
            f"its {SEARCH_FILE} cannot be read: {error}",
            "leave --resume out, or give --out the folder of a search",
        ) from error
    differing = sorted(
        name for name in {*identity, *session.identity} if identity.get(name) != session.identity.get(name)
    )
    if differing or version != SCHEMA_VERSION:
        raise UsageError(
            f"{folder} holds another search: {', '.join(differing) or 'of another version'} differ",
            "results of one script, job or seed say nothing of another",
            "leave --resume out, and give another folder to --out",
        )
    return session

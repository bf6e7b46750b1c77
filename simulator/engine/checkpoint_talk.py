"""What a script's log says of its checkpoints: the first such lines go onto the timeline, the log itself does not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

MOST_LINES = 60
LINE_CHARACTERS = 300
_MOST_NAMES = 100
_SPEAKS = re.compile(
    r"checkpoint|ckpt|restor|resum|\bload|snapshot|skip|corrupt|truncat|\btorn\b|unusable|incomplete|damaged|broken|invalid"
    r"|unreadable|fall(ing|s)? ?back|recover|scratch|warn|error|exception|fail|\bbad\b|discard",
    re.I,
)


class CheckpointTalk:
    """Keeps the first lines that speak of checkpoints, or name a restored file; after those it costs nothing."""

    def __init__(self, restored: Iterable[str] = ()) -> None:
        names = [re.escape(PurePosixPath(path).name) for path in sorted(restored)[-_MOST_NAMES:]]
        self._names = re.compile("|".join(names)) if names else None
        self.lines: list[str] = []

    def hear(self, line: str) -> None:
        """Take a line of the log."""
        if len(self.lines) >= MOST_LINES:
            return
        start = line[:LINE_CHARACTERS]
        if _SPEAKS.search(start) or (self._names is not None and self._names.search(start)):
            self.lines.append(start)

"""What a script was doing, as far as its last log lines tell: a hint for a finding's words, never a proof."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ACTIVITIES = {
    "compilation": r"compil|tracing|\bjit\b|\bxla\b|inductor|autotun|building (the )?(graph|model|engine)",
    "warm-up": r"warm(ing)?[ -_]?up",
    "evaluation": r"\beval|validat|\bval[_ ]|\btest(ing|_| set| batch)|inference|predict",
    "loading of data": r"download|token|preprocess|(load|read|shuffl|cach)ing .*(data|batch|file|shard)",
    "saving": r"\bsav(e|ing)\b|checkpointing|writing .*(checkpoint|state|model)",
    "training": r"\bsteps?\b|\bepoch|\bloss\b|\biter|\bbatch",
}
_LAST_LINES = 3


def activity_of(lines: Sequence[str]) -> str | None:
    """The activity that the newest of the last lines tells of; None where none does."""
    for line in reversed([line for line in lines if line.strip()][-_LAST_LINES:]):
        for name, words in _ACTIVITIES.items():
            if re.search(words, line, re.IGNORECASE):
                return name
    return None

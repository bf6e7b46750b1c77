"""Which samples a batch was made of, as a script may tell it: in a log line, or in a file beside its output.

    sample-ids epoch=3 step=41: 17 4 99                    a log line
    {"epoch": 3, "step": 41, "ids": [17, 4, 99]}           a line of /opt/ml/output/data/sample-ids*.jsonl

Optional, and nothing has to be imported. It is said after the batch was trained on; a long batch may take several
lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIDECAR_FOLDER = "data"  # below /opt/ml/output
SIDECAR_GLOB = "sample-ids*.jsonl"
MOST_IDS = 1_000_000
"""Of one attempt on the timeline; an attempt with more has no ledger."""

_LINE = re.compile(r"(?:^|[\s\]|>:])sample-ids epoch=(\d+) step=(\d+): ?(.*)$")
_BETWEEN = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Samples:
    """One batch's ids, in order, and the step that trained on them: of all steps, or of the epoch's."""

    epoch: int
    step: int
    ids: Sequence[str]

    def as_dict(self, source: str) -> dict[str, Any]:
        """The batch as the timeline holds it."""
        return {"epoch": self.epoch, "step": self.step, "ids": list(self.ids), "source": source}


def samples_of_line(line: str) -> Samples | None:
    """The batch that a log line tells of, if it does."""
    if "sample-ids" not in line:
        return None
    match = _LINE.search(line)
    if match is None:
        return None
    ids = [part for part in _BETWEEN.split(match.group(3)) if part]
    return Samples(int(match.group(1)), int(match.group(2)), ids) if ids else None


def samples_of_json(line: str) -> Samples | None:
    """The batch that a sidecar's line tells of; None for a line that a kill cut short, or that is something else."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, Mapping) or not isinstance(content.get("ids"), list):
        return None
    try:
        return Samples(int(content["epoch"]), int(content["step"]), [str(one) for one in content["ids"]])
    except (KeyError, TypeError, ValueError):
        return None

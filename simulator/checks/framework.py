"""Which framework the script uses, as far as file names, log lines and commands tell: for fixes in its own words.

A hint for people, and no more: no finding rests on it. Where two frameworks show, or none, the answer is `PLAIN`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from simulator.checks.evidence import Evidence
from simulator.core.timeline import Kind


class Framework(StrEnum):
    """What a fix may be written for."""

    KERAS = "Keras/TensorFlow"
    PYTORCH = "PyTorch"
    PLAIN = "plain Python"


_PATHS = {
    Framework.KERAS: re.compile(
        r"\.keras$|\.weights\.h5$|\.h5$|\.data-\d+-of-\d+$|(^|/)saved_model\.pb$|(^|/)chief/|\.ckpt[^/]*\.index$"
    ),
    Framework.PYTORCH: re.compile(r"\.pth?$|\.distcp$|(^|/)pytorch_model[^/]*\.bin$|(^|/)epoch=\d+[^/]*\.ckpt$"),
}
_WORDS = {
    Framework.KERAS: re.compile(r"\btensorflow\b|\bkeras\b|\btf\.(train|keras|data)\b", re.I),
    Framework.PYTORCH: re.compile(r"\btorch(run)?\b|\bpytorch\b|\blightning\b|PytorchStreamReader", re.I),
}


def framework_of(evidence: Evidence) -> Framework:
    """The framework: by its own words in the log and in the processes' commands, or else by the names
    of its checkpoints, or of what else it wrote."""
    return evidence.once(_framework_of)


def _framework_of(evidence: Evidence) -> Framework:
    by_words, by_name = (_WORDS, list(_said(evidence))), (_PATHS, list(evidence.files.versions))
    for patterns, texts in (by_words, by_name, (_PATHS, list(_written_elsewhere(evidence)))):
        seen = [framework for framework, pattern in patterns.items() if any(map(pattern.search, texts))]
        if len(seen) == 1:
            return seen[0]
    return Framework.PLAIN


def _said(evidence: Evidence) -> Iterator[str]:
    for event in evidence.timeline.of(Kind.PROCESS_EXITED):
        yield from map(str, event.data.get("log_tail", ()))
        yield from map(str, event.data.get("log_about_checkpoints", ()))
    for event in evidence.timeline.of(Kind.PROCESSES):
        yield from (str(process.get("command", "")) for process in event.data.get("processes", ()))


def _written_elsewhere(evidence: Evidence) -> Iterator[str]:
    for event in evidence.timeline.of(Kind.MODEL_FILES):
        yield from map(str, event.data.get("files", ()))
    for event in evidence.timeline.of(Kind.WRITTEN_PATHS):
        yield from (str(entry["path"]) for entry in event.data.get("paths", ()))

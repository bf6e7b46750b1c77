"""Sample ids on their way to the timeline: from log lines as they come, from the sidecar before the wipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulator.core.samples import (
    MOST_IDS,
    SIDECAR_FOLDER,
    SIDECAR_GLOB,
    Samples,
    samples_of_json,
    samples_of_line,
)
from simulator.core.timeline import Kind
from simulator.runtimes.lines import LONGEST_LINE_BYTES

_LONGEST_SIDECAR_LINE = 16 << 20


class SampleRecorder:
    """Records one attempt's batches until there are too many; then that there were is the last thing it says."""

    def __init__(self, emit: Callable[[Kind, Mapping[str, Any]], object]) -> None:
        self._emit = emit
        self._left = MOST_IDS

    def take_line(self, line: str) -> None:
        """A log line, whole as the script printed it."""
        samples = samples_of_line(line)
        if samples is not None and len(line) >= LONGEST_LINE_BYTES:
            self._give_up("a line is too long to be read whole: print a long batch in several lines")
        elif samples is not None:
            self._record(samples, "log")

    def take_sidecar(self, output: Path) -> None:
        """The files that the script left in /opt/ml/output/data, if it did."""
        for path in sorted((output / SIDECAR_FOLDER).glob(SIDECAR_GLOB)):
            if path.is_symlink() or not path.is_file():
                continue  # a link may lead anywhere, and a pipe never end
            try:
                with path.open(encoding="utf-8", errors="replace") as file:
                    while line := file.readline(_LONGEST_SIDECAR_LINE):
                        samples = samples_of_json(line)
                        if samples is not None:
                            self._record(samples, "sidecar")
            except OSError as error:
                self._give_up(f"{path.name} cannot be read: {error.strerror or error}")

    def _record(self, samples: Samples, source: str) -> None:
        if self._left < 0:
            return
        self._left -= len(samples.ids)
        if self._left < 0:
            self._give_up(f"more than {MOST_IDS} sample ids")
            return
        self._emit(Kind.SAMPLES, samples.as_dict(source))

    def _give_up(self, why: str) -> None:
        self._left = -1
        self._emit(Kind.SAMPLES, {"truncated": why})

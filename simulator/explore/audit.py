"""Holds what the harness says is durable against S3 itself, asked past whatever does harm on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from simulator.checkpoints.store import Manifest, ObjectStore
from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Event, Kind

SHOWN = 3


class Audit:
    """A listener of the recorder. It asks at the moment of each claim, before anything else can happen to the path:
    an upload's worker is held until it is told, and manifests are taken when nothing transfers.

    `direct`: the same prefix, by a store that passes no harm. `is_emptied`: whether S3 has lost what it held, so that
    an upload that was done is no longer there.
    """

    def __init__(self, direct: ObjectStore, is_emptied: Callable[[], bool] = lambda: False) -> None:
        self._direct, self._is_emptied = direct, is_emptied
        self._lock = threading.Lock()
        self.claims = 0
        self.falsehoods: list[str] = []

    def on_event(self, event: Event) -> None:
        """Take in what was told. Raises nothing: the run goes on as it would without being audited."""
        match event.kind:
            case Kind.UPLOAD_FINISHED if not self._is_emptied():
                path = str(event.data["path"])
                self._hold(event, {path: event.data}, whole=False)
            case Kind.MANIFEST:
                self._hold(event, event.data["files"], whole=True)

    def _hold(self, event: Event, said: Mapping[str, Mapping[str, Any]], whole: bool) -> None:
        try:
            held: Manifest = self._direct.digests()
        except EnvironmentFailure:
            held = {}
        if event.kind is Kind.UPLOAD_FINISHED and self._is_emptied():
            return  # meanwhile
        what = str(event.data.get("when", "")) and f"the manifest at {event.data['when']}"
        where = f"attempt {event.attempt}, {what or 'upload-finished'}"
        found = [
            f"{where}: {path} is told with {data['bytes']} bytes, {str(data['digest'])[:12]}; S3 holds "
            + (f"{held[path].bytes} bytes, {held[path].digest[:12]}" if path in held else "no such object")
            for path, data in said.items()
            if path not in held or held[path].digest != data["digest"]
        ]
        if whole and event.data.get("when") != "restored":
            found += [f"{where}: {path} is in S3 and not told of" for path in held if path not in said]
        with self._lock:
            self.claims += len(said)
            self.falsehoods += found

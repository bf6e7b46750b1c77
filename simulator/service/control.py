"""The control calls below /_spot, and the live page: what jobs there are, taking an instance away, a job's timeline and
report, starting afresh."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from simulator.core.timeline import Kind
from simulator.service.api import Answer
from simulator.service.countdown import countdown
from simulator.service.describe import describe
from simulator.service.errors import ResourceNotFound, ServiceError, ValidationException
from simulator.service.jobs import JobEntry, Register
from simulator.service.plans import describe_plan
from simulator.service.shapes import description_of

PREFIX = "/_spot"
JSON, HTML = "application/json", "text/html; charset=utf-8"
REPORT_PAGE = "report.html"


class Control:
    """`reset` forgets all jobs and all that moto holds."""

    def __init__(self, register: Register, reset: Callable[[], None]) -> None:
        self._register, self._reset = register, reset

    def answer(self, method: str, path: str) -> Answer:
        """Carry out a call; every failure is an answer."""
        try:
            return self._route(method, [unquote(part) for part in path.strip("/").split("/")[1:]])
        except ResourceNotFound as error:
            return _json(404, {"error": error.message})
        except ServiceError as error:
            return _json(error.http_status, {"error": error.message})

    def _route(self, method: str, parts: list[str]) -> Answer:
        match method, parts:
            case "GET", []:
                return _json(200, {"jobs": [_short(entry) for entry in self._register]})
            case "GET", ["jobs"]:
                return _json(200, {"jobs": [_short(entry) for entry in self._register]})
            case "GET", ["jobs", name]:
                return _json(200, _long(self._register.named(name)))
            case "GET", ["jobs", name, "timeline"]:
                lines = [event.to_json() + "\n" for event in self._register.named(name).timeline]
                return Answer(200, "".join(lines).encode(), "application/jsonl")
            case "GET", ["jobs", name, "report"]:
                return _report(self._register.named(name))
            case "POST", ["jobs", name, "interrupt"]:
                return self._interrupt(self._register.named(name))
            case "POST", ["reset"]:
                self._reset()
                return _json(200, {"reset": True})
            case _, ["jobs", _] | ["jobs", _, "timeline" | "report" | "interrupt"] | ["reset"] | ["jobs"] | []:
                return _json(405, {"error": f"{method} is not for {PREFIX}/{'/'.join(parts)}"})
        return _json(404, {"error": f"there is no {PREFIX}/{'/'.join(parts)}"})

    def _interrupt(self, entry: JobEntry) -> Answer:
        if not entry.is_spot:
            raise ValidationException(
                f"{entry.name} has no EnableManagedSpotTraining: its instance is not taken away; create it with spot"
            )
        run = entry.run
        if run is None or not run.interrupt():
            return _json(
                409, {"error": f"{entry.name} has no instance that could be taken away: {entry.secondary.value}"}
            )
        return _json(
            202, {"interrupted": entry.name, "hosts": list(entry.job.hosts), "profile": entry.plan.profile.name}
        )


def live_page() -> Answer:
    """The page of jobs, phases and countdowns; it asks the calls below /_spot."""
    return Answer(200, Path(__file__).with_name("page.html").read_bytes(), HTML)


def _report(entry: JobEntry) -> Answer:
    """report.html of a job that has ended; with no script of its own but what is in it."""
    try:
        content = (entry.folder / REPORT_PAGE).read_bytes() if entry.folder is not None else b""
    except OSError:
        content = b""
    if not content:
        raise ResourceNotFound(f"{entry.name} has no report yet: it is written when the job has ended")
    return Answer(200, content, HTML)


def _short(entry: JobEntry) -> dict[str, Any]:
    coming = countdown(entry)
    return {
        "name": entry.name,
        "region": entry.region,
        "status": entry.status.value,
        "secondary": entry.secondary.value,
        "spot": entry.is_spot,
        "hosts": list(entry.job.hosts),
        "interruptions": list(describe_plan(entry.plan)),
        "created": entry.created_at.isoformat(),
        "phases": [str(event.data["status"]) for event in entry.timeline.of(Kind.SECONDARY_STATUS)],
        "countdown": None if coming is None else {"what": coming[0], "at": coming[1].isoformat()},
        "interruptible": entry.run is not None and coming is None and not entry.stop_asked and not entry.is_over,
        "verdict": entry.verdict,
        "verdict_told": entry.verdict_told,
        "reported": entry.reported.is_set(),
        "folder": str(entry.folder) if entry.folder is not None else None,
        "log_streams": entry.log_streams,
    }


def _long(entry: JobEntry) -> dict[str, Any]:
    return _short(entry) | {"job": description_of(describe(entry)), "tags": entry.tags}


def _json(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(content).encode(), JSON)

"""What the harness says is durable, held against the store itself."""

from __future__ import annotations

from typing import Any

from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Event, Kind
from simulator.explore.audit import Audit
from tests.checkpoints.memory_store import MemoryStore, version


def finished(path: str, content: bytes) -> Event:
    return Event(1.0, Kind.UPLOAD_FINISHED, 1, {"path": path, **told(content)})


def manifest(when: str, **files: bytes) -> Event:
    return Event(2.0, Kind.MANIFEST, 1, {"when": when, "files": {path: told(body) for path, body in files.items()}})


def told(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "digest": version(content).digest}


def store(**objects: bytes) -> MemoryStore:
    memory = MemoryStore()
    memory.objects = dict(objects)
    return memory


def test_what_is_so_is_counted_and_nothing_said() -> None:
    audit = Audit(store(a=b"1", b=b"2"))
    for event in (finished("a", b"1"), manifest("kill", a=b"1", b=b"2"), manifest("restored", a=b"1")):
        audit.on_event(event)
    assert (audit.claims, audit.falsehoods) == (4, [])


def test_an_upload_told_and_not_there_is_a_falsehood() -> None:
    audit = Audit(store())
    audit.on_event(finished("a", b"1"))
    assert audit.falsehoods == [
        f"attempt 1, upload-finished: a is told with 1 bytes, {version(b'1').digest[:12]}; S3 holds no such object"
    ]


def test_an_upload_of_other_content_is_a_falsehood() -> None:
    audit = Audit(store(a=b"torn"))
    audit.on_event(finished("a", b"whole"))
    assert "S3 holds 4 bytes" in audit.falsehoods[0]


def test_a_manifest_tells_all_that_is_there_and_no_more() -> None:
    audit = Audit(store(a=b"1", c=b"3"))
    audit.on_event(manifest("kill", a=b"1", b=b"2"))
    assert ["b is told" in line or "c is in S3" in line for line in audit.falsehoods] == [True, True]


def test_what_was_restored_may_be_a_part_but_not_another_content() -> None:
    audit = Audit(store(a=b"1", c=b"3"))
    audit.on_event(manifest("restored", a=b"half"))
    assert len(audit.falsehoods) == 1


def test_an_emptied_s3_makes_no_liar_of_an_upload_but_of_a_manifest() -> None:
    audit = Audit(store(), lambda: True)
    audit.on_event(finished("a", b"1"))
    assert audit.falsehoods == []
    audit.on_event(manifest("kill", a=b"1"))
    assert len(audit.falsehoods) == 1


def test_an_s3_that_cannot_be_asked_holds_nothing() -> None:
    class Gone(MemoryStore):
        def digests(self) -> Any:
            raise EnvironmentFailure("gone", "", "")

    audit = Audit(Gone())
    audit.on_event(manifest("kill", a=b"1"))
    assert len(audit.falsehoods) == 1

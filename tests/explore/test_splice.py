"""The history that an attempt at a state is given: what a kill at that moment would have left on the timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.checks.evidence import Evidence
from simulator.core.timeline import Event, Kind, Timeline
from simulator.explore.archive import Archive
from simulator.explore.operations import Cut, Writing, operations_of
from simulator.explore.recording import Recording
from simulator.explore.splice import spliced
from simulator.explore.state_verdict import judge_state
from simulator.explore.states import CrashState
from simulator.verdict import Answer

STEPS = 9
Give = Callable[[Kind, dict[str, object]], None]


def a_run(begin: int = 0, code: int = 0, restored: dict[str, object] | None = None, loss: float = 1.0) -> Timeline:
    """A run of one attempt that saves two files after every third step, half a second apart; ten seconds a step."""
    timeline = Timeline()
    now = 0.0

    def tell(kind: Kind, after: float = 0.0, attempt: int = 1, **data: object) -> None:
        nonlocal now
        now += after
        timeline.append(Event(now, kind, attempt, data))

    asked = {"interruptions": [], "profile": {"name": "two-minute", "warning_seconds": 120, "sigterm": True}}
    tell(Kind.RUN_STARTED, attempt=0, job="a-job", **asked)
    tell(Kind.ATTEMPT_STARTED, host="algo-1")
    for status in ("Starting", "Downloading"):
        tell(Kind.SECONDARY_STATUS, status=status)
    tell(Kind.MANIFEST, when="before-restore", files=restored or {})
    tell(Kind.MANIFEST, when="restored", files=restored or {})
    tell(Kind.SECONDARY_STATUS, status="Training")
    tell(Kind.PROCESS_STARTED, 1.0, identity="1")
    for step in range(begin + 1, STEPS + 1 if code == 0 else begin + 1):
        tell(Kind.METRIC, 10.0, name="step", value=float(step), line=f"step={step}")
        tell(Kind.METRIC, name="loss", value=loss / step, line=f"step={step}")
        for path in ("weights.bin", "position.bin") if step % 3 == 0 else ():
            tell(Kind.FILE_CHANGED, 0.5, path=path, bytes=8)
            tell(Kind.FILE_SETTLED, 0.2, path=path, bytes=8)
            tell(Kind.UPLOAD_STARTED, path=path, bytes=8)
            digest = f"{path} of {step}"
            tell(Kind.UPLOAD_FINISHED, 0.1, path=path, bytes=8, seconds=0.1, lag_seconds=0.3, digest=digest)
    tail = ["ValueError: mismatch"] if code else []
    tell(Kind.PROCESS_EXITED, 5.0, exit_code=code, after_sigterm=False, log_tail=tail, log_about_checkpoints=[])
    tell(Kind.MODEL_FILES, files={"model.bin": {"bytes": 1, "digest": f"m{loss}"}} if not code else {})
    tell(Kind.WRITTEN_PATHS, paths=[])
    tell(Kind.ATTEMPT_ENDED, outcome="failed" if code else "completed", exit_code=code)
    tell(Kind.INSTANCE_WIPED, left=[])
    tell(Kind.SECONDARY_STATUS, attempt=0, status="Failed" if code else "Completed")
    tell(Kind.RUN_FINISHED, attempt=0, status="Failed" if code else "Completed", exit_code=code)
    return timeline


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    timeline = a_run()
    writings = {"weights.bin": Writing(changes=3)}
    operations = [
        replace(one, cuts=(Cut(4, 4, f"half of {one.digest}"),) if one.in_place else ())
        for one in operations_of(timeline, writings)
    ]
    return Recording(timeline, operations, Archive(tmp_path / "objects"))


def resumed(recording: Recording, state: CrashState, begin: int = 0, code: int = 0, loss: float = 1.0) -> Timeline:
    files = {path: {"bytes": recording.sizes[digest], "digest": digest} for path, digest in state.objects.items()}
    return a_run(begin, code, files, loss)


def holding(recording: Recording, **objects: int) -> CrashState:
    """The state with the files of these saves."""
    wanted = {f"{name}.bin": f"{name}.bin of {step}" for name, step in objects.items()}
    return next(state for state in recording.states() if state.objects == wanted)


def test_every_history_agrees_with_its_state(recording: Recording) -> None:
    for state in recording.states():
        timeline = spliced(recording, state, resumed(recording, state))
        finished = {str(event.data["digest"]) for event in timeline.of(Kind.UPLOAD_FINISHED, attempt=1)}
        captured = {state.torn.cut.digest} if state.torn else set()

        assert finished == {recording.operations[index].digest for index in state.done} | captured
        assert [event.at for event in timeline] == sorted(event.at for event in timeline)
        assert timeline.attempts == [1, 2]


def test_what_was_in_s3_is_told_with_the_upload_that_brought_it(recording: Recording) -> None:
    for state in recording.states():
        evidence = Evidence(spliced(recording, state, resumed(recording, state)))
        durable = evidence.durable_at_kill(1)

        assert {file.path: file.digest for file in durable} == state.objects
        assert all(file.upload is not None and file.upload.digest == file.digest for file in durable)
        torn = state.torn.path if state.torn else None
        assert all(file.is_whole == (file.path != torn) for file in durable), state.how


def test_a_file_captured_while_it_was_written_was_not_seen_to_settle(recording: Recording) -> None:
    state = next(state for state in recording.states() if state.torn is not None and state.after == 0)
    timeline = spliced(recording, state, resumed(recording, state))

    assert not timeline.of(Kind.FILE_SETTLED, attempt=1)
    assert not timeline.of(Kind.UPLOAD_ABANDONED, attempt=1)


def test_an_upload_that_the_state_lacks_was_abandoned(recording: Recording) -> None:
    state = next(state for state in recording.states() if state.objects == {"position.bin": "position.bin of 3"})
    timeline = spliced(recording, state, resumed(recording, state))

    assert [event.data["path"] for event in timeline.of(Kind.UPLOAD_ABANDONED)] == ["weights.bin"]


def test_a_whole_save_that_is_resumed_from_is_survived(recording: Recording) -> None:
    state = holding(recording, weights=6, position=6)
    verdict = judge_state(recording, state, resumed(recording, state, 6), [a_run(), a_run()])

    assert verdict.verdict is Answer.SURVIVED, verdict.reason
    assert not verdict.findings


def test_a_crash_on_a_mixed_save_fails_the_script(recording: Recording) -> None:
    state = holding(recording, weights=6, position=3)
    verdict = judge_state(recording, state, resumed(recording, state, 3, code=1))

    assert verdict.verdict is Answer.FAILED
    assert {finding.rule for finding in verdict.findings} & {"SPOT004", "SPOT017"}


def test_going_on_wrongly_from_a_mixed_save_is_told_by_the_uninterrupted_runs(recording: Recording) -> None:
    state = holding(recording, weights=6, position=3)
    verdict = judge_state(recording, state, resumed(recording, state, 3, loss=7.0), [a_run(), a_run()])

    (diverged,) = [finding for finding in verdict.findings if finding.severity == "error"]
    assert diverged.rule == "SPOT008"
    assert "files of two saves (mixed generations" in diverged.message
    assert verdict.reason.why == diverged.message


def test_beginning_at_the_start_is_no_fault_where_no_save_was_whole(recording: Recording) -> None:
    for state in (holding(recording), holding(recording, weights=3)):
        verdict = judge_state(recording, state, resumed(recording, state))

        assert verdict.verdict is Answer.ERROR
        assert verdict.completed
        assert not verdict.at_stake


def test_beginning_at_the_start_is_a_fault_where_a_save_was_whole(recording: Recording) -> None:
    state = holding(recording, weights=6, position=6)
    verdict = judge_state(recording, state, resumed(recording, state))

    assert {finding.rule for finding in verdict.findings if finding.severity == "error"} == {"SPOT002"}


def test_dying_where_no_save_was_whole_is_a_fault_all_the_same(recording: Recording) -> None:
    state = holding(recording, weights=3)

    assert judge_state(recording, state, resumed(recording, state, code=1)).verdict is Answer.FAILED


def test_where_nothing_was_left_to_train_the_same_model_is_what_shows_it(recording: Recording) -> None:
    for state in (holding(recording, weights=9, position=9), holding(recording, weights=9, position=6)):
        verdict = judge_state(recording, state, resumed(recording, state, STEPS))

        assert verdict.verdict is Answer.SURVIVED
        assert verdict.tier == 3


def test_another_model_shows_nothing(recording: Recording) -> None:
    state = holding(recording, weights=9, position=6)

    assert judge_state(recording, state, resumed(recording, state, STEPS, loss=7.0)).verdict is not Answer.SURVIVED

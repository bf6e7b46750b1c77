"""SPOT004 torn-checkpoint: deaths, losses and silence on what a kill left half, and the careful who only met it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.checks import Severity, crash_on_restore, restarted_from_scratch, torn_checkpoint
from simulator.core.timeline import Kind
from tests.checks.build import Attempt, Run, only, train

EOF = ["Traceback (most recent call last):", '  File "train.py", line 9, in load', "EOFError: Ran out of input"]


def half_uploaded(attempt: Attempt, path: str, size: int) -> None:
    """A write goes on and on, and goes up to S3 as it is."""
    attempt.add(Kind.FILE_CHANGED, path=path, bytes=size)
    attempt.wait(5)
    attempt.add(Kind.UPLOAD_STARTED, path=path, bytes=size)
    attempt.wait(0.1)
    digest = f"half of {path}"
    attempt.add(Kind.UPLOAD_FINISHED, path=path, bytes=size, seconds=0.1, digest=digest)
    attempt.run.s3 = {**attempt.run.s3, path: {"bytes": size, "digest": digest}}


def interrupted_while_saving(name: str = "ckpt-{}.npz", torn: str = "ckpt-60.npz", size: int = 400) -> Run:
    """Whole checkpoints until step 50 (one uploaded each), then the kill in the middle of the one of step 60."""
    run = Run(interrupt="save")
    with run.attempt() as first:
        train(first, 1, 56, save_every=10, name=name)
        for _ in range(2):  # the uploads until then have been made before what follows
            first.wait(1)
        first._transfer(first.run.now)
        first._uploads.clear()
        half_uploaded(first, torn, size)
        first.trigger()
        first.kill()
    return run


def with_two_parts(folder: str) -> Run:
    """Saves of two files; the second of the last save does not reach S3."""
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        for step in range(1, 58):
            train(first, step, step + 1)
            if step % 10 == 0:
                first.save(folder.format(step) + "model.bin", 1000, upload=0.1)
                first.save(folder.format(step) + "optimizer.bin", 2000, upload=0.1 if step < 50 else 99)
        first.trigger()
        first.kill()
    return run


def second_attempt(run: Run, begins: int | None, tail: list[str] | None = None, about: tuple[str, ...] = ()) -> Run:
    with run.attempt() as second:
        second.about = about
        if begins is None:
            second.tail = tail or EOF
            second.exit(1)
        else:
            train(second, begins, 101)
            second.exit()
    return run


def test_dying_of_half_a_file_is_this_rules_and_not_the_crashs() -> None:
    evidence = second_attempt(interrupted_while_saving(), None).evidence()
    finding = only(torn_checkpoint.check(evidence))
    assert (finding.severity, finding.attempt, finding.evidence["file"]) == (Severity.ERROR, 2, "ckpt-60.npz")
    assert "EOFError" in finding.message and "still being written" in finding.message
    assert crash_on_restore.check(evidence) == []


def test_dying_of_something_else_stays_a_crash() -> None:
    evidence = second_attempt(interrupted_while_saving(), None, ["KeyError: 'optimizer'"]).evidence()
    assert torn_checkpoint.check(evidence) == []
    assert only(crash_on_restore.check(evidence)).attempt == 2


def test_a_death_that_names_the_torn_file_is_explained_by_it() -> None:
    evidence = second_attempt(interrupted_while_saving(), None, ["loading ckpt-60.npz", "KeyError: 'b'"]).evidence()
    assert only(torn_checkpoint.check(evidence)).evidence["flaw"] == "cut"


def test_dying_of_whole_files_with_such_an_error_stays_a_crash() -> None:
    run = Run(interrupt="step=57")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10)
        first.trigger()
        first.kill()
    evidence = second_attempt(run, None).evidence()
    assert torn_checkpoint.check(evidence) == []
    assert "os.replace" in only(crash_on_restore.check(evidence)).fix


@pytest.mark.parametrize(
    ("name", "torn", "needle"),
    [("s-{}.pt", "s-60.pt", "torch.save"), ("s-{}.keras", "s-60.keras", "load_model"), ("s-{}", "s-60", "save(state")],
)
def test_the_fix_is_in_the_words_of_the_framework(name: str, torn: str, needle: str) -> None:
    run = second_attempt(interrupted_while_saving(name, torn), None)
    run.events = [event for event in run.events if event.kind is not Kind.MODEL_FILES]
    evidence = run.evidence()
    assert needle in only(torn_checkpoint.check(evidence)).fix


def test_overwriting_the_only_file_in_place_and_starting_over_is_convicted() -> None:
    evidence = second_attempt(interrupted_while_saving("state.json", "state.json"), 1).evidence()
    finding = only(torn_checkpoint.check(evidence))
    assert (finding.severity, finding.evidence["overwritten_checkpoint_held"]) == (Severity.ERROR, 49)
    assert restarted_from_scratch.check(evidence) == []


def test_even_when_it_says_so_all_work_was_lost() -> None:
    run = second_attempt(
        interrupted_while_saving("state.json", "state.json"), 1, about=("state.json is corrupt, starting over",)
    )
    assert only(torn_checkpoint.check(run.evidence())).severity is Severity.ERROR


def test_the_very_first_save_torn_is_nobodys_fault() -> None:
    run = Run(interrupt="save")
    with run.attempt() as first:
        train(first, 1, 10)
        half_uploaded(first, "state.json", 400)
        first.trigger()
        first.kill()
    assert torn_checkpoint.check(second_attempt(run, 1).evidence()) == []


def test_falling_back_to_an_older_one_with_a_word_about_it_is_right() -> None:
    run = second_attempt(
        interrupted_while_saving(), 51, about=("skipping unusable checkpoint ckpt-60.npz: not a whole .npz file",)
    )
    assert torn_checkpoint.check(run.evidence()) == []


def test_falling_back_in_silence_is_a_warning() -> None:
    finding = only(torn_checkpoint.check(second_attempt(interrupted_while_saving(), 51).evidence()))
    assert (finding.severity, finding.evidence["whole_checkpoint"]) == (Severity.WARNING, "ckpt-50.npz")


def test_a_timeline_without_the_scripts_words_convicts_no_silence() -> None:
    run = second_attempt(interrupted_while_saving(), 51)
    run.events = [
        replace(event, data={key: value for key, value in event.data.items() if key != "log_about_checkpoints"})
        for event in run.events
    ]
    assert torn_checkpoint.check(run.evidence()) == []


def test_falling_back_by_a_pointer_file_is_a_design() -> None:
    run = interrupted_while_saving()
    run.s3 = {**run.s3, "latest": {"bytes": 11, "digest": "latest"}}
    assert torn_checkpoint.check(second_attempt(run, 51).evidence()) == []


def test_a_file_written_aside_and_left_half_is_nobodys_business() -> None:
    for torn in ("ckpt-60.npz.tmp", "tmp/ckpt-60.npz", ".ckpt-60.part"):
        assert torn_checkpoint.check(second_attempt(interrupted_while_saving(torn=torn), 51).evidence()) == []


def test_a_write_that_paused_and_went_up_meanwhile_is_torn() -> None:
    run = Run(interrupt="save")
    with run.attempt() as first:
        train(first, 1, 51, save_every=10, name="state.pkl")
        first.wait(1)
        first.save("state.pkl", 300, write=0.2, upload=0.2)
        first.wait(0.5)
        first.add(Kind.FILE_CHANGED, path="state.pkl", bytes=900)
        first.trigger()
        first.wait(0.1)
        first.kill()
    finding = only(torn_checkpoint.check(second_attempt(run, None).evidence()))
    assert finding.evidence["bytes"] == 300


def test_saves_between_two_log_lines_that_grow_by_a_digit_are_whole() -> None:
    run = Run(interrupt="step=58")
    with run.attempt() as first:
        for step in range(1, 59):
            train(first, step, step + 1, log_every=10)
            if step % 3 == 0:
                first.save("state.json", 1000 + step, upload=0.1 if step < 54 else 99)
        first.trigger()
        first.kill()
    died = second_attempt(run, None, ["loading state.json", "KeyError: 'optimizer'"]).evidence()
    assert torn_checkpoint.check(died) == []
    assert only(crash_on_restore.check(died)).attempt == 2


def test_a_clearly_smaller_file_that_went_up_whole_is_torn_by_its_own_exit() -> None:
    """A handler that exits in the middle of a save closes half a file, which then goes up as any other."""
    run = Run(interrupt="step=57", profile="sagemaker")
    with run.attempt() as first:
        train(first, 1, 58, save_every=10, name="state.pkl")
        first.trigger()
        first.sigterm()
        first.save("state.pkl", 500)
        first.exit_after_sigterm(143, flush=2)
    died = torn_checkpoint.check(second_attempt(run, None).evidence())
    assert "1,000" in only(died).message


def test_two_files_of_two_saves_are_mixed_and_a_mismatch_is_explained_by_that() -> None:
    run = with_two_parts("")
    died = second_attempt(run, None, ["ValueError: step of model.bin does not match optimizer.bin"]).evidence()
    finding = only(torn_checkpoint.check(died))
    assert (finding.evidence["flaw"], finding.evidence["file"]) == ("mixed", "model.bin")
    assert "folder of its own" in finding.fix


def test_a_part_that_never_came_explains_its_own_absence() -> None:
    run = with_two_parts("checkpoint-{}/")
    died = ["FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/checkpoints/checkpoint-50/optimizer.bin'"]
    finding = only(torn_checkpoint.check(second_attempt(run, None, died).evidence()))
    assert finding.evidence["flaw"] == "incomplete"


def test_a_careful_script_that_takes_the_complete_folder_before_is_acquitted() -> None:
    run = with_two_parts("checkpoint-{}/")
    assert torn_checkpoint.check(second_attempt(run, 41).evidence()) == []


def test_a_history_that_grows_with_every_step_is_not_taken_for_a_torn_file() -> None:
    def with_history(attempt: Attempt, first: int, stop: int) -> None:
        for step in range(first, stop):
            train(attempt, step, step + 1, save_every=100)
            attempt.save("history.json", 50 + step, 0.01, 0.1)

    run = Run(interrupt="step=40")
    with run.attempt() as first:
        with_history(first, 1, 41)
        first.trigger()
        first.kill()
    with run.attempt() as second:
        with_history(second, 1, 401)
        second.exit()
    assert torn_checkpoint.check(run.evidence()) == []


def test_the_last_pieces_of_a_cut_save_are_no_measure_of_what_is_whole() -> None:
    run = Run(interrupt="save")
    with run.attempt() as first:
        train(first, 1, 50, save_every=20, name="net.json", size=6000)
        for size in (
            1200,
            2400,
            3600,
        ):  # a write in pieces, each of which settles; the kill comes before the last goes up
            first.save("net.json", size, upload=0.3 if size < 3600 else 9)
            first.wait(0.4)
        first.trigger()
        first.kill()
    finding = only(torn_checkpoint.check(second_attempt(run, 1).evidence()))
    assert (finding.severity, finding.evidence["flaw"]) == (Severity.ERROR, "cut")


def test_parts_of_one_number_belong_together_however_far_apart_they_were_written() -> None:
    parts = ("model", "optimizer", "scheduler")

    def save(attempt: Attempt, step: int, upto: int, pause: float) -> None:
        for part in parts[:upto]:
            attempt.save(f"checkpoint-{step}/{part}.json", 40)
            attempt.wait(pause)

    run = Run(interrupt="save")
    with run.attempt() as first:
        for step in (20, 40):
            train(first, step - 10, step)
            save(first, step, 3, 0.2)
        train(first, 50, 60)
        save(first, 60, 2, 2.0)  # slower this time
        first.trigger()
        first.kill()
    tail = [
        "FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/checkpoints/checkpoint-60/scheduler.json'"
    ]
    evidence = second_attempt(run, None, tail).evidence()
    assert only(torn_checkpoint.check(evidence)).severity is Severity.ERROR
    assert crash_on_restore.check(evidence) == []
